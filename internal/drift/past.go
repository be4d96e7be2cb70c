package drift

import (
	"slices"
	"time"
)

// Past is what the last checks found, this one among them: by host and by task.
type Past struct {
	Checks       []time.Time // when each began, the oldest first
	Hosts, Tasks []PastRow   // those in which anything was found, most of it first
}

// PastRow is a host, or a task of a playbook, through the checks of a Past.
type PastRow struct {
	Name  string
	Found []Found // for each check
}

// Found is what a check found of a host or a task.
type Found struct {
	Looked    bool // the check was about it
	Unchecked bool // and the host couldn't be checked
	N         int  // tasks of the host that had drifted; hosts on which the task had
}

// found is how much a row has.
func (r PastRow) found() (n int) {
	for _, f := range r.Found {
		n += f.N
		if f.Unchecked {
			n++
		}
	}
	return n
}

// Sort brings rows into their order, and drops those in which nothing was found.
func (p *Past) Sort() {
	for _, rows := range []*[]PastRow{&p.Hosts, &p.Tasks} {
		*rows = slices.DeleteFunc(*rows, func(r PastRow) bool { return r.found() == 0 })
		slices.SortStableFunc(*rows, func(a, b PastRow) int { return b.found() - a.found() })
	}
}
