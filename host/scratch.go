package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Scratch is a private folder for what a plan or a change has to hand to a
// program: a copy that is validated, a script.
type Scratch struct{ path string }

// Scratch makes such a folder. It lies in memory where the host has such a
// place: planning writes nowhere else.
func (v *View) Scratch() (*Scratch, error) { return NewScratch() }

// scratchName is how the names of private folders begin; none is in use for longer than
// scratchLasts after its last file was put there.
const (
	scratchName  = "muster-plan-"
	scratchLasts = 6 * time.Hour
)

// NewScratch makes a private folder, and removes those that musters which were killed have
// left there.
func NewScratch() (s *Scratch, err error) {
	for _, parent := range []string{"/run", "/dev/shm", os.TempDir()} {
		var dir string
		if dir, err = os.MkdirTemp(parent, scratchName); err == nil {
			sweep(parent)
			return &Scratch{dir}, nil
		}
	}
	return nil, fmt.Errorf("making a private folder: %w", err)
}

// sweep removes private folders that nobody uses any more; whose they aren't can't.
func sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), scratchName) || !e.IsDir() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > scratchLasts {
			_ = os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
}

// Path is where the folder lies.
func (s *Scratch) Path() string { return s.path }

// Write puts a file into the folder, or into one of its own folders, and returns
// its path.
func (s *Scratch) Write(name string, data []byte, mode Mode) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q isn't in the private folder", name)
	}
	path := filepath.Join(s.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, os.FileMode(mode&0o777))
}

// MakeDir makes a folder in it.
func (s *Scratch) MakeDir(name string) error { return os.Mkdir(filepath.Join(s.path, name), 0o700) }

// Share gives one of its folders other permissions, "." the folder itself: for a program that
// does its work as another user.
func (s *Scratch) Share(name string, mode os.FileMode) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q isn't in the private folder", name)
	}
	return os.Chmod(filepath.Join(s.path, name), mode)
}

// Remove removes the folder with all that is in it.
func (s *Scratch) Remove() { _ = os.RemoveAll(s.path) }
