package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// Entry is one thing in a directory, held open without being read: a file, a
// directory, or a link itself. What is done to it is done to that very thing,
// whatever stands at its name by then.
type Entry struct {
	fd   int // O_PATH
	path string
	stat unix.Stat_t // when it was opened
}

// Entry opens what stands at a name, fs.ErrNotExist if there is nothing.
func (d *Dir) Entry(name string) (*Entry, error) {
	fd, err := unix.Openat(d.fd, name, linux.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return newEntry(fd, d.join(name))
}

// Opened is what an open file is of, to give it an owner and a mode.
func Opened(f *os.File) (*Entry, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "dup", Path: f.Name(), Err: err}
	}
	return newEntry(fd, f.Name())
}

// openEntry opens what stands at an absolute path that is resolved.
func openEntry(path string) (*Entry, error) {
	fd, err := openStill(unix.AT_FDCWD, path, 0)
	if err != nil {
		return nil, stillError(path, err)
	}
	return newEntry(fd, path)
}

func newEntry(fd int, path string) (*Entry, error) {
	e := &Entry{fd: fd, path: path}
	if err := unix.Fstat(fd, &e.stat); err != nil {
		e.Close()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return e, nil
}

// Lstat returns what stands at a name; nothing is no error.
func (d *Dir) Lstat(name string) (FileInfo, error) {
	e, err := d.Entry(name)
	if absent(err) {
		return FileInfo{}, nil
	}
	if err != nil {
		return FileInfo{}, err
	}
	defer e.Close()
	return e.Info()
}

// Type returns the type of what stands at a name; NoFile is no error.
func (d *Dir) Type(name string) (FileType, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if absent(err) {
		return NoFile, nil
	}
	return typeOf(uint32(st.Mode)), d.fail("stat", name, err)
}

// Close closes it. An Entry that is nil was never opened.
func (e *Entry) Close() {
	if e != nil {
		_ = unix.Close(e.fd)
	}
}

// Path is where it was opened.
func (e *Entry) Path() string { return e.path }

// Type is what it is.
func (e *Entry) Type() FileType { return typeOf(uint32(e.stat.Mode)) }

// Mode is its permissions as they were when it was opened.
func (e *Entry) Mode() Mode { return Mode(e.stat.Mode & 0o7777) }

// Owner is the numbers of its owner and group as they were when it was opened.
func (e *Entry) Owner() (uid, gid int) { return int(e.stat.Uid), int(e.stat.Gid) }

// Names is how many names it had when it was opened.
func (e *Entry) Names() int { return int(e.stat.Nlink) }

// Info describes it as it was when it was opened.
func (e *Entry) Info() (FileInfo, error) {
	st := &e.stat
	info := FileInfo{
		Type: e.Type(), Mode: e.Mode(), Owner: UserName(st.Uid), Group: GroupName(st.Gid),
		uid: st.Uid, gid: st.Gid, links: uint64(st.Nlink), ident: identOf(st),
	}
	switch info.Type {
	case Regular:
		info.Size, info.ACL = st.Size, e.hasACL()
		info.Capabilities, info.Apart = e.capabilities(), e.apart()
		if st.Nlink > 1 {
			info.Names = uint64(st.Nlink)
		}
	case Directory:
		info.ACL = e.hasACL()
	case Symlink:
		info.Mode = 0
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(e.fd, "", target)
		if err != nil {
			return FileInfo{}, &fs.PathError{Op: "readlink", Path: e.path, Err: err}
		}
		info.Target = string(target[:n])
	}
	return info, nil
}

// through is a path that leads to the open thing itself, for the system calls
// that take no O_PATH descriptor: proc(5), /proc/self/fd. It follows nothing,
// since no link's own descriptor is passed to those.
func (e *Entry) through() string { return fmt.Sprintf("/proc/self/fd/%d", e.fd) }

func (e *Entry) hasACL() bool {
	n, err := unix.Getxattr(e.through(), accessList, nil)
	return err == nil && n > 0
}

// Open opens a regular file for reading.
func (e *Entry) Open() (*os.File, error) {
	return e.open(unix.O_RDONLY)
}

func (e *Entry) open(flags int) (*os.File, error) {
	if e.Type() != Regular {
		return nil, fmt.Errorf("%s is %s, not a file", e.path, article(e.Type()))
	}
	fd, err := unix.Open(e.through(), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: e.path, Err: err}
	}
	return os.NewFile(uintptr(fd), e.path), nil
}

// Read returns the bytes of a regular file. One larger than limit is an error.
func (e *Entry) Read(limit int64) ([]byte, error) {
	f, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than the %d bytes that are read", e.path, limit)
	}
	return data, err
}

// Sum is the SHA-256 of a regular file.
func (e *Entry) Sum() (string, error) { return e.SumBy(sha256.New()) }

// SumBy is the sum of a regular file by a hash function, in hex.
func (e *Entry) SumBy(hash hash.Hash) (string, error) {
	f, err := e.Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", e.path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Dir opens a directory as one to work in.
func (e *Entry) Dir() (*Dir, error) {
	fd, err := unix.Openat(e.fd, ".", linux.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: e.path, Err: err}
	}
	return &Dir{fd: fd, path: e.path}, nil
}

// Chown gives it to a user and a group, by number; -1 leaves one as it is. The
// kernel then clears setuid, setgid and capabilities: the mode is set after it.
func (e *Entry) Chown(uid, gid int) error {
	if uid < 0 && gid < 0 {
		return nil
	}
	if err := unix.Fchownat(e.fd, "", uid, gid, linux.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("changing the owner of %s: %w", e.path, err)
	}
	return nil
}

// Chmod sets its permissions; it is no link.
func (e *Entry) Chmod(mode Mode) error {
	if e.Type() == Symlink {
		return fmt.Errorf("changing the mode of %s: it is a link", e.path)
	}
	if err := unix.Chmod(e.through(), uint32(mode)); err != nil {
		return fmt.Errorf("changing the mode of %s: %w", e.path, err)
	}
	return nil
}

// SetModified sets when a file or directory was changed last; it is no link.
func (e *Entry) SetModified(at time.Time) error {
	t := unix.NsecToTimespec(at.UnixNano())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, e.through(), []unix.Timespec{t, t}, 0); err != nil {
		return fmt.Errorf("setting the time of %s: %w", e.path, err)
	}
	return nil
}

// CopyAttributes gives a file the extended attributes that this one has, access
// control lists and security labels among them. Those that the kernel won't let
// us set are left, and capabilities, which belong to the old content. A list of
// access control that the file has from its directory alone is taken away.
func (e *Entry) CopyAttributes(to *os.File) error {
	names, err := e.attributes()
	if err != nil {
		return err
	}
	if !slices.Contains(names, accessList) {
		_ = unix.Fremovexattr(int(to.Fd()), accessList) // there is none, mostly
	}
	value := make([]byte, 64<<10)
	for _, name := range names {
		if name == capabilities {
			continue
		}
		n, err := unix.Getxattr(e.through(), name, value)
		if err != nil {
			continue
		}
		err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("keeping the attribute %s of %s: %w", name, e.path, err)
		}
	}
	return nil
}

// Attributes with a meaning of their own.
const (
	capabilities = "security.capability" // of a program: capabilities(7)
	accessList   = "system.posix_acl_access"
)

// attributes lists the extended attributes.
func (e *Entry) attributes() ([]string, error) {
	list := make([]byte, 64<<10)
	n, err := unix.Listxattr(e.through(), list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the attributes of %s: %w", e.path, err)
	}
	return strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 }), nil
}

func typeOf(mode uint32) FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return Regular
	case unix.S_IFDIR:
		return Directory
	case unix.S_IFLNK:
		return Symlink
	case unix.S_IFSOCK:
		return Socket
	case unix.S_IFIFO:
		return Pipe
	case 0:
		return NoFile
	}
	return Device
}
