package mysql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"muster/modules"
)

// comparison is what comparing a replica with its primary has shown.
type comparison struct {
	differences []Difference
	open        []openPart
}

// openPart is a part of a table of which nobody can tell yet.
type openPart struct {
	partRequest
	// Why it can't be told.
	Why string `json:"why"`
}

func (p openPart) String() string {
	return p.Schema + "." + p.Table + spanText(keyText(p.Part.From), keyText(p.Part.To)) + " (" + p.Why + ")"
}

// output is what a task offers of it.
func (c *comparison) output(from *sourceOutput) ChecksumOutput {
	out := ChecksumOutput{Differences: append([]Difference{}, c.differences...), NotProved: []string{}, Tables: len(from.Tables)}
	for _, t := range from.Tables {
		for _, p := range t.Parts {
			out.Rows += int(p.Rows)
		}
	}
	for _, p := range c.open {
		out.NotProved = append(out.NotProved, p.String())
	}
	return out
}

// reachTime is how long a replica is waited for until it has what was read of its primary.
const reachTime = 30 * time.Second

// comparer compares the tables of the server.
type comparer struct {
	*server
	maxLag int
	// patience is how long a replica that lags is waited for in all, so that it catches up.
	patience time.Duration
	asked    time.Time
	waited   time.Duration
	into     *comparison
}

// compare compares all tables with what the primary has told of its own. A chunk that
// differs is one where nothing was written since the primary read it, or it stays open.
func (s *server) compare(ctx context.Context, check *Checksum, from *sourceOutput) (*comparison, error) {
	c := &comparer{server: s, maxLag: check.MaxLag, patience: time.Minute, into: &comparison{}}
	if err := s.comparable(ctx, check.Primary, from); err != nil {
		return nil, err
	}
	// What tables there are is told behind all that the primary had when it was asked.
	ready, why, err := c.ready(ctx, from.After)
	if err != nil {
		return nil, err
	}
	if !ready {
		for i := range from.Tables {
			c.into.leave(&from.Tables[i], why)
		}
		return c.into, nil
	}
	mine, err := s.tables(ctx, check.Databases)
	if err != nil {
		return nil, err
	}
	have := map[[2]string]*table{}
	for _, t := range mine {
		have[[2]string{t.Schema, t.Name}] = t
	}
	shapes := func(its, own *table) error {
		d := Difference{What: "columns"}
		switch {
		case own == nil:
			d.Database, d.Table, d.What = its.Schema, its.Name, "missing"
		case its == nil:
			d.Database, d.Table, d.What = own.Schema, own.Name, "extra"
		default:
			d.Database, d.Table = its.Schema, its.Name
		}
		return c.tell(ctx, from.Before, true, []Difference{d}, []span{{}})
	}
	for i := range from.Tables {
		t := &from.Tables[i]
		own := have[[2]string{t.Schema, t.Name}]
		delete(have, [2]string{t.Schema, t.Name})
		if own == nil || own.Shape != t.Shape {
			err = shapes(&t.table, own)
		} else {
			err = c.table(ctx, t, own)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, t := range mine {
		if have[[2]string{t.Schema, t.Name}] != nil {
			if err := shapes(nil, t); err != nil {
				return nil, err
			}
		}
	}
	return c.into, nil
}

// comparable returns an error where the server can't be compared with the primary: it gets
// another one's data, or what it gets can't be told.
func (s *server) comparable(ctx context.Context, primary string, from *sourceOutput) error {
	if from.Flavor != s.flavor {
		return stated(fmt.Sprintf("%s has %s, and this host %s", primary, from.Flavor, s.flavor))
	}
	r, err := s.replica(ctx)
	if err != nil {
		return err
	}
	link := r.source()
	switch {
	case r.ServerID == from.ServerID:
		return modules.ArgError{Arg: "primary", Summary: "Wrong value", Detail: fmt.Sprintf("This host's server is that of %s itself, or has its server_id.", primary)}
	case link == nil:
		return stated("this host's server replicates from nobody: an earlier mysql_replication task makes it a replica")
	case link.answered() && !link.isFrom(&DonorOutput{Flavor: from.Flavor, ServerID: from.ServerID, UUID: from.UUID}):
		return modules.ArgError{Arg: "primary", Summary: "Another primary", Detail: fmt.Sprintf("This host's server replicates from %s:%d, whose server_id is %d, and not from %s, whose server_id is %d: name the host that it replicates from.",
			oneLine(link.Host, 100), link.Port, link.SourceID, primary, from.ServerID)}
	case link.SQL != "Yes":
		return stated("this host's server doesn't do what it has replicated: " + link.trouble(primary))
	case !link.answered():
		return stated(fmt.Sprintf("nobody has answered this host's server at %s:%d since it was started, so that it isn't known whose data it has: %s", oneLine(link.Host, 100), link.Port, link.trouble(primary)))
	case !r.Binlog || !r.LogUpdates:
		return stated("this host's server doesn't log what it replicates (log_bin, log_slave_updates), by which alone can be told what was written meanwhile: its mysql_server task sets it")
	}
	return s.logsAll(ctx)
}

// logsAll returns an error where the server keeps databases out of its binary log.
func (s *server) logsAll(ctx context.Context) error {
	query := "SHOW MASTER STATUS"
	if s.flavor == mysqlOwn && s.atLeast([3]int{8, 2, 0}) {
		query = "SHOW BINARY LOG STATUS"
	}
	rows, err := s.named(ctx, query)
	if err != nil {
		return fmt.Errorf("asking for the binary log: %w", err)
	}
	for _, r := range rows {
		for _, name := range []string{"Binlog_Do_DB", "Binlog_Ignore_DB"} {
			if r[name] != "" {
				return stated(fmt.Sprintf("this host's server keeps databases out of its binary log (%s = %s), so that it can't be told what was written meanwhile: take that out of its files", strings.ToLower(name), oneLine(r[name], 100)))
			}
		}
	}
	return nil
}

// leave leaves a whole table open.
func (c *comparison) leave(t *sourceTable, why string) {
	c.open = append(c.open, openPart{partRequest{Schema: t.Schema, Table: t.Name}, why})
}

// ready waits until the server isn't far behind, and has a position; why not, else.
func (c *comparer) ready(ctx context.Context, position string) (ready bool, why string, err error) {
	if calm, err := c.calm(ctx); err != nil || !calm {
		return false, "this host lags", err
	}
	reached, err := c.reach(ctx, position)
	return reached, "this host hasn't got there yet", err
}

// table compares one that both have.
func (c *comparer) table(ctx context.Context, its *sourceTable, own *table) error {
	if its.Problem != "" {
		c.into.leave(its, its.Problem)
		return nil
	}
	if ready, why, err := c.ready(ctx, its.After); err != nil {
		return err
	} else if !ready {
		c.into.leave(its, why)
		return nil
	}
	if err := c.do(ctx, beginReading); err != nil {
		return err
	}
	d := Difference{Database: its.Schema, Table: its.Name, What: "rows"}
	var differ []Difference
	var spans []span
	for _, p := range its.Parts {
		if _, err := c.calm(ctx); err != nil {
			return err
		}
		sums, err := c.sum(ctx, own, p.span)
		if why := unread(err); why != "" {
			c.into.leave(its, why)
			return c.do(ctx, "ROLLBACK")
		}
		if err != nil {
			return err
		}
		if sums != p.sums {
			d.From, d.To, d.Rows, d.PrimaryRows = keyText(p.From), keyText(p.To), int(sums.Rows), int(p.Rows)
			differ, spans = append(differ, d), append(spans, p.span)
		}
	}
	if err := c.do(ctx, "ROLLBACK"); err != nil {
		return err
	}
	return c.tell(ctx, its.Before, its.Kept && own.Kept, differ, spans)
}

// beginReading has the session see one moment.
const beginReading = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"

// tell tells differences of one table, or that they aren't proved: where something was
// written to it since before.
func (c *comparer) tell(ctx context.Context, before string, kept bool, differ []Difference, spans []span) error {
	if len(differ) == 0 {
		return nil
	}
	why := "its engine can't be read at one moment"
	if kept {
		t, err := c.touched(ctx, before)
		if err == nil {
			err = c.spread(ctx, t)
		}
		if err != nil {
			return err
		}
		if why = t.has(differ[0].Database, differ[0].Table, c.lower); why == "" {
			c.into.differences = append(c.into.differences, differ...)
			return nil
		}
	}
	for i, d := range differ {
		c.into.open = append(c.into.open, openPart{partRequest{Schema: d.Database, Table: d.Table, Part: spans[i]}, why})
	}
	return nil
}

// reach waits until the server has a position.
func (s *server) reach(ctx context.Context, position string) (bool, error) {
	if position == "" {
		return true, nil
	}
	query := fmt.Sprintf("SELECT MASTER_GTID_WAIT(%s, %d)", literal(position), int(reachTime.Seconds()))
	if s.flavor == mysqlOwn {
		query = fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %d)", literal(position), int(reachTime.Seconds()))
	}
	rows, err := s.rows(ctx, query)
	if err != nil {
		return false, fmt.Errorf("waiting for what the primary had: %w", err)
	}
	return len(rows) == 1 && rows[0][0] == "0", nil
}

// calm waits until the server isn't far behind, and reports whether it is so.
func (c *comparer) calm(ctx context.Context) (bool, error) {
	for {
		if time.Since(c.asked) < time.Second {
			return true, nil
		}
		link, err := c.unnamed(ctx)
		if err != nil {
			return false, err
		}
		if link == nil || link.Seconds == nil || *link.Seconds <= c.maxLag {
			c.asked = time.Now()
			return true, nil
		}
		if c.waited >= c.patience {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Second):
			c.waited += time.Second
		}
	}
}
