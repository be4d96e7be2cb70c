package mysql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// ChecksumSource reads what a replica is compared with: the companion of mysql_checksum on
// the primary. It only reads.
type ChecksumSource struct {
	Databases []string `arg:"databases"`
	Chunk     int      `arg:"chunk" default:"5000"`
	// Fenced lets it keep everybody from writing to a table for a moment.
	Fenced bool `arg:"fenced"`
}

// sourceOutput is what it tells: all parts of all tables, read once.
type sourceOutput struct {
	Flavor   flavor `json:"flavor"`
	ServerID int64  `json:"server_id"`
	UUID     string `json:"uuid,omitempty"` // MySQL's server_uuid
	// Before is what the server had before its tables were listed, After what it had then.
	Before string        `json:"before"`
	After  string        `json:"after"`
	Tables []sourceTable `json:"tables"`
	// Missing are those of the databases that there aren't.
	Missing []string `json:"missing,omitempty"`
}

// sourceTable is a table as the primary has it, read at one moment.
type sourceTable struct {
	table
	// Before and After are positions: what was read has all of Before, and After has all
	// that was read.
	Before string `json:"before"`
	After  string `json:"after"`
	Parts  []part `json:"parts,omitempty"`
	// Problem is why it couldn't be read.
	Problem string `json:"problem,omitempty"`
}

// part is a part of a table with its sums.
type part struct {
	span
	sums
}

// checksumTime is how long one side may take to read all of its tables once.
const checksumTime = 6 * time.Hour

// May is nothing.
func (*ChecksumSource) May() []host.Effect { return []host.Effect{} }

// Plan reads all parts of all tables.
func (c *ChecksumSource) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	if err := settledRole(v); err != nil {
		return plan, err
	}
	if err := c.toCome(ctx, v); err != nil {
		return plan, err
	}
	o, err := readingLong(ctx, v, c.read)
	if err != nil {
		return plan, err
	}
	if len(o.Missing) > 0 && v.Tainted() { // a command that is pending may make it
		return plan, fmt.Errorf("the primary has no database %s", strings.Join(o.Missing, ", "))
	}
	plan.Output, err = host.Marshal(o)
	return plan, err
}

// toCome is host.ErrNotYet where pending changes are about one of the databases: it can't
// be read as it is to be.
func (c *ChecksumSource) toCome(ctx context.Context, v *host.View) error {
	if len(c.Databases) == 0 {
		return nil
	}
	k, err := readDatabases(ctx, v)
	if err != nil {
		return err
	}
	for _, name := range c.Databases {
		key := databaseKey(k.fold(name))
		_, laid, open, err := v.Look(key)
		if err != nil {
			return err
		}
		if _, there := k.all[key.Name]; laid || open && !there {
			return host.NotYet(key)
		}
	}
	return nil
}

// readingLong has do read tables while planning, in a session as comparing takes it.
func readingLong[T any](ctx context.Context, v *host.View, do func(context.Context, *server) (T, error)) (T, error) {
	var none T
	if !host.IsRoot() {
		return none, errors.New(`only root may ask the database server: give the task "become = true"`)
	}
	s, err := connect(ctx, viewDialer(v))
	if err != nil {
		return none, unanswered(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, checksumTime)
	defer cancel()
	if err := s.compares(ctx); err != nil {
		return none, err
	}
	t, err := do(ctx, s)
	return t, unanswered(err)
}

// compares has a session read as it has to on both sides, however long that takes.
func (s *server) compares(ctx context.Context) error {
	timeless := "max_statement_time = 0"
	if s.flavor == mysqlOwn {
		timeless = "max_execution_time = 0"
	}
	if err := s.do(ctx, fmt.Sprintf("SET SESSION time_zone = '+00:00', sql_big_selects = 1, wait_timeout = %d, ", int(checksumTime.Seconds()))+timeless); err != nil {
		return err
	}
	return s.do(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
}

func (c *ChecksumSource) read(ctx context.Context, s *server) (o sourceOutput, err error) {
	o.Flavor = s.flavor
	vars, err := s.variables(ctx, "server_id", "server_uuid", "log_bin")
	if err != nil {
		return o, err
	}
	if !yes(vars["log_bin"]) {
		return o, stated("the primary has no binary log (log_bin), by which a replica could tell at what moment it was read: its mysql_server task sets it")
	}
	if s.flavor == mysqlOwn {
		o.UUID = vars["server_uuid"]
	}
	_, _ = fmt.Sscan(vars["server_id"], &o.ServerID)
	if o.Missing, err = s.missing(ctx, c.Databases); err != nil || len(o.Missing) > 0 {
		return o, err
	}
	if o.Before, err = s.executed(ctx); err != nil {
		return o, err
	}
	tables, err := s.tables(ctx, c.Databases)
	if err != nil {
		return o, err
	}
	if o.After, err = s.executed(ctx); err != nil {
		return o, err
	}
	for _, t := range tables {
		at, err := s.sourceTable(ctx, t, int64(c.Chunk))
		if err != nil {
			return o, err
		}
		o.Tables = append(o.Tables, at)
	}
	return o, nil
}

// missing are those of some databases that there aren't.
func (s *server) missing(ctx context.Context, names []string) (list []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := s.rows(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return nil, fmt.Errorf("asking which databases there are: %w", err)
	}
	for _, n := range names {
		if !slices.ContainsFunc(rows, func(r []string) bool { return s.fold(r[0]) == s.fold(n) }) {
			list = append(list, n)
		}
	}
	return list, nil
}

// errNoTable are a table that isn't there, or is another by now.
var errNoTable = []uint16{1146, 1049, 1054, 1412}

const alteredMeanwhile = "it was dropped or altered while it was read"

// unread says why a table couldn't be read for now; "" where err is about something else.
func unread(err error) string {
	switch {
	case isError(err, errNoTable...):
		return alteredMeanwhile
	case isError(err, 1205, 1213): // a lock that isn't had in time, or is taken for a deadlock
		return "its writers, or who has locked it, don't come to an end"
	}
	return ""
}

// sourceTable reads a whole table at one moment.
func (s *server) sourceTable(ctx context.Context, t *table, most int64) (at sourceTable, err error) {
	at.table = *t
	if at.Before, err = s.snapshot(ctx); err != nil {
		return at, fmt.Errorf("taking a snapshot: %w", err)
	}
	read := func(p span) error {
		sums, err := s.sum(ctx, t, p)
		at.Parts = append(at.Parts, part{p, sums})
		return err
	}
	if err = s.spans(ctx, t, most, read); errors.Is(err, errUnordered) {
		at.Parts, err = nil, nil
		err = read(span{})
	}
	if why := unread(err); why != "" {
		at.Problem, at.Parts, err = why, nil, nil
	}
	if err == nil {
		at.After, err = s.seen(ctx, at.Before)
	}
	if err != nil {
		return at, err
	}
	return at, s.do(ctx, "ROLLBACK")
}

// partRequest asks for a part of a table, as it is at that moment.
type partRequest struct {
	Schema string `json:"database"`
	Table  string `json:"table"`
	Part   span   `json:"part"`
	// Fence: nobody writes to the table until the receiver closes, or fenceTime is over.
	Fence bool `json:"fence,omitempty"`
}

// partAnswer is what is sent for it, JSON in one line.
type partAnswer struct {
	sums
	// Before and After are as in sourceTable.
	Before string `json:"before"`
	After  string `json:"after"`
	Shape  string `json:"shape,omitempty"` // "" where there is no such table
	// Problem is why it couldn't be read.
	Problem string `json:"problem,omitempty"`
	// Listed are what the server had before and after it was asked for the table's shape.
	Listed [2]string `json:"listed"`
}

const (
	// fenceTime is how long at most nobody may write to a table that is fenced, fenceWait how
	// many seconds its writers of before are waited for.
	fenceTime = 10 * time.Second
	fenceWait = 3
)

// Send reads one part of a table.
func (c *ChecksumSource) Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error {
	var q partRequest
	if err := host.Unmarshal(request, &q); err != nil {
		return fmt.Errorf("what is asked of the primary: %w", err)
	}
	if len(c.Databases) > 0 && !slices.Contains(c.Databases, q.Schema) || slices.Contains(ownDatabases, q.Schema) || q.Fence && !c.Fenced {
		return errors.New("what is asked for isn't what the task may ask")
	}
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.compares(ctx); err != nil {
		return err
	}
	a, err := s.answerPart(ctx, q)
	if err != nil {
		return err
	}
	line, err := host.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(line, '\n')); err != nil || !q.Fence || a.Shape == "" || a.Problem != "" {
		return err
	}
	// The lock goes with the connection.
	select {
	case <-ctx.Done():
	case <-time.After(fenceTime):
	}
	return nil
}

// answerPart reads one part of a table, which stays fenced if that is asked for.
func (s *server) answerPart(ctx context.Context, q partRequest) (a partAnswer, err error) {
	t, err := s.listed(ctx, q, &a)
	if err != nil || t == nil {
		return a, err
	}
	if q.Fence {
		if err = s.fence(ctx, t); err != nil {
			if a.Problem = unread(err); a.Problem != "" {
				err = nil
			}
			return a, err
		}
		// Behind the lock nobody alters it.
		if t, err = s.listed(ctx, q, &a); err != nil || t == nil {
			return a, err
		}
		a.Before, err = s.executed(ctx)
	} else {
		a.Before, err = s.snapshot(ctx)
	}
	if err != nil {
		return a, err
	}
	a.sums, err = s.sum(ctx, t, q.Part)
	why := unread(err)
	switch {
	case why != "":
		a.Problem, err = why, nil
	case err == nil && q.Fence:
		a.After = a.Before
	case err == nil:
		a.After, err = s.seen(ctx, a.Before)
	}
	return a, err
}

// listed reads the table that is asked for, nil where there is none, and notes its shape.
func (s *server) listed(ctx context.Context, q partRequest, a *partAnswer) (*table, error) {
	var err error
	if a.Listed[0], err = s.executed(ctx); err != nil {
		return nil, err
	}
	t, err := s.table(ctx, q.Schema, q.Table)
	if err != nil {
		return nil, err
	}
	if a.Shape = ""; t != nil {
		a.Shape = t.Shape
	}
	if a.Listed[1], err = s.executed(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// fence keeps everybody from writing to a table for as long as the session lasts.
func (s *server) fence(ctx context.Context, t *table) error {
	if err := s.do(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", fenceWait)); err != nil {
		return err
	}
	if err := s.do(ctx, "LOCK TABLES "+ident(t.Schema)+"."+ident(t.Name)+" READ"); err != nil {
		return fmt.Errorf("keeping everybody from writing to %s: %w", t, err)
	}
	return nil
}
