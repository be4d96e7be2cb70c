package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Ledger is the file in which it is kept what receivers were told, by receiver and
// inventory. It is locked from Open to Close: two checks that end at once tell one after
// the other.
type Ledger struct {
	path string
	lock *os.File
	told map[string]map[string]Told
}

// ErrForgotten says that a ledger can't be read: receivers are told all that stands once more.
var ErrForgotten = errors.New("what was told before can't be read, so all that stands is told again")

// OpenLedger opens the one in a folder that exists. The error may be ErrForgotten, and the
// ledger is usable then; else there is none.
func OpenLedger(dir string) (*Ledger, error) {
	l := &Ledger{path: filepath.Join(dir, "notified.json"), told: map[string]map[string]Told{}}
	var err error
	if l.lock, err = os.OpenFile(l.path+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(l.lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	text, err := os.ReadFile(l.path)
	if err == nil {
		err = json.Unmarshal(text, &l.told)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		l.told = map[string]map[string]Told{}
		return l, fmt.Errorf("%w: %w", ErrForgotten, err)
	}
	if l.told == nil {
		l.told = map[string]map[string]Told{}
	}
	return l, nil
}

// Told is what a receiver knows of an inventory.
func (l *Ledger) Told(to, inventory string) Told { return l.told[to][inventory] }

// Keep has a receiver know.
func (l *Ledger) Keep(to, inventory string, t Told) {
	if l.told[to] == nil {
		l.told[to] = map[string]Told{}
	}
	l.told[to][inventory] = t
}

// Only forgets receivers that aren't among the names.
func (l *Ledger) Only(names map[string]bool) {
	for name := range l.told {
		if !names[name] {
			delete(l.told, name)
		}
	}
}

// Save writes the ledger, whole or not at all.
func (l *Ledger) Save() error {
	text, err := json.Marshal(l.told)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(l.path), ".notified-")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), l.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Close lets others have it.
func (l *Ledger) Close() error { return l.lock.Close() }
