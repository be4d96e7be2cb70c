package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// FileType says what stands at a path.
type FileType string

// The types of files. The zero value is a path at which nothing stands.
const (
	NoFile    FileType = ""
	Regular   FileType = "file"
	Directory FileType = "directory"
	Symlink   FileType = "link"
	Socket    FileType = "socket"
	Pipe      FileType = "named pipe"
	Device    FileType = "device"
)

// FileInfo is what stands at a path.
type FileInfo struct {
	Type   FileType `json:"type,omitempty"`
	Mode   Mode     `json:"mode,omitempty"`   // permission bits, of files and directories
	Owner  string   `json:"owner,omitempty"`  // a user's name, or its number where it has none
	Group  string   `json:"group,omitempty"`  // likewise
	Target string   `json:"target,omitempty"` // of a link
	// Linked is the path of which a planned file is a second name; "" for others.
	Linked string `json:"linked,omitempty"`
	Size   int64  `json:"size,omitempty"` // of a regular file, in bytes
	// Sum is a regular file's SHA-256; only View.Sum and previews fill it in.
	Sum string `json:"sum,omitempty"`
	// Sensitive content isn't shown.
	Sensitive bool `json:"sensitive,omitempty"`
	// ACL: the group bits of Mode are the mask of an access control list.
	ACL bool `json:"acl,omitempty"`

	uid, gid uint32
	ident    fileIdent
}

// Exists reports whether anything stands there.
func (i FileInfo) Exists() bool { return i.Type != NoFile }

type fileIdent struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// lstat reads what stands at path on the machine itself; a path at which
// nothing stands, or whose parent is no directory, is no error.
func lstat(path string) (FileInfo, error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return FileInfo{}, nil
	}
	if err != nil {
		return FileInfo{}, err
	}
	sys := st.Sys().(*syscall.Stat_t)
	info := FileInfo{
		Mode: Mode(sys.Mode & 0o7777), Owner: UserName(sys.Uid), Group: GroupName(sys.Gid),
		uid: sys.Uid, gid: sys.Gid,
		ident: fileIdent{uint64(sys.Dev), sys.Ino, sys.Size, sys.Mtim, sys.Ctim},
	}
	switch m := st.Mode(); {
	case m.IsRegular():
		info.Type, info.Size = Regular, st.Size()
		info.ACL = hasACL(path)
	case m.IsDir():
		info.Type = Directory
		info.ACL = hasACL(path)
	case m&fs.ModeSymlink != 0:
		info.Type, info.Mode = Symlink, 0
		if info.Target, err = os.Readlink(path); err != nil {
			return FileInfo{}, err
		}
	case m&fs.ModeSocket != 0:
		info.Type = Socket
	case m&fs.ModeNamedPipe != 0:
		info.Type = Pipe
	default:
		info.Type = Device
	}
	return info, nil
}

func hasACL(path string) bool {
	n, err := syscall.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// sums remembers the SHA-256 of files by device, inode, size, mtime and ctime:
// a file changed in place moves its ctime.
type sums struct {
	mu sync.Mutex
	of map[fileIdent]string
}

func (s *sums) sum(path string, info FileInfo) (string, error) {
	s.mu.Lock()
	sum, ok := s.of[info.ident]
	s.mu.Unlock()
	if ok {
		return sum, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[fileIdent]string{}
	}
	s.of[info.ident] = sum
	return sum, nil
}

// UserName returns the name of a user's number, or the number in digits.
func UserName(uid uint32) string {
	if uid == 0 {
		return "root"
	}
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// GroupName returns the name of a group's number, or the number in digits.
func GroupName(gid uint32) string {
	if gid == 0 {
		return "root"
	}
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
