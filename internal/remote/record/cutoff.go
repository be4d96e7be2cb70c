package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/wire"
)

// CutOff is a run that was cut off in an atomic task.
type CutOff struct {
	Run   string
	Since time.Time
	Edits []wire.Undo // in the order in which they were made; the last may not have been

	dir string
}

// CutOffs returns the runs, other than one, of which an atomic task was begun and
// hasn't ended although nobody is making it any more, oldest first.
func CutOffs(dir, except string) ([]CutOff, error) {
	var list []CutOff
	err := abandoned(dir, except, func(run string, since time.Time, left *Left) {
		if len(left.Edits) > 0 {
			list = append(list, CutOff{Run: run, Since: since, Edits: left.Edits, dir: dir})
		}
	})
	slices.SortFunc(list, func(a, b CutOff) int { return a.Since.Compare(b.Since) })
	return list, err
}

// Running returns the processes that still act for runs, other than one, although
// their remotes have ended.
func Running(dir, except string) []process.ID {
	var list []process.ID
	_ = abandoned(dir, except, func(_ string, _ time.Time, left *Left) { // whoever may not look there has started none
		for _, id := range left.runs {
			if id.Runs() {
				list = append(list, id)
			}
		}
	})
	return list
}

// abandoned calls each with what is left of every run, other than one, that nobody
// has the record of, and when that was last written.
func abandoned(dir, except string, each func(run string, since time.Time, left *Left)) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		run, ok := strings.CutSuffix(e.Name(), ".journal")
		if !ok || run == except || !runName.MatchString(run) || !e.Type().IsRegular() {
			continue
		}
		if since, left, err := readAbandoned(filepath.Join(dir, e.Name())); err == nil {
			each(run, since, left)
		}
	}
	return nil
}

// readAbandoned reads a record, unless somebody has it.
func readAbandoned(path string) (since time.Time, left *Left, err error) {
	f, err := os.Open(path)
	if err != nil {
		return since, nil, err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return since, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return since, nil, err
	}
	data, err := os.ReadFile(f.Name())
	left, _ = read(data, nil)
	return info.ModTime(), left, err
}

// Path is where it is kept.
func (c *CutOff) Path() string { return filepath.Join(c.dir, c.Run+".journal") }

// Settle removes the record: what was left is taken back.
func (c *CutOff) Settle() error {
	return errors.Join(host.Drop(c.Path()), host.Drop(filepath.Join(c.dir, c.Run+".fence")))
}
