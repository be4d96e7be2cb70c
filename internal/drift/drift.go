// Package drift compares what a check found on hosts with what the check before
// it had found.
//
// A check plans playbooks and changes nothing. A task that has something to do is
// drift: its host isn't as the playbook says. Each is new, still there, or gone
// since the last check that could look; where a check couldn't look, what the one
// before it knew is neither, and is kept until somebody can.
package drift

import (
	"strings"
	"time"

	"muster/host"
	"muster/internal/task"
	"muster/internal/wire"
)

// State is what became of a drift since the last check.
type State string

// The states.
const (
	New       State = "new"       // also where it was put right and came back
	Still     State = "still"     // the last check found it, too
	Gone      State = "gone"      // the last check found it, and this one didn't
	Unchecked State = "unchecked" // it was there, and this check couldn't look
)

// ContestedAfter is how many times running a drift has to come back, after it was
// put right, until somebody else is said to set what the playbook sets. A drift
// that as many checks running haven't found is forgotten.
const ContestedAfter = 3

// Place is a task on a host, under a name that stays the same from one check to
// the next, and in the runs between them.
type Place struct {
	Playbook string // relative to the project
	Host     string
	On       string // the host acted on, where it isn't Host
	Play     string
	Path     string // the task's id without the number of its play: task.file["/etc/motd"]
}

// PathOf is the part of a task's id that doesn't move when a play is added before
// its own.
func PathOf(id string) string {
	if _, path, ok := strings.Cut(id, "/"); ok {
		return path
	}
	return id
}

// Item is a task that has something to do, or had.
type Item struct {
	Place
	Name      string // as references call it: task.file["/etc/motd"]
	Role      string
	Label     string
	Key       string
	Kind      string
	File      string
	Line      int
	Certainty wire.Certainty
	Changes   []host.Description // what would put it right; of one that is gone, what would have
	Known     []string           // what the host knows of who altered it, in lines

	State     State
	Since     time.Time // when a check found it first, or found that it is back
	Returned  int       // how many times running it came back after it was put right
	Contested bool      // that is ContestedAfter times or more
	Altered   bool      // it is still there, and differs from what the last check found
	PutRight  Run       // the run between both checks that put it right; zero: none did
}

// Ref says which task it is.
func (i *Item) Ref() task.Ref {
	return task.Ref{Host: i.Host, On: i.On, Play: i.Play, Role: i.Role, Task: i.Label, Key: i.Key, Kind: i.Kind}
}

// Run is the run that made a task.
type Run struct {
	ID, By string
	At     time.Time
}

// Look is what a check found of a playbook on a host.
type Look struct {
	Playbook, Host string
	Error          string // why it couldn't be checked; "" where it was
	Items          []Item
	// Partial means that a task failed: only what is in Settled is known to have gone.
	Partial bool
	Settled map[Place]bool // the tasks that have nothing to do, of a partial look
}

// Last is what checks before this one knew of a task that has drifted.
type Last struct {
	Item
	Quiet    int // how many checks of its host didn't find it since
	PutRight Run // the newest run since it was found last that put it right
	Same     func(changes []host.Description) bool
}

// Check is a check with what it found.
type Check struct {
	ID        string // once it is kept
	Playbooks []string
	Inventory string
	Limit     []string
	Command   string
	Muster    string
	By        string
	Began     time.Time
	Ended     time.Time
	Outcome   string // of the plans: the worst
	Last      string // the id of the last check of one of these playbooks; "" if this is the first
	LastBegan time.Time
	Looks     []Look
	Items     []Item // of all looks, compared: new and still ones first, then gone and unchecked
	Past      Past
}

// Count is how many items are in a state.
func (c *Check) Count(s State) int {
	n := 0
	for i := range c.Items {
		if c.Items[i].State == s {
			n++
		}
	}
	return n
}

// Contested is how many items are contested.
func (c *Check) Contested() int {
	n := 0
	for i := range c.Items {
		if c.Items[i].Contested {
			n++
		}
	}
	return n
}

// Unreached is the looks that couldn't be made.
func (c *Check) Unreached() []Look {
	var list []Look
	for _, l := range c.Looks {
		if l.Error != "" {
			list = append(list, l)
		}
	}
	return list
}
