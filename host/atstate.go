package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What muster keeps on a host for itself (stamps, locks, cached manifests) is
// written by the functions here. They resolve a path themselves: as root,
// through links that root made and no others.

// placed is where an edit at path is made, on the host as it is.
func placed(path string) (string, error) { return NewView(New(), nil).Place(path, false) }

// MakeDirs opens a directory; it makes it, and the parents that are missing,
// with that mode.
func MakeDirs(path string, mode Mode) (*Dir, error) {
	path, err := NewView(New(), nil).Place(path, true)
	if err != nil {
		return nil, err
	}
	return makeDirs(path, mode)
}

func makeDirs(path string, mode Mode) (*Dir, error) {
	d, err := OpenDir(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	parent, err := makeDirs(filepath.Dir(path), mode)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := parent.mkdir(filepath.Base(path), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return parent.Sub(filepath.Base(path))
}

// Put writes a file whole or not at all. Its directory exists.
func Put(path string, data []byte, mode Mode) error {
	return PutOwned(path, data, mode, os.Geteuid(), os.Getegid())
}

// PutOwned is Put for a file of somebody else's, by their numbers.
func PutOwned(path string, data []byte, mode Mode, uid, gid int) error {
	path, err := placed(path)
	if err != nil {
		return err
	}
	d, name, err := OpenParent(path)
	if err != nil {
		return err
	}
	defer d.Close()
	tmp := Temporary(name)
	if err := d.Remove(tmp); err != nil { // a killed run left it
		return err
	}
	f, err := d.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if uid != os.Geteuid() || gid != os.Getegid() {
		err = errors.Join(err, unix.Fchown(int(f.Fd()), uid, gid))
	}
	err = errors.Join(err, unix.Fchmod(int(f.Fd()), uint32(mode)), f.Close())
	if err == nil {
		err = d.Rename(tmp, name)
	}
	if err != nil {
		_ = d.Remove(tmp)
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Drop removes a file that Put wrote.
func Drop(path string) error {
	path, err := placed(path)
	if err != nil {
		return err
	}
	d, name, err := OpenParent(path)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Remove(name)
}

// OpenLock opens a file to lock, readable by its owner alone. It makes it where
// it is missing, and its directory.
func OpenLock(path string) (*os.File, error) {
	d, err := MakeDirs(filepath.Dir(path), 0o700)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.open(filepath.Base(path), unix.O_RDWR|unix.O_CREAT)
}

// Overwrite writes to a file as it stands: the kernel's parameters are such.
func Overwrite(path string, data []byte) error {
	d, name, err := OpenParent(path)
	if err != nil {
		return err
	}
	defer d.Close()
	f, err := d.open(name, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
