package engine

import (
	"errors"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// problems are mistakes of the playbook that show only in a run.
type problems struct{ diags hcl.Diagnostics }

func (p problems) Error() string { return diag.Text(p.diags) }

// fatal returns err where it is none of the playbook's.
func fatal(err error) error {
	var p problems
	if errors.As(err, &p) {
		return nil
	}
	return err
}

// fail is an item that failed before it could be sent.
func (h *hostRun) fail(it *item, err error) *item {
	onError := eval.Fail
	if it.ev != nil {
		onError = it.ev.OnError
	}
	if p := (problems{}); errors.As(err, &p) && eval.Later(p.diags) {
		onError = eval.Continue
		it.rescued = true
	}
	it.ev = &eval.Evaluated{OnError: onError}
	h.register(it)
	p := &wire.Planned{ID: it.id(), Status: wire.Failed, Certainty: wire.Known, Error: err.Error()}
	if at := (errArg{}); errors.As(err, &at) {
		p.ErrorArg, p.ErrorPath = at.Arg, at.Path
	}
	h.keepPlan(it, p, false)
	return it
}

// untellable is the item of a task whose instances can't be told.
func (h *hostRun) untellable(scope *eval.Scope, t *plays.Task, w walking, err error) *item {
	inst := &eval.Instance{ID: scope.Path() + t.Name(), Task: t, Host: h.name, Target: h.name}
	return h.fail(&item{inst: inst, scope: scope, owner: h, on: h, rescued: w.rescued, trial: w.trial}, err)
}
