package engine

import (
	"errors"

	"muster/host"
	"muster/internal/wire"
	"muster/transport"
)

// Counts is what became of one host's tasks.
type Counts struct {
	Unchanged, Changed, Pending, Failed, Skipped int
	NotReached                                   int // never came to their turn: the host had failed before, or the run ended
	Unknown                                      int // granted when the connection was lost
	Unreachable                                  bool
	Stopped                                      bool // the run ended before all that is to be made on it was planned
	Tolerated                                    int  // of Failed: expected ones
	Refused                                      int  // of Failed: a value that a service never takes (host.ErrRefused)
	Always                                       int  // of Pending: what runs every time
	Checks                                       int  // of Pending: what only looks
	Open                                         int  // of Unchanged: checks that couldn't tell all
	// Actions counts what its pending and changed tasks do, by what is done; nil: nothing.
	Actions map[host.Action]int
	// Packages are those of Actions that are about packages.
	Packages map[host.Action]int
}

// Outcome is what a run came to.
type Outcome string

// The outcomes, worst last.
const (
	OutcomeUnchanged   Outcome = "unchanged"
	OutcomeChanged     Outcome = "changed"
	OutcomePending     Outcome = "pending"
	OutcomeUnreachable Outcome = "unreachable"
	OutcomeFailed      Outcome = "failed"
	OutcomeInterrupted Outcome = "interrupted"
)

// Summary is what a run came to, host by host.
type Summary struct {
	Outcome Outcome
	Hosts   map[string]*Counts
	Order   []string // the hosts, as the plays name them
}

// Pending reports whether anything would be changed, or run.
func (s *Summary) Pending() bool {
	for _, c := range s.Hosts {
		if c.Pending > 0 {
			return true
		}
	}
	return false
}

// Drift reports whether a host differs from the playbook: what runs every
// time is none.
func (s *Summary) Drift() bool {
	for _, c := range s.Hosts {
		if c.Pending > c.Always+c.Checks {
			return true
		}
	}
	return false
}

// Drift reports whether a planned task has something to do that counts as drift: what
// runs every time doesn't, nor what only looks.
func (e *TaskEvent) Drift() bool {
	return e.Status == wire.Pending && !e.Always && !(onlyChecks(e.Changes) && onlyChecks(e.Then))
}

// Open counts the checks that couldn't tell all that they were to find out.
func (s *Summary) Open() int {
	n := 0
	for _, c := range s.Hosts {
		n += c.Open
	}
	return n
}

// Unknown counts the tasks that were granted when their host was lost: they may have
// been made.
func (s *Summary) Unknown() int {
	n := 0
	for _, c := range s.Hosts {
		n += c.Unknown
	}
	return n
}

// Refused reports whether a service didn't take a value that it was given, and never will:
// another one may help.
func (s *Summary) Refused() bool {
	for _, c := range s.Hosts {
		if c.Refused > 0 {
			return true
		}
	}
	return false
}

// NewSummary returns a summary of nothing.
func NewSummary() *Summary { return &Summary{Outcome: OutcomeUnchanged, Hosts: map[string]*Counts{}} }

// Add counts a task as it stands.
func (s *Summary) Add(e *TaskEvent) {
	s.of(e.Host).add(e.Status, e.Changes, e.Then, e.Always, e.Tolerated)
	s.Outcome = s.worst(false)
}

// of returns the counts of a host, made if there are none.
func (s *Summary) of(name string) *Counts {
	c := s.Hosts[name]
	if c == nil {
		c = &Counts{}
		s.Hosts[name] = c
		s.Order = append(s.Order, name)
	}
	return c
}

// Summary counts what became of every task so far.
func (r *Run) Summary() *Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := NewSummary()
	for _, h := range r.order {
		if len(h.plays) == 0 && h.err == nil {
			continue // it was only asked, or acted on for others
		}
		c := s.of(h.name)
		var unreachable *transport.UnreachableError
		if errors.As(h.err, &unreachable) {
			c.Unreachable = true
		} else if errors.Is(h.err, ErrStopped) {
			c.Stopped = true
		} else if h.err != nil {
			c.Failed++ // after login: the remote didn't start, or the connection was lost
		}
		// On a host that can't be used nothing more is to come.
		over := r.applying || h.err != nil
		h.eachItem(func(it *item) { c.count(it, over) })
	}
	s.Outcome = s.worst(r.stop && r.stopCause == nil)
	if r.stopCause != nil {
		s.Outcome = OutcomeFailed
	}
	return s
}

func (c *Counts) count(it *item, over bool) {
	switch {
	case it.done != nil && it.done.Status == wire.NotReached && it.dropped:
		c.Skipped++
	case it.done != nil:
		c.add(it.done.Status, it.done.Changes, nil, false, it.rescued)
		c.refused(it.done.Status, it.done.Refused, it.rescued)
		if it.done.Status == wire.Unchanged && len(it.done.Open) > 0 {
			c.Open++
		}
	case it.plannedOnly(over):
		c.add(it.planned.Status, it.planned.Changes, it.planned.Then, it.planned.Always, it.rescued)
		c.refused(it.planned.Status, it.planned.Refused, it.rescued)
	case it.dropped:
		c.Skipped++
	default:
		c.NotReached++
	}
}

// plannedOnly reports whether what was planned of an item that wasn't made is all that became of
// it; over: nothing more is to come.
func (it *item) plannedOnly(over bool) bool {
	return it.planned != nil && (it.final || !over || it.planned.Status == wire.Failed)
}

// refused counts a failure that isn't tolerated.
func (c *Counts) refused(status wire.Status, refused, tolerated bool) {
	if status == wire.Failed && refused && !tolerated {
		c.Refused++
	}
}

func (c *Counts) add(status wire.Status, changes, then []host.Description, always, tolerated bool) {
	switch status {
	case wire.Unchanged:
		c.Unchanged++
	case wire.Changed:
		c.Changed++
		c.does(changes)
	case wire.Pending:
		c.Pending++
		c.does(changes)
		c.does(then)
		switch {
		case onlyChecks(changes) && onlyChecks(then):
			c.Checks++
		case always:
			c.Always++
		}
	case wire.Failed:
		c.Failed++
		if tolerated {
			c.Tolerated++
		}
	case wire.Skipped:
		c.Skipped++
	case wire.NotReached:
		c.NotReached++
	case wire.Unknown:
		c.Unknown++
	}
}

// does counts what is done.
func (c *Counts) does(list []host.Description) {
	for _, d := range list {
		if !d.Action.Counts() {
			continue
		}
		if c.Actions == nil {
			c.Actions = map[host.Action]int{}
		}
		c.Actions[d.Action]++
		if d.OfPackages() {
			if c.Packages == nil {
				c.Packages = map[host.Action]int{}
			}
			c.Packages[d.Action]++
		}
	}
}

// onlyChecks reports whether nothing of it counts as a change.
func onlyChecks(list []host.Description) bool {
	for _, d := range list {
		if d.Action.Counts() {
			return false
		}
	}
	return true
}

func (s *Summary) worst(stopped bool) Outcome {
	rank := map[Outcome]int{OutcomeUnchanged: 0, OutcomeChanged: 1, OutcomePending: 2, OutcomeUnreachable: 3, OutcomeFailed: 4}
	worst := OutcomeUnchanged
	at := func(o Outcome) {
		if rank[o] > rank[worst] {
			worst = o
		}
	}
	for _, c := range s.Hosts {
		if c.Changed > 0 {
			at(OutcomeChanged)
		}
		if c.Pending > c.Always+c.Checks { // what runs every time waits for nobody
			at(OutcomePending)
		}
		if c.Unreachable {
			at(OutcomeUnreachable)
		}
		if c.Failed > c.Tolerated {
			at(OutcomeFailed)
		}
	}
	if stopped {
		return OutcomeInterrupted
	}
	return worst
}
