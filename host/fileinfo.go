package host

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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
	// Withheld: the content is planned, but not told to this process, whose user
	// may not read it. What depends on it is known after apply.
	Withheld bool `json:"withheld,omitempty"`
	// ACL: the group bits of Mode are the mask of an access control list.
	ACL bool `json:"acl,omitempty"`
	// Names is how many names a regular file has, where it has several.
	Names uint64 `json:"names,omitempty"`
	// Capabilities are those of a program's file: "cap_net_raw, cap_net_admin".
	Capabilities string `json:"capabilities,omitempty"`
	// Apart names the attributes that a rewrite by this process can't keep.
	Apart string `json:"apart,omitempty"`

	uid, gid uint32
	links    uint64 // its names
	ident    fileIdent
}

// Exists reports whether anything stands there.
func (i FileInfo) Exists() bool { return i.Type != NoFile }

// Modified is when the file's content was changed last; the zero time for a planned one.
func (i FileInfo) Modified() time.Time {
	if i.ident.ino == 0 {
		return time.Time{}
	}
	return time.Unix(i.ident.mtime.Unix())
}

// Stamp names the thing and its last change, of content, owner or mode, so that a file whose
// stamp is known needn't be read again. A planned one has none: "".
func (i FileInfo) Stamp() string {
	if i.ident.ino == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d:%d.%09d:%d.%09d", i.ident.dev, i.ident.ino, i.ident.size, i.ident.mtime.Sec, i.ident.mtime.Nsec, i.ident.ctime.Sec, i.ident.ctime.Nsec)
}

// ChangedAfter reports whether content, owner or mode were changed after those of another
// thing; of planned ones nobody can tell.
func (i FileInfo) ChangedAfter(other FileInfo) bool {
	a, b := i.ident.ctime, other.ident.ctime
	return i.ident.ino != 0 && other.ident.ino != 0 && (a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec)
}

// withheld reports whether the content is one that may not be told here.
func (i FileInfo) withheld() bool { return i.Withheld && i.Sum == "" }

// Same reports whether both are one thing, under two names or one. Of planned
// files nobody can tell.
func (i FileInfo) Same(other FileInfo) bool {
	return i.ident.ino != 0 && i.ident.ino == other.ident.ino && i.ident.dev == other.ident.dev
}

type fileIdent struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func identOf(st *unix.Stat_t) fileIdent {
	return fileIdent{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
}

// lstat reads what stands on the machine itself at a path that is resolved; a
// path at which nothing stands, or whose parent is no directory, is no error.
func lstat(path string) (FileInfo, error) {
	e, err := openEntry(path)
	if absent(err) {
		return FileInfo{}, nil
	}
	if err != nil {
		return FileInfo{}, err
	}
	defer e.Close()
	return e.Info()
}

// sums remembers the SHA-256 of files by device, inode, size, mtime and ctime:
// a file changed in place moves its ctime.
type sums struct {
	mu sync.Mutex
	of map[fileIdent]string
}

// known returns the sum of a file that was read before; of a planned one there is none.
func (s *sums) known(id fileIdent) (sum string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, ok = s.of[id]
	return sum, ok && id.ino != 0
}

func (s *sums) sum(e *Entry) (string, error) {
	if sum, ok := s.known(identOf(&e.stat)); ok {
		return sum, nil
	}
	sum, err := e.Sum()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[fileIdent]string{}
	}
	s.of[identOf(&e.stat)] = sum
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
