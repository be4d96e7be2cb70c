// Package plays is a playbook as it was read: its plays, blocks, tasks, roles and variables,
// with what each expression in them reads. It evaluates nothing.
package plays

import (
	"iter"

	"github.com/hashicorp/hcl/v2"

	"muster/modules"
)

// Play is tasks for some hosts.
type Play struct {
	Index int // from 0, in the order of the run
	Name  string
	Range hcl.Range // of its header
	// Hosts is the hosts that its patterns match, in inventory order.
	Hosts    []string
	Patterns []string
	Steps    []*Step
	Rolling  *Rolling // nil: all hosts at once
	Tags     []string // part of every task's Tags already

	Unit   *Unit
	Names  *Names
	Become *Expr
	Vars   []*PlayVar
	// Environment is variables of the programs that its tasks run; nil: none.
	Environment *Argument
	HostSet     map[string]bool // those of Hosts

	OfRotation bool // it is a part of a rotation
}

// Step is one of the things a play does in order: exactly one field is set.
type Step struct {
	Task    *Task
	Block   *Block
	Barrier *Barrier
}

// Tasks are the play's tasks, wherever they stand in it: first those of its
// steps, in order, then those of what a rolling play does before and after.
func (p *Play) Tasks() iter.Seq[*Task] {
	if p.Rolling == nil {
		return TasksOf(p.Steps)
	}
	return TasksOf(p.Steps, p.Rolling.Before, p.Rolling.After)
}

// Rescues are the tasks that the play runs only where blocks fail.
func (p *Play) Rescues() iter.Seq[*Task] {
	lists := [][]*Step{p.Steps}
	if p.Rolling != nil {
		lists = append(lists, p.Rolling.Before, p.Rolling.After)
	}
	var rescues [][]*Step
	for ; len(lists) > 0; lists = lists[1:] {
		for _, s := range lists[0] {
			if s.Block != nil {
				rescues = append(rescues, s.Block.Rescue)
				lists = append(lists, s.Block.Steps, s.Block.Always)
			}
		}
	}
	return TasksOf(rescues...)
}

// ActsElsewhere reports whether the task may act on another host than the play's, or
// need one.
func (t *Task) ActsElsewhere() bool { return t.On != nil || t.NeedsOther }

// Seq is the task's place in its play, in the order in which tasks are made.
func (t *Task) Seq() int { return t.Order }

// TasksOf are the tasks in lists of steps, in order, those of blocks with their
// rescue and always, and of roles, among them.
func TasksOf(lists ...[]*Step) iter.Seq[*Task] {
	return func(yield func(*Task) bool) {
		for _, steps := range lists {
			for _, s := range steps {
				if s.Task != nil && !yield(s.Task) {
					return
				}
				if s.Block == nil {
					continue
				}
				for t := range TasksOf(s.Block.Steps, s.Block.Rescue, s.Block.Always) {
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

// Barrier is where the hosts of a play wait for each other.
type Barrier struct {
	Range hcl.Range
}

// Block is steps that share meta arguments, or the steps of a role in use. Its
// steps are run in the scopes that Scope.Enter gives.
type Block struct {
	Label string
	Role  *RoleUse  // nil for a plain block
	Range hcl.Range // of its header
	Steps []*Step
	// Rescue is run when a step has failed, and makes the failure a tolerated
	// one if it succeeds itself; Always is run at the end in any case.
	Rescue, Always []*Step

	When, Become *Expr
}

// RoleUse is a role used by a play, a block or another role.
type RoleUse struct {
	Name  string // of the role
	Label string // what references call it: role.LABEL.OUTPUT

	Unit     *Unit // nil: the role couldn't be read, which has been reported
	ForEach  *Expr
	Inputs   map[string]*Argument
	Seq, End int // what stands before and after it in the play
	Block    *Block
}

// Rolling says how a play goes over its hosts batch by batch.
type Rolling struct {
	Range       hcl.Range
	Batches     []Amount // the last is repeated until no host is left
	MaxFailures Amount   // more failed hosts than this stop the play after their batch
	// Before and After are run for a host on which the play would change
	// something; After also where the host failed, unless KeepOnFailure.
	Before, After []*Step
	KeepOnFailure bool
	Own           [2]int // the play's own steps stand behind the first place and up to the second
}

// Amount is a number of hosts, or a share of the play's.
type Amount struct {
	Hosts   int
	Percent float64 // where Hosts is 0
}

// Of returns the amount for n hosts, rounded down.
func (a Amount) Of(n int) int {
	if a.Hosts > 0 || a.Percent == 0 {
		return a.Hosts
	}
	return int(float64(n) * a.Percent / 100)
}

// Sizes returns the sizes of the batches that n hosts are done in; each has
// at least one host.
func (r *Rolling) Sizes(n int) []int {
	var sizes []int
	for i, left := 0, n; left > 0; i++ {
		size := left
		if len(r.Batches) > 0 {
			size = min(max(r.Batches[min(i, len(r.Batches)-1)].Of(n), 1), left)
		}
		sizes = append(sizes, size)
		left -= size
	}
	return sizes
}

// Task is a task as it is written, for all hosts.
type Task struct {
	Kind, Label string
	Range       hcl.Range // of its header
	Play        *Play
	Tags        []string // its own, and those of its blocks, roles and play
	Once        bool     // only on the play's first host, its result shared
	Sensitive   bool     // nothing of it is shown

	Unit        *Unit
	Names       *Names
	KindOf      *modules.Kind // what Kind names
	Args        []*Argument   // as written
	Vars        *Argument     // what its template sees
	When        *Expr
	ForEach, On *Expr
	Become      *Expr
	Environment *Argument
	Timeout     *Expr
	OnError     *Expr
	Retry       *RetryBlock
	ChangedWhen *Expr
	FailedWhen  *Expr
	LabelAt     hcl.Range // of its label
	Order       int       // its place in the play, in which tasks are made
	Called      string    // as Name returns it
	KeyLabel    *Argument // the key argument that the label stands for; nil: none
	NoKey       bool      // the key argument is missing, which has been reported
	Broken      bool      // nothing is known of it: the kind doesn't exist
	Conditional bool      // in a rescue, which may never run
	NeedsOther  bool      // it may have companions
}

// Name returns how references call the task: `task.file["/etc/motd"]`.
func (t *Task) Name() string { return t.Called }
