package report

import (
	"time"

	"muster/internal/drift"
)

// pastRows is how many hosts, and how many tasks, a page looks back on.
const pastRows = 100

// pagePast is what the last checks found, as a page shows it.
type pagePast struct {
	Checks []time.Time
	Tables []pageTable
}

type pageTable struct {
	What string
	Rows []drift.PastRow
	Left int
}

// pastOf is nil where there is nothing to look back on.
func pastOf(c *drift.Check) *pagePast {
	if c == nil || len(c.Past.Checks) < 2 || len(c.Past.Hosts) == 0 {
		return nil
	}
	p := &pagePast{Checks: c.Past.Checks}
	for _, t := range []pageTable{{What: "host", Rows: c.Past.Hosts}, {What: "task", Rows: c.Past.Tasks}} {
		if len(t.Rows) > pastRows {
			t.Left, t.Rows = len(t.Rows)-pastRows, t.Rows[:pastRows]
		}
		if len(t.Rows) > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
	return p
}
