package eval

import (
	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/plays"
	"muster/modules"
)

// Trial is an instance as far as it can be evaluated before a run.
type Trial struct {
	Args    Args
	Diags   hcl.Diagnostics
	Skipped bool // it isn't run, and nothing else is known of it
	Certain bool // it is run
	secrets map[string]bool
}

// Try evaluates an instance with what is known before a run.
func (s *Scope) Try(i *Instance) *Trial {
	v, _, diags := s.conditions(i.Task, i.layer())
	if v.known && !v.value {
		return &Trial{Skipped: true, Diags: diags}
	}
	e := &evaluation{s: s, l: i.layer(), t: i.Task, out: &Evaluated{OnError: Fail}, secrets: map[string]bool{}}
	e.meta()
	e.arguments(i)
	e.environment()
	return &Trial{Args: e.out.Args, Diags: append(diags, e.diags...), Certain: v.known, secrets: e.secrets}
}

// Withhold leaves the sensitive texts of the arguments out of a message.
func (t *Trial) Withhold(text string) string { return withhold(t.secrets, text) }

// Output evaluates an output of the role that the scope is in, and returns what is wrong with it.
func (s *Scope) Output(o *plays.Output) hcl.Diagnostics {
	_, _, diags := s.value(o.Expr, layer{})
	return diags
}

// Judgements checks what is asked of the task's own outcome.
func (s *Scope) Judgements(i *Instance) hcl.Diagnostics {
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
