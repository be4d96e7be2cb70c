package check

import (
	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// checks are those of one playbook.
type checks struct {
	p          *eval.Playbook
	diags      hcl.Diagnostics
	budget     int               // evaluations that are left
	varying    map[any]bool      // locals that differ between hosts
	signatures map[string]string // of hosts
}

// checker is the check of one play.
type checker struct {
	*checks
	play  *plays.Play
	paths paths
}

func (k *checks) errorAt(at hcl.Range, summary, hint, detail string, a ...any) {
	k.diags = append(k.diags, diag.Error(at, summary, hint, detail, a...))
}

// A task is checked by evaluating it as a run would, with facts and results
// unknown. One that reads nothing of its host is evaluated once; one that
// does, for every host of its play, as long as evaluations are left; then for
// one host of each make (the names of its vars and groups); then for one host.
// What is missed so is found when the run evaluates the task.
const evaluations = 6_000
