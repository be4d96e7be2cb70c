package mysql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
)

// PlaceCopy tells a server that has another's data at which position of the other's binary
// log that is, so that it goes on from there. Its own binary log begins anew.
type PlaceCopy struct {
	Copy copyNote `json:"copy"`
}

// Type is "mysql.copy.place/1".
func (*PlaceCopy) Type() string { return "mysql.copy.place/1" }

// Describe is that the position is set. Which it is stands in the copy: it isn't known before.
func (p *PlaceCopy) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "replication position", Impact: "the one of the copy of " + p.Copy.Donor + "'s data; the server's binary log begins anew"}
}

// Effects is all that a copy may alter.
func (p *PlaceCopy) Effects() []host.Effect { return p.Copy.copyEffects() }

// Apply sets nothing where it has been set already: the replica may have gone on since.
func (p *PlaceCopy) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	n, err := noteNow(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	if n.State == placed {
		return host.Result{}, nil
	}
	switch {
	case n.State == swapped:
		if n.Position, err = copiedPosition(n.DataDir); err != nil {
			return host.Result{}, err
		}
	case n.State != loaded:
		return host.Result{}, fmt.Errorf("the copy isn't in place: %w", host.ErrMoved)
	}
	s, err := awaitServer(ctx, h, n.Unit)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	closed, err := s.writable(ctx)
	if err != nil {
		return host.Result{}, err
	}
	err = s.place(ctx, n)
	if err := errors.Join(err, closed.back(ctx, s)); err != nil {
		return host.Result{}, fmt.Errorf("setting the position of the copy: %w", err)
	}
	if err := h.At("set the position"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, n.write(placed)
}

// noteNow is the note as it stands.
func noteNow(ctx context.Context, h *host.Host) (*copyNote, error) {
	l, err := leftOver(ctx, host.NewView(h, nil))
	if err == nil && l == nil {
		err = fmt.Errorf("nothing is noted of a copy: %w", host.ErrMoved)
	}
	if err != nil {
		return nil, err
	}
	return &l.copyNote, nil
}

// copiedPosition reads the position of a copy in a data directory: the last of the fields.
func copiedPosition(dataDir string) (string, error) {
	d, err := host.OpenDir(dataDir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	for _, name := range positionFiles {
		e, err := d.Entry(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		data, err := e.Read(ownLimit)
		e.Close()
		if err != nil {
			return "", err
		}
		position, ok := parsePosition(string(data))
		if !ok {
			return "", fmt.Errorf("%s doesn't tell a position of GTIDs", filepath.Join(dataDir, name))
		}
		return position, nil
	}
	return "", fmt.Errorf("%s lacks %s, which tells the position of the copy", dataDir, positionFiles[0])
}

// parsePosition reads FILE POSITION GTIDS; the third is empty where the donor's binary log
// has had no transaction.
func parsePosition(text string) (string, bool) {
	fields := strings.Split(strings.TrimRight(text, "\n"), "\t")
	if len(fields) < 2 || len(fields) > 3 {
		return "", false
	}
	if len(fields) == 2 {
		return "", true
	}
	position := oneWord(fields[2])
	return position, strings.Trim(position, "0123456789-,") == ""
}

// place sets a position.
func (s *server) place(ctx context.Context, n *copyNote) error {
	// A clone has the donor's own source, too.
	if err := s.forgetSource(ctx); err != nil {
		return err
	}
	statements := []string{"RESET MASTER", "SET GLOBAL gtid_slave_pos = " + literal(n.Position)}
	switch {
	case s.flavor == mysqlOwn && n.Method == byClone: // it has its position already
		statements = nil
	case s.flavor == mysqlOwn:
		if statements[1] = "SET GLOBAL gtid_purged = " + literal(n.Position); s.atLeast([3]int{8, 2, 0}) {
			statements[0] = "RESET BINARY LOGS AND GTIDS"
		}
	default:
		vars, err := s.variables(ctx, "log_bin")
		if err != nil {
			return err
		}
		if !yes(vars["log_bin"]) {
			statements = statements[1:]
		}
	}
	for _, statement := range statements {
		if err := s.do(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", oneLine(statement, 60), err)
		}
	}
	if n.Method == byClone { // the account that it was made with is there, too
		if err := s.do(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
			return err
		}
		if err := s.dropLeftClones(ctx); err != nil {
			return fmt.Errorf("removing the account of the clone: %w", err)
		}
		if err := s.do(ctx, "SET SESSION sql_log_bin = 1"); err != nil {
			return err
		}
	}
	return s.quietEvents(ctx)
}

// quietEvents keeps the events that came with the data from running here: what they do on
// the primary is replicated.
func (s *server) quietEvents(ctx context.Context) error {
	rows, err := s.rows(ctx, "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'")
	if err != nil || len(rows) == 0 {
		return err
	}
	if err := s.do(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
		return err
	}
	where := "SLAVE"
	if s.flavor == mysqlOwn && s.atLeast([3]int{8, 4, 0}) {
		where = "REPLICA"
	}
	for _, r := range rows {
		if err := s.do(ctx, "ALTER EVENT "+ident(r[0])+"."+ident(r[1])+" DISABLE ON "+where); err != nil {
			return fmt.Errorf("disabling the event %s.%s: %w", r[0], r[1], err)
		}
	}
	return s.do(ctx, "SET SESSION sql_log_bin = 1")
}

// closed is whether a server took no writes at all before it was opened to root's.
type closed bool

// writable lets root write to a server of MySQL's that takes no writes at all.
func (s *server) writable(ctx context.Context) (closed, error) {
	vars, err := s.variables(ctx, "super_read_only")
	if err != nil || !yes(vars["super_read_only"]) {
		return false, err
	}
	return true, s.do(ctx, "SET GLOBAL super_read_only = OFF")
}

// back has the server as it was.
func (c closed) back(ctx context.Context, s *server) error {
	if !c {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTime)
	defer cancel()
	return s.do(ctx, "SET GLOBAL super_read_only = ON")
}

// startTime is how long a server that was started may take to answer: it may have much to
// recover.
const startTime = 15 * time.Minute

// awaitServer starts the server where it doesn't run, and connects to it.
func awaitServer(ctx context.Context, h *host.Host, unit string) (*server, error) {
	if err := systemctl(ctx, h, "start", unit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("%s hasn't answered within %s", unit, startTime))
	defer cancel()
	var s *server
	var last error
	err := until(ctx, pollTime, func() (bool, error) {
		s, last = acting(ctx, h)
		return last == nil, nil
	})
	if err != nil {
		if s != nil {
			s.Close()
		}
		return nil, errors.Join(err, last)
	}
	return s, nil
}

// EndCopy removes what is left of a copy once the server is a replica: the data directory
// of before, and what says that it isn't one yet.
type EndCopy struct {
	Copy copyNote `json:"copy"`
}

// Type is "mysql.copy.end/1".
func (*EndCopy) Type() string { return "mysql.copy.end/1" }

// Describe names what goes.
func (e *EndCopy) Describe() host.Description {
	d := host.Description{Action: host.Delete, Target: "note of the copy of " + e.Copy.Donor + "'s data"}
	if e.Copy.Method == byBackup {
		d.Target, d.Impact = e.Copy.oldDir(), "the server's data from before the copy"
	}
	return d
}

// Effects is all that a copy may alter.
func (e *EndCopy) Effects() []host.Effect { return e.Copy.copyEffects() }

// Apply removes the note last: cut before that, it is made again.
func (e *EndCopy) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	n, err := noteNow(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	if n.State != placed {
		return host.Result{}, fmt.Errorf("the copy isn't in place: %w", host.ErrMoved)
	}
	c, err := openPlaces(n)
	if err != nil {
		return host.Result{}, err
	}
	defer c.parent.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	for _, name := range []string{c.old, c.ready, filepath.Base(n.copyDir())} {
		if err := c.parent.RemoveAll(name); err != nil {
			return host.Result{}, err
		}
	}
	if err := h.At("removed the old data directory"); err != nil {
		return host.Result{}, err
	}
	data, err := c.parent.Sub(c.data)
	if err != nil {
		return host.Result{}, err
	}
	defer data.Close()
	if err := data.Remove(copyMark); err != nil {
		return host.Result{}, err
	}
	if err := h.At("removed the mark"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, host.Drop(copyPath)
}
