package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"muster/host"
)

// PrepareCopy makes the files that have arrived into those of a server that was stopped
// well, and calls them ready.
type PrepareCopy struct {
	Copy copyNote `json:"copy"`
}

// Type is "mysql.copy.prepare/1".
func (*PrepareCopy) Type() string { return "mysql.copy.prepare/1" }

// Describe is that the copy becomes whole.
func (p *PrepareCopy) Describe() host.Description {
	return host.Description{Action: host.Update, Target: p.Copy.readyDir(), Impact: "what was written while the copy was made is applied to it"}
}

// Effects is all that a copy may alter.
func (p *PrepareCopy) Effects() []host.Effect { return p.Copy.copyEffects() }

// Interruptible: it may take long. The copy is then begun anew.
func (*PrepareCopy) Interruptible() {}

// alien are files of a server's own identity and replication: a copy has none of another's.
var alien = []string{"auto.cnf", "master.info", "relay-log.info", "multi-master.info"}

// copyProof are files of which a whole copy has one each: how MariaDB from 11 on calls
// them, and before.
var copyProof = [][]string{{"mariadb_backup_checkpoints", "xtrabackup_checkpoints"}, positionFiles}

// positionFiles tell the position of a copy: FILE POSITION GTIDS, with tabs between.
var positionFiles = []string{"mariadb_backup_binlog_info", "xtrabackup_binlog_info"}

// Apply leaves the copy as it is where it has been made ready already.
func (p *PrepareCopy) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	n := p.Copy
	parent, name, err := host.OpenParent(n.copyDir())
	if err != nil {
		return host.Result{}, err
	}
	defer parent.Close()
	dir, err := parent.Sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		if ready, readyErr := parent.Sub(filepath.Base(n.readyDir())); readyErr == nil {
			ready.Close()
			return host.Result{}, nil
		}
		return host.Result{}, fmt.Errorf("%s isn't there: %w", n.copyDir(), host.ErrMoved)
	}
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	for _, names := range copyProof {
		if !slices.ContainsFunc(names, func(name string) bool { t, err := dir.Type(name); return err == nil && t == host.Regular }) {
			return host.Result{}, fmt.Errorf("the copy in %s isn't whole: it lacks %s", n.copyDir(), names[0])
		}
	}
	owner, err := ownerOf(n.copyDir())
	if err != nil {
		return host.Result{}, err
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if h.Report != nil {
		h.Report("applying what was written while the copy was made")
	}
	out, err := h.Runner.Run(ctx, host.Command{
		Argv:        owner.as(backupProgram, "--prepare", "--target-dir="+n.copyDir(), fmt.Sprintf("--use-memory=%d", prepareMemory())),
		OutputLimit: toolOutput,
	})
	if err := toolError(backupProgram+" --prepare", out, err); err != nil {
		return host.Result{}, err
	}
	if err := h.At("prepared the copy"); err != nil {
		return host.Result{}, err
	}
	for _, name := range alien {
		if err := dir.Remove(name); err != nil {
			return host.Result{}, err
		}
	}
	mark, err := dir.Create(copyMark)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err != nil {
		return host.Result{}, err
	}
	if mark != nil {
		_ = mark.Close()
	}
	if err := dir.SyncAll(); err != nil {
		return host.Result{}, err
	}
	if err := parent.RenameNew(name, filepath.Base(n.readyDir())); err != nil {
		return host.Result{}, err
	}
	if err := parent.Sync(); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("called the copy ready")
}

// prepareMemory is how much memory the tool may take, in bytes: a quarter of what the
// host has left, and between its own default and 2 GiB.
func prepareMemory() int64 {
	const least, most = 100 << 20, 2 << 30
	table, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return least
	}
	_, rest, _ := bytes.Cut(table, []byte("MemAvailable:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return least
	}
	kb, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return min(max(kb<<10/4, least), most)
}
