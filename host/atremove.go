package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// Remove removes a file, a link or an empty directory. Nothing there is no
// error.
func (d *Dir) Remove(name string) error {
	err := unix.Unlinkat(d.fd, name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	}
	if absent(err) {
		return nil
	}
	return d.fail("remove", name, err)
}

// removeRounds is how often a directory is read again that is filled while it
// is being emptied.
const removeRounds = 100

// RemoveAll removes what stands at a name, a directory with all that is in it.
// It follows no link. What is mounted there is an error and is left alone with
// all that is in it; what was removed before it is gone.
func (d *Dir) RemoveAll(name string) error {
	err := unix.Unlinkat(d.fd, name, 0)
	switch {
	case err == nil, absent(err):
		return nil
	case errors.Is(err, unix.EBUSY):
		return mounted(d.join(name))
	case !errors.Is(err, unix.EISDIR):
		return d.fail("remove", name, err)
	}
	for range removeRounds {
		if err := d.empty(name); err != nil {
			return err
		}
		err = unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
		if !errors.Is(err, unix.ENOTEMPTY) {
			break
		}
	}
	if absent(err) {
		return nil
	}
	return d.fail("remove", name, err)
}

// empty removes what is in a directory.
func (d *Dir) empty(name string) error {
	f, err := d.enter(name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := &Dir{fd: int(f.Fd()), path: d.join(name)}
	for {
		names, err := f.Readdirnames(1000)
		for _, n := range names {
			if err := in.RemoveAll(n); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// enter opens a directory for reading, unless something is mounted there.
func (d *Dir) enter(name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := linux.Openat2(d.fd, name, &linux.OpenHow{Flags: flags, Resolve: linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_XDEV})
	switch {
	case errors.Is(err, unix.EXDEV):
		return nil, mounted(d.join(name))
	case noOpenat2(err):
		return d.enterSteps(name, flags)
	case err != nil:
		return nil, d.fail("open", name, err)
	}
	return os.NewFile(uintptr(fd), d.join(name)), nil
}

// enterSteps is enter without openat2(2).
func (d *Dir) enterSteps(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, flags, 0)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	f := os.NewFile(uintptr(fd), d.join(name))
	here, err := mountID(d.fd)
	there, err2 := mountID(fd)
	if err = errors.Join(err, err2); err == nil && here != there {
		err = mounted(d.join(name))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// mountID is the number of the mount that an open file lies on: proc(5),
// /proc/pid/fdinfo.
func mountID(fd int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(data), "mnt_id:")
	id, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(id), nil
}

func mounted(path string) error {
	return fmt.Errorf("something is mounted at %s, and muster removes nothing there: unmount it first", path)
}
