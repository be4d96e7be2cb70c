// Package outfile writes the files that a user names for a result: a report, a saved plan.
package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file by one with this content, in one step, so that who reads it never
// reads half. A link is followed, and what is no file, as a terminal, a pipe or
// /dev/stdout, is written to and stays what it is.
func Write(path string, content []byte, mode fs.FileMode) error {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		path = at
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
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

func into(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
