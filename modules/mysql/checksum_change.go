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
	if h.Report != nil && len(left) > 0 {
		h.Report("not proved: " + few(out.NotProved))
	}
	data, err := host.Marshal(out)
	if err == nil && c.Fail && len(out.Differences) > 0 {
		err = differ(c.Primary, out)
	}
	return host.Result{Output: data}, err
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
	if reached, err := c.reach(ctx, its.After); err != nil || !reached {
		stays("this host hasn't got there yet")
		return err
	}
	own, err := c.server.table(ctx, p.Schema, p.Table)
	if err != nil {
		return err
	}
	d := Difference{Database: p.Schema, Table: p.Table}
	switch {
	case own == nil && its.Shape == "":
		return nil // it was dropped meanwhile
	case own == nil:
		d.What = "missing"
	case its.Shape == "":
		d.What = "extra"
	case own.Shape != its.Shape:
		d.What = "columns"
	default:
		sums, err := c.sumNow(ctx, own, p.Part)
		if err != nil || sums == its.sums {
			return err
		}
		d.What, d.From, d.To, d.Rows, d.PrimaryRows = "rows", keyText(p.Part.From), keyText(p.Part.To), int(sums.Rows), int(its.Rows)
	}
	if p.Fence && its.Shape != "" { // nobody could write to it
		c.into.differences = append(c.into.differences, d)
		return nil
	}
	return c.tell(ctx, its.Before, own == nil || own.Kept, []Difference{d}, []span{p.Part})
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
