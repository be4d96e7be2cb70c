// Package outfile writes the files that a user names for a result: a report, a saved plan.
package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Write replaces a file by one with this content, in one step, so that who reads it never
// reads half. A link is followed. What is no file, as a terminal, a pipe or what /dev/stdout
// stands for, is written to and stays what it is.
func Write(path string, content []byte, mode fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if path, err = destination(path); err != nil {
		return err
	}
	switch path {
	case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		_, err := os.Stdout.Write(content)
		return err
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		_, err := os.Stderr.Write(content)
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() || inherited(path) {
		return into(path, content)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// destination follows links, but for those of open files: where they lead says the kernel.
func destination(path string) (string, error) {
	for range 40 {
		if inherited(path) {
			return path, nil
		}
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link, or nothing
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = filepath.Clean(to)
	}
	return "", &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
}

// inherited reports whether a path stands for a file that this process has open: it may be
// one that others go on writing to, as a log.
func inherited(path string) bool {
	return strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/proc/")
}

func into(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
