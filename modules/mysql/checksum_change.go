package mysql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"muster/host"
)

// CheckRows reads parts of tables again, of which a plan couldn't tell whether they differ. It
// alters nothing.
type CheckRows struct {
	Primary string `json:"primary"`
	MaxLag  int    `json:"max_lag"`
	Fenced  bool   `json:"fenced,omitempty"`
	Fail    bool   `json:"fail,omitempty"`
	// Parts are those, Found what is known of the others.
	Parts []openPart     `json:"parts"`
	Found ChecksumOutput `json:"found"`
}

// Type is "mysql.checksum/1".
func (*CheckRows) Type() string { return "mysql.checksum/1" }

// Want is what is looked for, whatever was found.
func (c *CheckRows) Want() any { return c.Primary }

// Describe says how much is to be proved.
func (c *CheckRows) Describe() host.Description {
	d := host.Description{Action: host.Check, Target: "rows of " + c.Primary}
	if len(c.Parts) > 0 {
		d.Impact = count(len(c.Parts), "part") + " of tables to be read again"
	}
	if c.Fenced {
		d.Impact += "; for seconds nobody writes to a table that doesn't hold still"
	}
	return d
}

// Effects is nothing.
func (*CheckRows) Effects() []host.Effect { return nil }

// Interruptible: nothing is left half done.
func (*CheckRows) Interruptible() {}

// rounds is how often a part is read again that doesn't hold still.
const rounds = 6

// Apply reads each part on both sides until it is told, or for the last time.
func (c *CheckRows) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if err := s.compares(ctx); err != nil {
		return host.Result{}, err
	}
	into := &comparison{differences: c.Found.Differences}
	again := &comparer{server: s, maxLag: c.MaxLag, patience: 10 * time.Minute, into: into}
	left := c.Parts
	for round := range rounds {
		into.open = nil
		for i, p := range left {
			if h.Report != nil {
				h.Report(fmt.Sprintf("%d of %d parts, reading %d of %d", i, len(left), round+1, rounds))
			}
			if _, err := again.calm(ctx); err != nil {
				return host.Result{}, err
			}
			p.Fence = c.Fenced && round == rounds-1
			if err := again.part(ctx, h, c.Primary, p); err != nil {
				return host.Result{}, err
			}
		}
		if left = slices.Clone(into.open); len(left) == 0 || round == rounds-1 {
			break
		}
		select {
		case <-ctx.Done():
			return host.Result{}, ctx.Err()
		case <-time.After(time.Duration(round+1) * 200 * time.Millisecond):
		}
	}
	out := c.Found
	out.Differences, out.NotProved = into.differences, []string{}
	for _, p := range left {
		out.NotProved = append(out.NotProved, p.String())
	}
	var open []string
	if len(left) > 0 {
		open = []string{notProved(c.Primary, out)}
	}
	var notes []string
	if !c.Fail {
		notes = out.notes(c.Primary)
	}
	data, err := host.Marshal(out)
	if err == nil && c.Fail && len(out.Differences) > 0 {
		err = differ(c.Primary, out)
	}
	return host.Result{Output: data, Open: open, Notes: notes}, err
}

// part reads a part on both sides, the primary first, and tells whether it differs.
func (c *comparer) part(ctx context.Context, h *host.Host, primary string, p openPart) error {
	stays := func(why string) {
		p.Why = why
		c.into.open = append(c.into.open, p)
	}
	its, end, err := askPart(ctx, h, primary, p.partRequest)
	if err != nil {
		return fmt.Errorf("reading %s.%s on %s: %w", p.Schema, p.Table, primary, err)
	}
	defer end()
	asked := time.Now()
	if its.Problem != "" {
		stays(its.Problem)
		return nil
	}
	if reached, err := c.reach(ctx, its.After); err != nil || !reached {
		stays("this host hasn't got there yet")
		return err
	}
	own, err := c.server.table(ctx, p.Schema, p.Table)
	if err != nil {
		return err
	}
	if shapeOf(own) != its.Shape {
		return c.shape(ctx, its, p)
	}
	if own == nil {
		return nil // it was dropped meanwhile
	}
	sums, err := c.sumNow(ctx, own, p.Part)
	if why := unread(err); why != "" {
		stays(why)
		return nil
	}
	if err != nil || sums == its.sums {
		return err
	}
	d := Difference{Database: p.Schema, Table: p.Table, What: "rows", From: keyText(p.Part.From), To: keyText(p.Part.To), Rows: int(sums.Rows), PrimaryRows: int(its.Rows)}
	if p.Fence && time.Since(asked) < fenceTime*3/4 { // nobody could write to it
		c.into.differences = append(c.into.differences, d)
		return nil
	}
	return c.tell(ctx, its.Before, own.Kept || p.Fence, []Difference{d}, []span{p.Part})
}

func shapeOf(t *table) string {
	if t == nil {
		return ""
	}
	return t.Shape
}

// shape tells that a table isn't there on both sides, or isn't the same, if that is so once
// the server has all that the primary had when it was asked for its own.
func (c *comparer) shape(ctx context.Context, its partAnswer, p openPart) error {
	reached, err := c.reach(ctx, its.Listed[1])
	if err != nil {
		return err
	}
	if !reached {
		p.Why = "this host hasn't got there yet"
		c.into.open = append(c.into.open, p)
		return nil
	}
	own, err := c.server.table(ctx, p.Schema, p.Table)
	if err != nil {
		return err
	}
	d := Difference{Database: p.Schema, Table: p.Table, What: "columns"}
	switch {
	case shapeOf(own) == its.Shape: // it was altered meanwhile: it is read again
		p.Why = alteredMeanwhile
		c.into.open = append(c.into.open, p)
		return nil
	case own == nil:
		d.What = "missing"
	case its.Shape == "":
		d.What = "extra"
	}
	return c.tell(ctx, its.Listed[0], true, []Difference{d}, []span{p.Part})
}

// sumNow reads a part of a table at one moment.
func (s *server) sumNow(ctx context.Context, t *table, p span) (sums, error) {
	if err := s.do(ctx, beginReading); err != nil {
		return sums{}, err
	}
	sum, err := s.sum(ctx, t, p)
	return sum, errors.Join(err, s.do(ctx, "ROLLBACK"))
}

// askPart has the primary read a part. What is fenced there stays so until end is called.
func askPart(ctx context.Context, h *host.Host, primary string, q partRequest) (a partAnswer, end func(), err error) {
	stream, err := h.Receive(ctx, primary, q)
	if err != nil {
		return a, nil, err
	}
	in := bufio.NewReader(io.LimitReader(stream, 64<<10))
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = host.Unmarshal(line, &a)
	}
	if err == nil && !q.Fence {
		_, err = io.Copy(io.Discard, in)
	}
	if err != nil || !q.Fence {
		return a, func() {}, errors.Join(err, stream.Close())
	}
	return a, func() { _ = stream.Close() }, nil
}
