package eval

import (
	"sort"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/modules"
)

// Evaluate returns what an instance is to do. Where Waits isn't empty, what is
// returned is nil: it is to be evaluated again once they are settled.
func (s *Scope) Evaluate(i *Instance) (*Evaluated, Waits, hcl.Diagnostics) {
	t, l := i.Task, i.layer()
	v, waits, diags := s.conditions(t, l)
	if len(waits) > 0 || diags.HasErrors() {
		return nil, waits, diags
	}
	if v.known && !v.value {
		return &Evaluated{Skip: true}, nil, diags
	}
	out := &Evaluated{When: v.host, Undecided: !v.known && v.host == nil, OnError: Fail, ChangedWhen: t.ChangedWhen != nil, FailedWhen: t.FailedWhen != nil}
	e := &evaluation{s: s, l: l, out: out, t: t, secrets: map[string]bool{}}
	e.meta()
	e.arguments(i)
	e.environment()
	if len(e.waits) > 0 || e.diags.HasErrors() {
		return nil, e.waits, append(diags, e.diags...)
	}
	out.Sensitive = out.Sensitive || t.Sensitive
	if out.Apart = out.Sensitive && !t.Sensitive && !e.spread; !out.Apart {
		out.Withheld = nil
	}
	for text := range e.secrets {
		out.Secrets = append(out.Secrets, text)
	}
	sort.Strings(out.Secrets)
	s.others(i, out)
	out.Made = s.p.made(append(out.from, out.Secrets...))
	return out, nil, append(diags, e.diags...)
}

// meta evaluates the arguments that every task takes.
func (e *evaluation) meta() {
	t := e.t
	e.become()
	if v, ok := e.text(t.Timeout, `timeout = "30s"`); ok {
		e.out.Timeout = e.duration(t.Timeout, v)
	}
	if v, ok := e.text(t.OnError, `on_error = "continue"`); ok {
		e.out.OnError = OnError(v)
		if e.out.OnError != Fail && e.out.OnError != Continue {
			e.fail(t.OnError.Range(), "Wrong value", diag.DidYouMean(v, []string{string(Fail), string(Continue)}), "on_error is \"fail\" or \"continue\".")
		}
	}
	if t.Retry == nil {
		return
	}
	r := &Retry{Attempts: 1, Until: t.Retry.Until != nil}
	e.out.Retry = r
	if x := t.Retry.Attempts; x != nil {
		if v, ok := e.value(x); ok {
			v, _ = v.UnmarkDeep()
			n, isWhole := Plain(v).(int64)
			switch {
			case !v.IsKnown():
			case !isWhole || n < 1 || n > 1_000_000:
				e.fail(x.Range(), "Wrong value", "attempts = 3", "The number of attempts is a whole number, at least 1.")
			default:
				r.Attempts = int(n)
			}
		}
	}
	if v, ok := e.text(t.Retry.Delay, `delay = "1s"`); ok {
		r.Delay = e.duration(t.Retry.Delay, v)
	}
}

// text evaluates an argument that is a string; ok is false where there is none.
func (e *evaluation) text(x *plays.Expr, hint string) (string, bool) {
	if x == nil {
		return "", false
	}
	v, ok := e.value(x)
	sensitiveTexts(v, e.secrets)
	v, _ = v.UnmarkDeep()
	if !ok || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	if v.Type() != cty.String {
		e.fail(x.Range(), "Wrong type", hint, "This takes a string, not %s.", diag.TypeWord(v.Type()))
		return "", false
	}
	return v.AsString(), true
}

func (e *evaluation) duration(x *plays.Expr, text string) time.Duration {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d
	}
	var d modules.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		e.fail(x.Range(), "Wrong value", `"1m30s"`, "%s.", diag.Capital(err.Error()))
	}
	return time.Duration(d)
}

// become finds the innermost become: the task's, or of what is around it.
func (e *evaluation) become() {
	type source struct {
		x *plays.Expr
		s *Scope
	}
	var sources []source
	if e.t.Become != nil {
		sources = append(sources, source{e.t.Become, e.s})
	}
	for at := e.s; at != nil; at = at.parent {
		if at.block != nil && at.block.Become != nil {
			sources = append(sources, source{at.block.Become, at.parent})
		}
	}
	if e.t.Play.Become != nil {
		sources = append(sources, source{e.t.Play.Become, e.s.playScope()})
	}
	for i, src := range sources {
		l := layer{}
		if i == 0 && e.t.Become != nil {
			l = e.l
		}
		v, waits, diags := src.s.value(src.x, l)
		e.waits, e.diags = append(e.waits, waits...), append(e.diags, diags...)
		if len(waits) > 0 || diags.HasErrors() {
			return
		}
		v, _ = v.UnmarkDeep()
		switch {
		case !v.IsKnown():
			return
		case v.IsNull():
			continue
		case v.Type() == cty.Bool:
			if v.True() {
				e.out.Become = Become{User: "root"}
			}
		case v.Type() == cty.String && v.AsString() != "":
			e.out.Become = Become{User: v.AsString()}
		default:
			e.fail(src.x.Range(), "Wrong type", "become = true", "become is true, false, or a user's name.")
		}
		return
	}
}

// arguments evaluates the kind's arguments.
func (e *evaluation) arguments(i *Instance) {
	e.out.Args = make(map[string]any, len(e.t.Args)+1)
	for _, a := range e.t.Args {
		if a.Arg.Type.Base == modules.Template {
			e.template(a)
			continue
		}
		e.argument(a)
	}
	if e.t.FailedWhen != nil {
		// Not the program's exit code, but Scope.FailedWhen decides.
		e.out.Args["failed_when"] = false
	}
	if e.t.KeyLabel != nil {
		e.label(e.t.KeyLabel)
	}
	sort.Strings(e.out.Unknown)
}

// label takes the task's label for an argument, as if it were written there.
func (e *evaluation) label(a *plays.Argument) {
	if c := e.convert(a, cty.StringVal(e.t.Label)); c != nil {
		e.take(a, c)
	}
}

func (e *evaluation) argument(a *plays.Argument) {
	if done := a.Done.Load(); done != nil {
		e.take(a, done)
		return
	}
	v, ok := e.value(a.Expr)
	if !ok || a.Expr.Bad {
		e.out.Args[a.Name] = modules.UnknownValue{}
		e.out.Unknown = append(e.out.Unknown, a.Name)
		return
	}
	if diags := e.exposed(a, v); diags != nil {
		e.diags = append(e.diags, diags...)
		e.out.Args[a.Name] = modules.UnknownValue{}
		return
	}
	c := e.convert(a, v)
	if c == nil {
		return
	}
	if a.Expr.Reads.Constant() && !e.s.checking() {
		a.Done.Store(c)
	}
	e.out.from = append(e.out.from, funcs.Sources(v)...)
	if c.Sensitive {
		e.collect(a.Expr, v)
	}
	e.take(a, c)
}

// take puts a converted argument into what is evaluated.
func (e *evaluation) take(a *plays.Argument, c *plays.Converted) {
	if c.Value == nil {
		return
	}
	e.out.Args[a.Name] = c.Value
	e.out.Bodies = append(e.out.Bodies, c.Bodies...)
	e.out.Sensitive = e.out.Sensitive || c.Sensitive
	switch {
	case !c.Sensitive || hidden(a.Arg):
	case a.Arg.Key: // what everything else is named after
		e.spread = true
	default:
		e.out.Withheld = append(e.out.Withheld, a.Name)
	}
	if c.Unknown {
		e.out.Unknown = append(e.out.Unknown, a.Name)
	}
}

// hidden reports whether a kind never shows the argument's value where that is
// sensitive: a password, or content, which says so of itself. Any other may
// stand anywhere in what is shown.
func hidden(a *modules.Arg) bool {
	switch a.Type.Base {
	case modules.Text, modules.File, modules.Template:
		return true
	}
	return a.Sensitive
}

// collect notes the plain texts of what is sensitive in an argument: the
// values that it was made of, and what it says itself, or what stands between
// the plain parts of it.
func (e *evaluation) collect(x *plays.Expr, v cty.Value) {
	whole, template := diag.Unwrap(x.Expression).(*hclsyntax.TemplateExpr)
	if !template {
		sensitiveTexts(v, e.secrets)
	}
	if x.Reads.Constant() {
		return
	}
	ctx, waits, diags := e.s.context(x.Reads, e.l, e.s.unit.Dir)
	if len(waits) > 0 || diags.HasErrors() {
		return
	}
	for _, t := range x.Variables() {
		if part, diags := t.TraverseAbs(ctx); !diags.HasErrors() {
			sensitiveTexts(part, e.secrets)
		}
	}
	if template {
		for _, p := range whole.Parts {
			if part, diags := p.Value(ctx); !diags.HasErrors() {
				sensitiveTexts(part, e.secrets)
			}
		}
	}
}

// Until decides whether an attempt whose outcome is o ends a retry.
func (s *Scope) Until(i *Instance, o Outcome) (bool, hcl.Diagnostics) {
	if i.Task.Retry == nil {
		return true, nil
	}
	return s.judge(i, i.Task.Retry.Until, o, true)
}

// ChangedWhen decides whether a task with the outcome o counts as changed.
func (s *Scope) ChangedWhen(i *Instance, o Outcome) (bool, hcl.Diagnostics) {
	return s.judge(i, i.Task.ChangedWhen, o, o.Changed == modules.True)
}

// FailedWhen decides whether a task with the outcome o counts as failed.
func (s *Scope) FailedWhen(i *Instance, o Outcome) (bool, hcl.Diagnostics) {
	return s.judge(i, i.Task.FailedWhen, o, o.Failed == modules.True)
}

// judge evaluates a condition on a task's own outcome; otherwise is the
// answer where there is none.
func (s *Scope) judge(i *Instance, x *plays.Expr, o Outcome, otherwise bool) (bool, hcl.Diagnostics) {
	if x == nil {
		return otherwise, nil
	}
	l := i.layer()
	l.self, l.task = &o, i.Task
	v, waits, diags := s.condition(x, l)
	switch {
	case diags.HasErrors():
		return otherwise, diags
	case len(waits) > 0:
		return otherwise, hcl.Diagnostics{diag.Error(x.Range(), "Result not known", "", "This reads the result of a task that hasn't run on %s.", waits[0].Host)}
	case !v.known:
		return otherwise, hcl.Diagnostics{diag.Error(x.Range(), "Result not known", "", "This isn't known, even though the task has run.")}
	}
	return v.value, diags
}
