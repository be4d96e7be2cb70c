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
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []CutOff
	for _, e := range entries {
		run, ok := strings.CutSuffix(e.Name(), ".journal")
		if !ok || run == except || !runName.MatchString(run) || !e.Type().IsRegular() {
			continue
		}
		c := CutOff{Run: run, dir: dir}
		if err := c.read(); err == nil && len(c.Edits) > 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b CutOff) int { return a.Since.Compare(b.Since) })
	return list, nil
}

// read takes the edits, unless somebody has the record.
func (c *CutOff) read() error {
	f, err := os.Open(c.Path())
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	left, _ := read(data)
	c.Since, c.Edits = info.ModTime(), left.Edits
	return nil
}

// Path is where it is kept.
func (c *CutOff) Path() string { return filepath.Join(c.dir, c.Run+".journal") }

// Settle removes the record: what was left is taken back.
func (c *CutOff) Settle() error {
	return errors.Join(host.Drop(c.Path()), host.Drop(filepath.Join(c.dir, c.Run+".fence")))
}
