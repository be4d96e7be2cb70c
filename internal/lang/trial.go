package lang

import (
	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/plays"
	"muster/modules"
)

// trial is an instance as far as it can be evaluated before a run.
type trial struct {
	args    Args
	diags   hcl.Diagnostics
	skipped bool // it isn't run, and nothing else is known of it
	certain bool // it is run
	secrets map[string]bool
}

// try evaluates an instance with what is known before a run.
func (s *Scope) try(i *Instance) *trial {
	v, _, diags := s.conditions(i.Task, i.layer())
	if v.known && !v.value {
		return &trial{skipped: true, diags: diags}
	}
	e := &evaluation{s: s, l: i.layer(), t: i.Task, out: &Evaluated{OnError: Fail}, secrets: map[string]bool{}}
	e.meta()
	e.arguments(i)
	e.environment()
	return &trial{args: e.out.Args, diags: append(diags, e.diags...), certain: v.known, secrets: e.secrets}
}

// withhold leaves the sensitive texts of the arguments out of a message.
func (t *trial) withhold(text string) string { return withhold(t.secrets, text) }

// output evaluates an output of the role that the scope is in, and returns what is wrong with it.
func (s *Scope) output(o *plays.Output) hcl.Diagnostics {
	_, _, diags := s.value(o.Expr, layer{})
	return diags
}

// judgements checks what is asked of the task's own outcome.
func (s *Scope) judgements(i *Instance) hcl.Diagnostics {
	t := i.Task
	var out hcl.Diagnostics
	exprs := []*plays.Expr{t.ChangedWhen, t.FailedWhen}
	if t.Retry != nil {
		exprs = append(exprs, t.Retry.Until)
	}
	l := i.layer()
	l.self, l.task = &Outcome{Changed: modules.Maybe, Failed: modules.Maybe, Skipped: modules.Maybe}, t
	for _, x := range exprs {
		if x != nil {
			_, _, diags := s.condition(x, l)
			out = append(out, diags...)
		}
	}
	return out
}
