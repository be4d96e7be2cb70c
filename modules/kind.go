// Package modules defines what a kind of task is and how its arguments become a module.
//
// The life of a task: its arguments are checked against the kind's schema
// before any connection is made; they travel to the host, where Decode fills
// a fresh module with them; the module's Plan looks at the host and returns
// changes; the changes are shown, made, and the module is planned again, which
// must find nothing left to do.
package modules

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"muster/host"
)

// Module is the desired state of one thing, decoded from one task.
type Module interface {
	// Plan returns what is left to do. Same arguments, same view: same bytes
	// (clocks, salts and temporary names belong in Apply). Plan changes
	// nothing, and recognises every state that a cut-off Apply can leave.
	//
	// An error that is host.ErrNotYet defers the task: it is planned again
	// when its turn comes. Any other error fails it.
	Plan(ctx context.Context, v *host.View) (Plan, error)
}

// Plan is what a module wants done.
type Plan struct {
	Changes []host.Change      // in order; none when the host agrees
	Then    []host.Description // a forecast: what can only be planned after Changes
	// Output is of the state seen; unknown while Changes remain. Beside an error it is what
	// the error is about.
	Output json.RawMessage
	Atomic bool // all of Changes, or undone
	Always bool // can't tell whether it was done: an unguarded command
	// Notes are what the user should know of the host though this plan leaves it as it is,
	// whole sentences: "app1 of the backend app is drained, and not by muster."
	Notes []string
	// Probation, if not nil, makes the first of Changes on probation.
	Probation *Probation
}

// Probation is changes that may lock muster out of the host: a firewall's rules, sshd's
// settings, an account. The host arms Revert before the first of them, so that it is
// run after ProbationTime whatever becomes of muster. When they are made a login proves
// that the host can still be reached: a connection of its own, to the bastion and
// through it, and sudo, with nothing of what the run has open. Then Revert is disarmed,
// and the other changes are made. What is read at boot belongs to these: a host that
// restarts meanwhile comes back as it was. Where no login succeeds Revert is run, and
// the task fails. A plan on probation isn't Atomic.
type Probation struct {
	Changes int // how many come before the proof: what is live
	Revert  host.Revert
}

// ProbationTime is how long a change stands that nothing proves.
const ProbationTime = time.Minute

// ProbationImpact is what the plan says of a change on probation.
const ProbationImpact = "proven by a new login, else taken back after 60s"

// RebootTime is how long a host may take to be back, where the task has no timeout.
const RebootTime = 10 * time.Minute

// RebootTarget is what the change of a kind that Reboots is about.
const RebootTarget = "reboot"

// Checker is a module that knows more about its arguments than their types
// tell. Check runs before any connection is made, also when some arguments
// are unknown (they then have their zero value and unknown(name) is true).
type Checker interface {
	Check(unknown func(arg string) bool) []ArgError
}

// Foreseer is a module that can say from its arguments alone what it may alter
// at most: a state of Unknown for what it may leave in any state, of Possible for
// what it may bring. That is laid in the preview while its plan, or the rest of it,
// has to wait, and for nothing else. A module that isn't one may alter anything.
type Foreseer interface {
	// May is empty, not nil, where the module alters nothing. Paths are as the
	// task has them: links are followed for it. An argument that isn't known has
	// its zero value (see host.Open).
	May() []host.Effect
}

// Placed is a module whose place in a play counts: what one writes is read by another when it
// is made, and not again in that run. A reader that stands before the writer is a mistake
// of the playbook. Names are for people: "the unit ssh.service". An argument that isn't
// known has its zero value.
type Placed interface {
	Writes() []string
	Reads() []string
}

// Kind is a task's type, as playbooks name it.
type Kind struct {
	Name string
	// Probe marks kinds that look at what other tasks left (wait, http_check):
	// they aren't planned while anything before them on the host is pending.
	Probe bool
	// NoPrograms marks kinds that run no program, neither to look nor to change: their tasks
	// refuse an environment.
	NoPrograms bool
	// Reboots marks kinds whose change ends with the boot that the host is in: it tells
	// Host.Reboots right before its order, and returns host.ErrRebooting. A task of one is
	// made when the host is back in another boot.
	Reboots bool
	// Output is a struct whose json tags are what the task offers as its
	// output; nil if it offers nothing.
	Output any

	// Expect, if not nil, is told the keys of tasks of this kind that are still to
	// be planned, so that what they will ask of the host can be asked at once. It
	// asks nothing itself.
	Expect func(v *host.View, keys []string)

	// Undoes are the types of change, besides those of package host, that take edits of
	// this kind back: one of each, empty. Where a plan is atomic they are kept on the
	// host, and made by whoever comes there next if the run is cut off.
	Undoes []host.Change

	// Companion marks a kind that playbooks can't use: its module is a Sender, which other
	// kinds' tasks need on another host.
	Companion bool

	// Internal marks a kind that playbooks can't use, and muster does.
	Internal bool

	// New returns a module with nothing set. Its exported fields with an arg
	// tag are the kind's arguments; see SchemaOf.
	New func() Module
}

// Registry is the kinds that playbooks can use, and those of their companions.
type Registry struct {
	kinds  []*Kind
	byName map[string]*Kind
	schema map[string]*Schema
}

// NewRegistry returns a registry of kinds. It panics on a kind whose struct
// tags are wrong or whose name is taken, mistakes in the program.
func NewRegistry(kinds ...Kind) *Registry {
	r := &Registry{byName: map[string]*Kind{}, schema: map[string]*Schema{}}
	for i := range kinds {
		k := &kinds[i]
		if r.byName[k.Name] != nil {
			panic("modules: kind " + k.Name + " is registered twice")
		}
		if !k.Companion && !k.Internal {
			r.kinds = append(r.kinds, k)
		}
		r.byName[k.Name] = k
		r.schema[k.Name] = schemaOf(k)
	}
	return r
}

// Undo decodes a change that takes an edit back, as host.Encode has encoded it.
func (r *Registry) Undo(typ string, data []byte) (host.Change, error) {
	known := host.Undoes()
	for _, k := range r.kinds {
		known = append(known, k.Undoes...)
	}
	for _, c := range known {
		if c.Type() != typ {
			continue
		}
		fresh := reflect.New(reflect.TypeOf(c).Elem()).Interface().(host.Change)
		if err := host.Unmarshal(data, fresh); err != nil {
			return nil, fmt.Errorf("a change of type %s: %w", typ, err)
		}
		return fresh, nil
	}
	return nil, fmt.Errorf("no kind takes its edits back by a change of type %q", typ)
}

// Kind returns the kind of that name, which may be a companion's; nil if there is none.
func (r *Registry) Kind(name string) *Kind { return r.byName[name] }

// Schema returns the arguments of a kind, nil if there is no such kind.
func (r *Registry) Schema(kind string) *Schema { return r.schema[kind] }

// Kinds returns the kinds that playbooks can use, in the order they were registered in.
func (r *Registry) Kinds() []*Kind { return r.kinds }
