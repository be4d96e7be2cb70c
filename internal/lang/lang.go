// Package lang turns playbooks into plays and tasks.
//
// Load reads a playbook with everything it uses (roles, templates, included
// playbooks) and checks all that can be checked before a connection is made.
// What it returns is the same for every host. A Scope then evaluates it for
// one host of one play: which instances a task has there, whether it runs, and
// the arguments that modules.Decode takes.
//
// The package depends on no inventory, transport or store: it is told of the
// fleet, of facts, of earlier tasks' results and of secrets through Options
// and Results.
package lang

import (
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/modules"
	"muster/secret"
)

// Fleet is what playbooks may know of the inventory.
type Fleet struct {
	Hosts  []Host              // in inventory order
	Groups map[string][]string // names of hosts, in inventory order; "all" included
	// Match turns patterns into host names, in inventory order. The text of
	// its error is shown as it is. nil: only "all" and plain names match.
	Match func(patterns []string) ([]string, error)
	// Partial: there may be hosts, groups and vars that this doesn't know, because
	// no source was asked, or one couldn't be read. Names that are unknown are then
	// no mistake, and what depends on who there is isn't known.
	Partial bool
}

// Host is a host as the inventory describes it.
type Host struct {
	Name, Address string
	Groups        []string
	Vars          map[string]cty.Value // group and host vars, merged
}

// VarSource is a variable's value given outside the playbook.
type VarSource struct {
	Name string
	// Value is the value; cty.NilVal where it comes as Text, which a variable
	// of a type other than string reads as an HCL expression.
	Value  cty.Value
	Text   string
	Origin string     // for messages: "--var", "MUSTER_VAR_image", "prod.vars.hcl:3"
	Range  *hcl.Range // where it stands in a file, nil elsewhere
	// Optional values may name a variable that doesn't exist (the environment).
	Optional bool

	expr hclsyntax.Expression // of Value, where it stands in a file
}

// Secrets is the store behind secret["NAME"]. One that has a method Partial() bool which
// returns true couldn't be read: any name may be in it.
type Secrets interface {
	// Names returns every secret's name, for checks and hints.
	Names() []string
	// Open returns the names of those that have more than one valid version.
	Open() []string
	// Versions returns a secret's values that are valid, and which the host is to use.
	Versions(host, name string) (SecretVersions, error)
}

// ErrLater is an error of Secrets.Versions for a secret that can't be read yet, and can
// later: a task that needs it has failed, which is tolerated.
var ErrLater = errors.New("it comes later")

// comesLater marks the diagnostic of a secret that can't be read yet.
type comesLater struct{}

// Later reports whether diagnostics are about a secret that can't be read yet.
func Later(diags hcl.Diagnostics) bool {
	return slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { _, ok := d.Extra.(comesLater); return ok })
}

// Options is what a playbook is read against. The zero value of each field is
// "none".
type Options struct {
	Kinds         *modules.Registry
	Fleet         *Fleet // nil: one host, localhost
	Root          string // the project's folder: Root/roles has its roles
	EmbeddedRoles fs.FS  // NAME/role.hcl, for names that Root/roles lacks
	Vars          []VarSource
	Secrets       Secrets
	Facts         cty.Type // of host.facts; cty.NilType: anything
	// Place returns where the file of an absolute path in the playbook lies, when
	// the files of a saved plan were laid elsewhere; nil: at that path.
	Place func(name string) string
	// RequireValues makes a variable without a value an error (plan, apply);
	// otherwise it is unknown (validate).
	RequireValues bool
	// Phase chooses a part of a rotation; nil: the playbook's plays.
	Phase *Phase
	// Try are values of secrets, by name, that the checks are to be made with: where a task
	// can't carry one, that is among what is wrong with the playbook.
	Try map[string]secret.String
}

// Playbook is a playbook that has been read and found free of errors, or,
// beside errors, as much of it as could be read. It is safe for concurrent use.
type Playbook struct {
	File      string
	Plays     []*Play // those of included playbooks stand where they are included
	Variables []*Variable
	// Sources is every file read as text (HCL, templates, what file() read),
	// by the name that ranges give, for diagnostics and saved plans.
	Sources map[string][]byte
	// Facts is the names of the facts that expressions read of hosts, sorted:
	// {"os"} for host.facts.os.id. It is nil where any may be read.
	Facts []string
	// Secrets is the names of the secrets that expressions read, sorted; of all, where
	// a name is computed.
	Secrets []string
	// Rotations are those that the file declares. They aren't among Plays.
	Rotations []*Rotation

	o     *Options
	fleet *fleet
	files *files

	l        *loader          // what names mean, for templates
	base     *hcl.EvalContext // pure functions
	contexts contexts         // and those that read files, by folder
	facts    cty.Type
	allHosts map[string]map[string]cty.Value // what the inventory says of each
	known    knownSecrets
}

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

	unit   *unit
	names  *names
	become *expr
	vars   []*playVar
	// environment is variables of the programs that its tasks run; nil: none.
	environment *argument
	hosts       map[string]bool

	rotation bool // it is a part of a rotation
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
func (t *Task) ActsElsewhere() bool { return t.on != nil || t.needsOther }

// Seq is the task's place in its play, in the order in which tasks are made.
func (t *Task) Seq() int { return t.seq }

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

	when, become *expr
}

// RoleUse is a role used by a play, a block or another role.
type RoleUse struct {
	Name  string // of the role
	Label string // what references call it: role.LABEL.OUTPUT

	unit     *unit // nil: the role couldn't be read, which has been reported
	forEach  *expr
	inputs   map[string]*argument
	seq, end int // what stands before and after it in the play
	block    *Block
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
	own           [2]int // the play's own steps stand behind the first place and up to the second
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

	unit        *unit
	names       *names
	kind        *modules.Kind
	args        []*argument // as written
	vars        *argument   // what its template sees
	when        *expr
	forEach, on *expr
	become      *expr
	environment *argument
	timeout     *expr
	onError     *expr
	retry       *retryBlock
	changedWhen *expr
	failedWhen  *expr
	labelAt     hcl.Range // of its label
	seq         int
	name        string
	keyLabel    *argument // the key argument that the label stands for; nil: none
	noKey       bool      // the key argument is missing, which has been reported
	broken      bool      // nothing is known of it: the kind doesn't exist
	conditional bool      // in a rescue, which may never run
	needsOther  bool      // it may have companions
}

// Name returns how references call the task: `task.file["/etc/motd"]`.
func (t *Task) Name() string { return t.name }

// Variable is a declared variable, of a playbook or a role's input.
type Variable struct {
	Name        string
	Description string
	Type        cty.Type  // cty.DynamicPseudoType: any
	Default     cty.Value // cty.NilVal: none
	Sensitive   bool
	Nullable    bool
	Deprecated  string    // what to use instead, "" if it isn't
	Range       hcl.Range // of its header

	defaults   typeDefaults
	validation []*validation
}

// Outcome is what an earlier task did, or will do, on a host.
type Outcome struct {
	Changed, Failed, Skipped modules.Truth
	// Output is the task's output as JSON, of the shape that its kind's Output
	// has; nil: known after apply. "null" where there is none (skipped, failed).
	Output    json.RawMessage
	Sensitive bool // the output holds something sensitive
	// Unsent says that the task's host doesn't know of it, and may never: a rescue's,
	// say. Conditions on it can't be decided there.
	Unsent bool
}

// Results answers what is known of the hosts in the run. It must be safe for
// concurrent use if the scopes are used so.
type Results interface {
	// Outcome returns what the task instance did, ID as in Instance. Settled
	// false: not known yet, wait for it and evaluate again. For a task that is
	// Once it is asked with the scope's host, and answers what was shared.
	Outcome(host, id string) (o Outcome, settled bool)
	// Facts returns a host's facts, of the type in Options; unknown where they
	// will not be known in this run (an unreachable host), and those of them
	// that plays before FactsRead.Play are still to alter. Settled false: wait.
	Facts(FactsRead) (facts cty.Value, settled bool)
}

// FactsRead is a reading of a host's facts.
type FactsRead struct {
	Host string
	// Play is the index of the play that reads: its facts are those at its
	// start. 0 for what a play consists of (for_each, on), which doesn't wait
	// for other plays.
	Play  int
	Names []string // of the facts; nil: any
}

// Reads reports whether the fact of a name is read.
func (q FactsRead) Reads(name string) bool { return q.Names == nil || slices.Contains(q.Names, name) }

// Wait is something that must be settled before an evaluation can be repeated.
type Wait struct {
	Host  string
	ID    string    // of a task instance; "": the host's facts
	Facts FactsRead // what is read of them
}

// String names the host and the task instance.
func (w Wait) String() string { return "{" + w.Host + " " + w.ID + "}" }

// Waits is everything an evaluation waits for; none: it is complete.
type Waits []Wait
