package mysql

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"muster/host"
)

// A server that gets another's data passes through states that a kill can leave at any
// moment. Each is told by what is on the disk, so that the next run goes on, or clears it
// away, and no half data directory is ever started:
//
//	copyNote             muster is about it; it has the method, the donor, the data directory
//	DIR.muster-copy      files arrive there, and are prepared there: nothing to be used
//	DIR.muster-ready     the same directory, under this name once it is complete
//	DIR/muster_copied    the mark that it was given as such: it goes where the directory goes
//	DIR.muster-old       what was the data directory, until the replica runs
//
// The directories are exchanged in one step, so that the data directory is always a whole
// one. A dump and a clone are made by the running server; their states stand in the note.

// copyPath is the note.
const copyPath = stateDir + "/copy.json"

// copyMark is a file in a data directory that was copied from another server and isn't a
// replica's yet.
const copyMark = "muster_copied"

// copyState is how far a server has come to another's data.
type copyState string

const (
	copying  copyState = "copying"  // files arrive; the server's own data is untouched
	prepared copyState = "prepared" // they are complete, beside the server's own data
	swapped  copyState = "swapped"  // they are the server's data
	loading  copyState = "loading"  // a dump is being loaded into the server
	cloning  copyState = "cloning"  // the server is cloning another one
	loaded   copyState = "loaded"   // a dump or a clone is complete
	placed   copyState = "placed"   // the server knows at which position its data is
)

// copyNote is what is noted of a server that gets another's data. It is written before
// anything is done, and removed when all is done.
type copyNote struct {
	Donor   string    `json:"donor"` // the host, as the inventory names it
	Method  string    `json:"method"`
	Flavor  flavor    `json:"flavor"`
	DataDir string    `json:"data_dir"` // without links
	Unit    string    `json:"unit"`
	State   copyState `json:"state"` // of files: copying, until placed
	// Position is the one of a dump that is loaded.
	Position string `json:"position,omitempty"`
	// Had are the directories of databases that the server had when a copy of files was begun.
	Had []string `json:"had,omitempty"`
	// Begun is when a clone was begun, by the server's clock and in its words.
	Begun string `json:"begun,omitempty"`
}

func (n *copyNote) copyDir() string  { return n.DataDir + ".muster-copy" }
func (n *copyNote) readyDir() string { return n.DataDir + ".muster-ready" }
func (n *copyNote) oldDir() string   { return n.DataDir + ".muster-old" }

func (n *copyNote) write(state copyState) error {
	d, err := host.MakeDirs(stateDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	n.State = state
	data, err := host.Marshal(n)
	if err != nil {
		return err
	}
	return host.Put(copyPath, data, 0o600)
}

// leftCopy is what there is of a copy that isn't over: it was cut, or it goes on.
type leftCopy struct {
	copyNote
	// arrived: something lies where files arrive. old: the data directory of before is there.
	arrived, old bool
}

// leftOver returns what there is of a copy that isn't over, nil where there is none. It
// asks no server, which may be stopped.
func leftOver(ctx context.Context, v *host.View) (*leftCopy, error) {
	data, err := v.ReadFile(ctx, copyPath, noteLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readLeft(v, data)
}

// readLeft completes what is noted by what is on the disk.
func readLeft(v *host.View, note []byte) (l *leftCopy, err error) {
	l = &leftCopy{}
	if host.Unmarshal(note, &l.copyNote) != nil || !filepath.IsAbs(l.DataDir) {
		return nil, nil // nobody but muster writes there: what it said can't be told any more
	}
	there := func(path string) (is bool) {
		if err == nil {
			var info host.FileInfo
			info, err = v.Lstat(path)
			is = info.Exists()
		}
		return is
	}
	l.arrived, l.old = there(l.copyDir()), there(l.oldDir())
	if l.Method == byBackup && l.State == copying {
		switch {
		case there(filepath.Join(l.DataDir, copyMark)):
			l.State = swapped
			// Under this name lies the old one, where it was cut between two renames.
			l.old = l.old || there(l.readyDir())
		case there(filepath.Join(l.readyDir(), copyMark)):
			l.State = prepared
		}
	}
	return l, err
}

// inPlace reports whether the server has the other's data: what is left is to say so to it.
func (l *leftCopy) inPlace() bool {
	return l != nil && (l.State == swapped || l.State == loaded || l.State == placed)
}

// String says what was found, for a plan.
func (l *leftCopy) String() string {
	from := map[string]string{byBackup: "a backup of ", byDump: "a dump of ", byClone: "a clone of "}[l.Method] + l.Donor
	switch l.State {
	case copying:
		return "left over from " + from + " that was cut off: it is begun anew"
	case prepared:
		return from + " is complete beside the server's own data: it is put in their place"
	case swapped, loaded:
		return from + " is in place, and the server isn't its replica yet"
	case loading, cloning:
		return "left over from " + from + " that was cut off: the server has a part of the data; it is begun anew"
	case placed:
		return from + " is in place; what is left is to end it"
	}
	return "left over from " + from
}

// copyEffects is what a change of a copy may alter: the server with all that it has, the
// data directory and what lies beside it.
func (n *copyNote) copyEffects() []host.Effect {
	list := []host.Effect{
		host.Open(host.Units, n.Unit), host.Open(databases, ""), host.Open(users, ""), host.Open(statements, ""),
		host.Open(host.Files, copyPath),
	}
	list = append(list, stateEffects()...)
	for _, dir := range []string{n.DataDir, n.copyDir(), n.readyDir(), n.oldDir()} {
		list = append(list, host.Open(host.Files, dir), host.Begins(host.Files, dir+"/"))
	}
	return list
}

// stateEffects is that the folder of muster's notes may come to be.
func stateEffects() []host.Effect {
	return []host.Effect{{Key: host.File(stateDir), State: host.Possible}, {Key: host.File(filepath.Dir(stateDir)), State: host.Possible}}
}

// bytesText is a size for people: "1.2 GB".
func bytesText(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	f := float64(n) / 1000
	for len(units) > 1 && f >= 999.95 {
		f, units = f/1000, units[1:]
	}
	return strings.TrimSuffix(trimFloat(f), ".0") + " " + units[0]
}

func trimFloat(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
