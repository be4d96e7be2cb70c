package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. What is made, altered or removed through it is so
// in that very directory, whatever its owner has put at its path by then.
//
// It is the one way in which the remote edits files. A task often acts as root
// in a folder of a user's, who may swap any part of the path for a link to a
// folder of root's between two system calls. So a path is resolved once, while
// planning (View.Place); it is opened from the root with a refusal of every link
// (openat2(2), RESOLVE_NO_SYMLINKS); and from there on only names in open
// directories are used. tests/layers holds all packages of the remote to it.
type Dir struct {
	fd   int // O_PATH: to be searched in, not to be read
	path string
}

// OpenDir opens the directory at an absolute path without links, as View.Place
// returns it. A link on the way, or in the directory's place, is ErrMoved.
func OpenDir(path string) (*Dir, error) {
	fd, err := openStill(unix.AT_FDCWD, path, unix.O_DIRECTORY)
	if err != nil {
		return nil, stillError(path, err)
	}
	return &Dir{fd: fd, path: filepath.Clean(path)}, nil
}

// OpenParent opens the directory that path is in, as OpenDir does, and returns
// it with path's name there.
func OpenParent(path string) (*Dir, string, error) {
	path = filepath.Clean(path)
	d, err := OpenDir(filepath.Dir(path))
	if path == "/" {
		return d, ".", err
	}
	return d, filepath.Base(path), err
}

// Sub opens a directory below, by a relative path of one or more names.
func (d *Dir) Sub(rel string) (*Dir, error) {
	path := d.join(rel)
	if !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%s isn't below %s", rel, d.path)
	}
	fd, err := openStill(d.fd, rel, unix.O_DIRECTORY)
	if err != nil {
		return nil, stillError(path, err)
	}
	return &Dir{fd: fd, path: path}, nil
}

// through is a path that leads to the open directory itself.
func (d *Dir) through() string { return fmt.Sprintf("/proc/self/fd/%d", d.fd) }

// Path is where the directory was opened.
func (d *Dir) Path() string { return d.path }

// Close closes it. A Dir that is nil was never opened.
func (d *Dir) Close() {
	if d != nil {
		_ = unix.Close(d.fd)
	}
}

func (d *Dir) join(name string) string { return filepath.Join(d.path, name) }

// fail returns an error about what was tried at a name.
func (d *Dir) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.join(name), Err: err}
}

// openStill opens what stands at a path, absolute or below an open directory,
// as O_PATH. Where a link is on the way the error is ELOOP; one at the path's
// end is opened itself, or with O_DIRECTORY ELOOP too.
func openStill(dir int, path string, flags int) (int, error) {
	flags |= linux.O_PATH | unix.O_CLOEXEC
	if flags&unix.O_DIRECTORY == 0 {
		flags |= unix.O_NOFOLLOW
	}
	how := linux.OpenHow{Flags: uint64(flags), Resolve: linux.RESOLVE_NO_SYMLINKS}
	fd, err := linux.Openat2(dir, path, &how)
	if noOpenat2(err) {
		return openSteps(dir, path, flags)
	}
	return fd, err
}

// noOpenat2 tells that the kernel lacks openat2(2), which came with Linux 5.6,
// or that a container's filter hides it. O_PATH itself never answers EPERM.
func noOpenat2(err error) bool { return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) }

// openSteps is openStill without openat2(2): name by name.
func openSteps(dir int, path string, flags int) (int, error) {
	start := "."
	if strings.HasPrefix(path, "/") {
		start = "/"
	}
	at, err := unix.Openat(dir, start, linux.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	names := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	for i, name := range names {
		if name == "" || name == "." {
			continue
		}
		next, err := unix.Openat(at, name, linux.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		_ = unix.Close(at)
		if err != nil {
			return -1, err
		}
		at = next
		if i == len(names)-1 && flags&unix.O_DIRECTORY == 0 {
			break
		}
		var st unix.Stat_t
		if err = unix.Fstat(at, &st); err == nil {
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFDIR:
				continue
			case unix.S_IFLNK:
				err = unix.ELOOP
			default:
				err = unix.ENOTDIR
			}
		}
		_ = unix.Close(at)
		return -1, err
	}
	return at, nil
}

// stillError says what is wrong with a path that was resolved before.
func stillError(path string, err error) error {
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%w: there is a link on the way to %s that wasn't there before, and muster doesn't follow it; see who made it, then plan again", ErrMoved, path)
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}

// absent reports whether an error says that nothing stands at a path.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// Create makes an empty file for reading and writing that its owner alone can
// read. A name that is taken is fs.ErrExist, also by a link.
func (d *Dir) Create(name string) (*os.File, error) {
	return d.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
}

// open opens a file, never through a link.
func (d *Dir) open(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

// MakeDir makes an empty directory that only its owner can enter, and opens it.
func (d *Dir) MakeDir(name string) (*Entry, error) {
	if err := d.mkdir(name, 0o700); err != nil {
		return nil, err
	}
	return d.made(name, Directory, 0o2700)
}

func (d *Dir) mkdir(name string, mode Mode) error {
	return d.fail("mkdir", name, unix.Mkdirat(d.fd, name, uint32(mode)))
}

// MakeLink makes a symbolic link and opens it, the link itself.
func (d *Dir) MakeLink(target, name string) (*Entry, error) {
	if err := unix.Symlinkat(target, d.fd, name); err != nil {
		return nil, d.fail("symlink", name, err)
	}
	return d.made(name, Symlink, 0o7777)
}

// made opens what was just made. Whoever may write to the directory may have put
// another thing there in between: it isn't ours to give away then.
func (d *Dir) made(name string, typ FileType, most Mode) (*Entry, error) {
	e, err := d.Entry(name)
	if err != nil {
		return nil, err
	}
	if e.Type() != typ || int(e.stat.Uid) != os.Geteuid() || e.Mode()&^most != 0 {
		e.Close()
		return nil, fmt.Errorf("%s was replaced while it was made: %w", d.join(name), ErrMoved)
	}
	return e, nil
}

// Link gives an open file another name.
func (d *Dir) Link(e *Entry, name string) error {
	return d.fail("link", name, unix.Linkat(unix.AT_FDCWD, e.through(), d.fd, name, unix.AT_SYMLINK_FOLLOW))
}

// Rename renames within the directory, in place of what stood at the name.
func (d *Dir) Rename(from, to string) error {
	return d.fail("rename", to, unix.Renameat(d.fd, from, d.fd, to))
}

// RenameNew renames within the directory, where nothing stands at the name.
func (d *Dir) RenameNew(from, to string) error {
	return d.fail("rename", to, linux.Renameat2(d.fd, from, d.fd, to, linux.RENAME_NOREPLACE))
}

// Exchange has two names stand for each other's things, in one step: at no moment does
// either stand for nothing. File systems that can't do that answer EINVAL.
func (d *Dir) Exchange(a, b string) error {
	return d.fail("exchange", a, linux.Renameat2(d.fd, a, d.fd, b, linux.RENAME_EXCHANGE))
}

// Sync makes what was done in the directory last. One that can't be read, and a
// file system that knows no such thing, are no error.
func (d *Dir) Sync() error {
	f, err := d.list()
	if err != nil {
		return nil
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("syncing %s: %w", d.path, err)
	}
	return nil
}

// SyncAll makes everything last that was done on the directory's file system.
func (d *Dir) SyncAll() error {
	f, err := d.list()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := linux.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("syncing the file system of %s: %w", d.path, err)
	}
	return nil
}

// ListNames lists what is in the directory, in order.
func (d *Dir) ListNames() ([]string, error) {
	f, err := d.list()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// list opens the directory for reading.
func (d *Dir) list() (*os.File, error) { return d.open(".", unix.O_RDONLY|unix.O_DIRECTORY) }
