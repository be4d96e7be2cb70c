package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"muster/internal/lang/plays"
)

// noted is the note of a rotation on this machine.
type noted struct {
	Version  int       `json:"version"`
	Promoted time.Time `json:"promoted"`
	Midway   midway    `json:"midway,omitzero"`
}

func notePath(dir, name string) string {
	return filepath.Join(dir, "rotations", name+".json")
}

func readNoted(dir, name string) (n noted) {
	data, err := os.ReadFile(notePath(dir, name))
	if err != nil || json.Unmarshal(data, &n) != nil {
		return noted{}
	}
	return n
}

// keepHere writes what is noted on this machine, at once and for good: a store that is
// written after its note isn't without it where the power goes.
func keepHere(path string, x any) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".note-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return errors.Join(syncFolder(dir), syncFolder(filepath.Dir(dir)))
}

// syncFolder has the disk keep a folder's list of files.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Promoted notes when a version was promoted.
func (t *rotator) Promoted(r *plays.Rotation, version int, at time.Time) error {
	n := readNoted(t.dir, r.Name)
	n.Version, n.Promoted = version, at
	return keepHere(notePath(t.dir, r.Name), n)
}

// PromotedAt returns when a version was promoted.
func (t *rotator) PromotedAt(r *plays.Rotation, version int) (time.Time, bool) {
	n := readNoted(t.dir, r.Name)
	return n.Promoted, n.Version == version && !n.Promoted.IsZero()
}
