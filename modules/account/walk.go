package account

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links are followed on the way to a directory.
const maxLinks = 40

// dir is an open directory (O_PATH), so that what is done in it is done there
// whatever its owner puts in its place meanwhile.
type dir struct {
	fd   int
	path string
	stat unix.Stat_t
}

func (d dir) close() { _ = unix.Close(d.fd) }

// openDir opens a directory. As root it follows a link only where root made
// it, in a directory of root's: a user's link would lead root astray.
func openDir(path string) (dir, error) {
	// One call where there is no link on the way, the common case.
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_DIRECTORY, Resolve: unix.RESOLVE_NO_SYMLINKS}
	if fd, err := unix.Openat2(unix.AT_FDCWD, path, &how); err == nil {
		d := dir{fd: fd, path: filepath.Clean(path)}
		if err := unix.Fstat(fd, &d.stat); err != nil {
			d.close()
			return dir{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		return d, nil
	}
	at, err := openAt(unix.AT_FDCWD, "/", "/")
	if err != nil {
		return dir{}, err
	}
	rest := strings.Split(filepath.Clean(path), "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		next, err := openAt(at.fd, name, filepath.Join(at.path, name))
		if err != nil {
			at.close()
			return dir{}, err
		}
		switch next.stat.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			at.close()
			at = next
			continue
		case unix.S_IFLNK:
		default:
			at.close()
			next.close()
			return dir{}, &fs.PathError{Op: "open", Path: next.path, Err: unix.ENOTDIR}
		}
		target := make([]byte, 4096)
		n, err := unix.Readlinkat(next.fd, "", target)
		trusted := os.Geteuid() != 0 || next.stat.Uid == 0 && at.stat.Uid == 0
		next.close()
		if links++; err == nil && !trusted {
			err = errors.New("it is a link that a user could have made: muster doesn't follow it as root")
		} else if err == nil && links > maxLinks {
			err = unix.ELOOP
		}
		if err != nil {
			at.close()
			return dir{}, &fs.PathError{Op: "open", Path: next.path, Err: err}
		}
		rest = append(strings.Split(string(target[:n]), "/"), rest...)
		if n > 0 && target[0] == '/' {
			at.close()
			if at, err = openAt(unix.AT_FDCWD, "/", "/"); err != nil {
				return dir{}, err
			}
		}
	}
	return at, nil
}

// openAt opens what stands at name, without following it.
func openAt(parent int, name, path string) (dir, error) {
	fd, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return dir{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := dir{fd: fd, path: path}
	if err := unix.Fstat(fd, &d.stat); err != nil {
		d.close()
		return dir{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return d, nil
}

// mkdirAll makes the missing parents of a home, as root's with mode 0755.
func mkdirAll(path string) (dir, error) {
	d, err := openDir(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	parent, err := mkdirAll(filepath.Dir(path))
	if err != nil {
		return dir{}, err
	}
	defer parent.close()
	if err := unix.Mkdirat(parent.fd, filepath.Base(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return dir{}, &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return openAt(parent.fd, filepath.Base(path), path)
}

// through is a path that leads to a name in an open directory.
func (d dir) through(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", d.fd, name) }

// sync makes what was done in the directory last.
func (d dir) sync() error {
	f, err := os.Open(d.through("."))
	if err != nil {
		return nil // one that can't be read can't be synced
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("syncing %s: %w", d.path, err)
	}
	return nil
}
