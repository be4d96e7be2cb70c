package eval

import (
	"time"

	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/modules"
)

// Instance is a task on one host of a play: one for each element of its
// for_each, and for each host it acts on.
type Instance struct {
	// ID is unique among a host's instances in a run, and the same in every
	// run of an unchanged playbook: `0/role.web/task.file.motd["a"]`. Instances
	// that differ only in Target share it.
	ID   string
	Task *plays.Task
	Key  string // of for_each; "" without
	// Host is the play's host, Target the one acted on (other than Host only
	// for a task with `on`).
	Host, Target string

	looped bool     // it is one of a for_each
	of     *element // of that for_each; nil where it is the key itself
	on     bool     // Target comes from `on`
}

// each is what its expressions see of its for_each.
func (i *Instance) each() cty.Value {
	switch {
	case i.of != nil:
		return i.of.each()
	case i.looped:
		key := cty.StringVal(i.Key)
		return (&element{i.Key, key, key}).each()
	}
	return cty.NilVal
}

// Outside returns the instance of a task that no playbook has: muster's own, on a host,
// under a heading in a play's place.
func Outside(host, id, heading, name string) *Instance {
	t := &plays.Task{Label: name, Play: &plays.Play{Name: heading}, Called: name}
	return &Instance{ID: id, Task: t, Host: host, Target: host}
}

// Evaluated is an instance with everything that a run needs to know of it.
type Evaluated struct {
	// Skip: `when` is false, and nothing else is set.
	Skip bool
	// When is what only the host can decide; nil: nothing.
	When *modules.Condition
	// Undecided: `when` is known only after apply, so that the task is deferred.
	Undecided bool
	// Args is what modules.Decode takes: host.Content for text, files, templates
	// and trees, modules.UnknownValue where a value is known after apply.
	Args Args
	// Others are the arguments with other versions of its secrets that are valid, while
	// one is rotated: what was made with any of them agrees.
	Others  []Args
	Unknown []string // the arguments that hold something unknown, sorted
	// Bodies are the bytes behind each Content larger than host.InlineLimit.
	Bodies []files.Body
	// Sensitive: an argument holds something sensitive, or the task says so.
	Sensitive bool
	// Apart: all that is sensitive stands in known arguments, so that the rest of
	// what it would change is shown. Withheld are those whose values the kind may
	// show; the others it never does.
	Apart    bool
	Withheld []string
	Secrets  []string // plain sensitive strings that went into Args, for redaction
	// Made are the values of secrets that these, and Others, are made of: names, and
	// secret.Digest, with a space between. Those beside the one with SecretVersions.Only
	// aren't among them: a rotation is held against what hosts know before its parts are.
	// Nor are those that are Ending: hosts may know that before the store does.
	Made []string
	// Ended is how it is made where the values that are Ending have been ended; nil where it
	// is made of none.
	Ended *Ended
	from  []string // the texts that these are told by

	Become Become
	// Environment is variables of the programs that the task runs, NAME=value, sorted.
	Environment []string

	Timeout time.Duration // 0: the kind's own
	OnError OnError
	Retry   *Retry // nil: one attempt
	// ChangedWhen and FailedWhen: Scope.ChangedWhen and FailedWhen decide
	// whether the task counts as changed or failed, once it has run.
	ChangedWhen, FailedWhen bool
}

// Ended are the arguments without values that are about to be retired, and those that agree.
// Made says which values are left out, as Evaluated.Made does.
type Ended struct {
	Args   Args
	Others []Args
	Made   []string
}

// Become says who a task runs as: the user who logs in, or User.
type Become struct {
	User string // "": the user who logs in
}

// OnError says what a failure of a task does to its host.
type OnError string

// The values of on_error.
const (
	Fail     OnError = "fail"     // the host stops, or its block's rescue is run
	Continue OnError = "continue" // the failure is shown, and tolerated
)

// Retry says how often a task is tried.
type Retry struct {
	Attempts int           // at least 1
	Delay    time.Duration // between attempts
	Until    bool          // an attempt counts only where Scope.Until says so
}

// Args are arguments of a task as modules.Decode takes them.
type Args = map[string]any

// element is one element of a for_each; its zero value stands for no for_each.
type element struct {
	key      string
	k, value cty.Value
}

// isKey reports whether the element is its key and no more, as those of a set are.
func (e *element) isKey() bool {
	v := e.value
	return v != cty.NilVal && v.Type() == cty.String && !v.IsMarked() && v.IsKnown() && !v.IsNull() && v.AsString() == e.key
}

// each is what expressions see. It is made when it is read: a run keeps very
// many elements.
func (e *element) each() cty.Value {
	if e.k == cty.NilVal {
		return cty.NilVal
	}
	return cty.ObjectVal(map[string]cty.Value{"key": e.k, "value": e.value})
}
