package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"
)

// Create writes a new store, whose file must not be there yet. Its folder is made.
func Create(path string, to []Recipient) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unlock, err := lock(path)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: %w", path, fs.ErrExist)
	}
	src, err := New(path, to)
	if err != nil {
		return err
	}
	return write(path, src, nil)
}

// Update opens a store, edits it and writes it. Others who update it wait meanwhile, and
// none of their edits is lost. Where edit fails, or edits nothing, nothing is written. The file is
// replaced as a whole, and keeps its mode.
func Update(path string, identities []age.Identity, edit func(*Store) error) error {
	target, err := filepath.EvalSymlinks(path) // of a link, what it leads to is written
	if err != nil {
		target = path // what is missing is said by Open
	}
	unlock, err := lock(target)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := Open(path, identities...)
	if err != nil {
		return err
	}
	if err := edit(s); err != nil {
		return err
	}
	out, err := s.Bytes()
	if err != nil || bytes.Equal(out, s.src) {
		return err
	}
	// What was written is read once more: what can't be read is never left behind.
	again, err := Parse(path, out)
	if err == nil {
		err = again.Unlock(identities...)
	}
	if err != nil {
		return fmt.Errorf("what would be written can't be opened, so nothing is: %w", err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	return write(target, out, info)
}

// MergeInto merges two sides as Merge does, and writes the result to the file of ours, whose content
// is given by its path alone. Where it fails nothing is written. Others who update the file wait meanwhile.
func MergeInto(path, name string, base, theirs Side, o MergeOptions) (ours Side, err error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ours, err
	}
	unlock, err := lock(target)
	if err != nil {
		return ours, err
	}
	defer unlock()
	info, err := os.Stat(target)
	if err != nil {
		return ours, err
	}
	src, err := os.ReadFile(target)
	if err != nil {
		return ours, err
	}
	ours = Side{Name: name, Src: src}
	out, err := Merge(base, ours, theirs, o)
	if err != nil || bytes.Equal(out, src) {
		return ours, err
	}
	return ours, write(target, out, info)
}

// lockWait is how long others may take for their edits.
const lockWait = 30 * time.Second

// lock keeps others from writing stores in a store's folder. It is the folder that is
// locked: the file itself is replaced, and a file of its own would get into git.
func lock(path string) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("locking the store: %w", err)
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = dir.Close() }, nil
		case errors.Is(err, unix.EWOULDBLOCK) && time.Now().After(end):
			err = fmt.Errorf("another muster has been writing a store in %s for %s", filepath.Dir(path), lockWait)
		case errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR):
			continue
		default:
			err = fmt.Errorf("locking the folder %s: %w", filepath.Dir(path), err)
		}
		_ = dir.Close()
		return nil, err
	}
}

// write puts a file in its place at once, with the mode of info where there is one, and with its
// owner as far as the user may give files away.
func write(path string, content []byte, info fs.FileInfo) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	mode := fs.FileMode(0o644)
	if info != nil {
		mode = info.Mode()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
			if err = tmp.Chown(int(st.Uid), int(st.Gid)); errors.Is(err, fs.ErrPermission) {
				_ = tmp.Chown(-1, int(st.Gid)) // of a file that one may not give away the group at least
				err = nil
			}
		}
	}
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
