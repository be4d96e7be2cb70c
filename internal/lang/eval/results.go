package eval

import (
	"encoding/json"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/modules"
)

// Outcome is what an earlier task did, or will do, on a host.
type Outcome struct {
	Changed, Failed, Skipped modules.Truth
	// Output is the task's output as JSON, of the shape that its kind's Output
	// has; nil: known after apply. "null" where there is none (skipped, failed).
	Output    json.RawMessage
	Sensitive bool // the output holds something sensitive
	// Why says, as a clause, why there is no output, where the run knows better than Skipped.
	Why string
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

// comesLater marks the diagnostic of a secret that can't be read yet.
type comesLater struct{}

// Later reports whether diagnostics are about a secret that can't be read yet.
func Later(diags hcl.Diagnostics) bool {
	return slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { _, ok := d.Extra.(comesLater); return ok })
}
