package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"
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
func (s *server) compare(ctx context.Context, schemas []string, from *sourceOutput, maxLag int) (*comparison, error) {
	c := &comparer{server: s, maxLag: maxLag, patience: time.Minute, into: &comparison{}}
	if from.Flavor != s.flavor {
		return nil, fmt.Errorf("the primary has %s, and this host %s", from.Flavor, s.flavor)
	}
	r, err := s.replica(ctx)
	if err != nil {
		return nil, err
	}
	switch link := r.source(); {
	case r.ServerID == from.ServerID:
		return nil, errors.New("this host's server is the primary itself, or has its server_id")
	case link == nil:
		return nil, errors.New("this host's server replicates from nobody: an earlier mysql_replication task makes it a replica")
	case link.SQL != "Yes":
		return nil, fmt.Errorf("this host's server doesn't do what it has replicated: %s", link.trouble("the primary"))
	}
	if !r.Binlog || !r.LogUpdates {
		return nil, errors.New("this host's server doesn't log what it replicates (log_bin, log_slave_updates), by which alone can be told what was written meanwhile: its mysql_server task sets it")
	}
	mine, err := s.tables(ctx, schemas)
	if err != nil {
		return nil, err
	}
	have := map[[2]string]*table{}
	for _, t := range mine {
		have[[2]string{t.Schema, t.Name}] = t
	}
	for i := range from.Tables {
		t := &from.Tables[i]
		at := [2]string{t.Schema, t.Name}
		if err := c.table(ctx, t, have[at]); err != nil {
			return nil, err
		}
		delete(have, at)
	}
	for _, t := range mine {
		if have[[2]string{t.Schema, t.Name}] != nil {
			err := c.tell(ctx, from.Before, t.Kept, []Difference{{Database: t.Schema, Table: t.Name, What: "extra"}}, []span{{}})
			if err != nil {
				return nil, err
			}
		}
	}
	return c.into, nil
}

// table compares one.
func (c *comparer) table(ctx context.Context, its *sourceTable, own *table) error {
	open := func(why string) {
		c.into.open = append(c.into.open, openPart{partRequest{Schema: its.Schema, Table: its.Name}, why})
	}
	if its.Problem != "" {
		open(its.Problem)
		return nil
	}
	if calm, err := c.calm(ctx); err != nil {
		return err
	} else if !calm {
		open("this host lags")
		return nil
	}
	if reached, err := c.reach(ctx, its.After); err != nil {
		return err
	} else if !reached {
		open("this host hasn't got there yet")
		return nil
	}
	d := Difference{Database: its.Schema, Table: its.Name}
	if own == nil || own.Shape != its.Shape {
		if d.What = "columns"; own == nil {
			d.What = "missing"
		}
		return c.tell(ctx, its.Before, its.Kept, []Difference{d}, []span{{}})
	}
	if err := c.do(ctx, beginReading); err != nil {
		return err
	}
	var differ []Difference
	var spans []span
	for _, p := range its.Parts {
		if _, err := c.calm(ctx); err != nil {
			return err
		}
		sums, err := c.sum(ctx, own, p.span)
		if isError(err, errNoTable...) {
			open("it was dropped or altered while it was read")
			return c.do(ctx, "ROLLBACK")
		}
		if err != nil {
			return err
		}
		if sums != p.sums {
			d.What, d.From, d.To, d.Rows, d.PrimaryRows = "rows", keyText(p.From), keyText(p.To), int(sums.Rows), int(p.Rows)
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
