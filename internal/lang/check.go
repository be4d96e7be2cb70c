package lang

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/modules"
)

// A task is checked by evaluating it as a run would, with facts and results
// unknown. One that reads nothing of its host is evaluated once; one that
// does, for every host of its play, as long as evaluations are left; then for
// one host of each make (the names of its vars and groups); then for one host.
// What is missed so is found when the run evaluates the task.
const evaluations = 6_000

// maxElements is how many elements of a for_each are checked.
const maxElements = 200

// checker is the check of one play.
type checker struct {
	*loader
	play  *Play
	paths paths
}

// check evaluates everything, with what can be known before a run.
func (l *loader) check() {
	l.budget = evaluations
	for _, u := range l.units {
		l.checkVariables(u)
		l.checkLocals(u)
	}
	for _, p := range l.p.Plays {
		c := &checker{loader: l, play: p, paths: paths{written: map[string]map[string]*Task{}}}
		l.varying = nil
		var scopes []*Scope
		for _, h := range p.Hosts {
			scopes = append(scopes, l.p.Scope(p, h, unsettled{l.p}))
		}
		if len(scopes) == 0 {
			scopes = []*Scope{l.p.Scope(p, "", unsettled{l.p})}
		}
		if r := p.Rolling; r != nil {
			c.steps(r.Before, scopes)
		}
		c.steps(p.Steps, scopes)
		if r := p.Rolling; r != nil {
			c.steps(r.After, scopes)
		}
		c.restarts()
	}
}

// checkVariables reports variables without a value, and invalid values.
func (l *loader) checkVariables(u *unit) {
	r := unsettled{l.p}
	for _, name := range u.order {
		v, state := u.variables[name], u.values[name]
		set := state.value != cty.NilVal
		if set {
			origin := ""
			if state.origin != "" {
				origin = fmt.Sprintf(" The value comes from %s.", state.origin)
			}
			l.diags = append(l.diags, (&Scope{p: l.p, unit: u, r: r}).validate(v, v.Range, origin)...)
		}
		if state.final {
			continue
		}
		for i := range l.fleet.hosts {
			h := &l.fleet.hosts[i]
			if _, ok := h.Vars[name]; ok {
				set = true
				l.diags = append(l.diags, (&Scope{p: l.p, unit: u, r: r, host: h.Name}).validate(v, v.Range, fmt.Sprintf(" The inventory sets it for %s.", h.Name))...)
			}
		}
		for _, p := range l.p.Plays {
			for _, pv := range p.vars {
				if pv.v == v {
					set = true
					l.checkPlayVar(p, pv)
				}
			}
		}
		if !set && l.o.RequireValues && !l.fleet.partial {
			l.diags = append(l.diags, v.missing(""))
		}
	}
}

// checkPlayVar checks the value that a play sets a variable to.
func (l *loader) checkPlayVar(p *Play, pv *playVar) {
	r := unsettled{l.p}
	hosts := p.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	if !pv.expr.reads.host { // else it is found where the variable is read
		_, _, diags := l.p.Scope(p, hosts[0], r).variable(pv.name)
		l.diags = append(l.diags, diags...)
	}
	for _, host := range hosts {
		l.diags = append(l.diags, l.p.Scope(p, host, r).validate(pv.v, pv.at, "")...)
	}
}

// checkLocals evaluates the locals that are the same for all hosts; the others
// are checked where they are read.
func (l *loader) checkLocals(u *unit) {
	c := &checker{loader: l, play: &Play{}}
	s := &Scope{p: l.p, unit: u, r: unsettled{l.p}} // one, so that each local is evaluated once
	for _, name := range sortedKeys(u.locals) {
		lo := u.locals[name]
		if lo.expr == nil || lo.expr.bad || c.localVaries(lo, u) {
			continue
		}
		_, _, diags := s.local(name)
		l.diags = append(l.diags, diags...)
	}
	l.varying = nil // it is asked again for each play
}

// missing is the problem of a variable that nobody gave a value.
func (v *Variable) missing(host string) *hcl.Diagnostic {
	on := ""
	if host != "" {
		on = " on " + host
	}
	return errorAt(v.Range, "Missing value", fmt.Sprintf("--var %s=VALUE", v.Name), "Variable %q has no value%s and no default. Give it one with --var, --var-file or MUSTER_VAR_%s, or in the inventory.", v.Name, on, v.Name)
}

// steps checks steps in the scopes that they are run in.
func (c *checker) steps(steps []*Step, scopes []*Scope) {
	for _, step := range steps {
		switch {
		case step.Task != nil:
			c.task(step.Task, scopes)
		case step.Block != nil:
			c.block(step.Block, scopes)
		}
	}
}

func (c *checker) block(b *Block, scopes []*Scope) {
	var inner []*Scope
	for _, s := range scopes {
		entered, _, diags := s.Enter(b)
		c.diags = append(c.diags, diags...)
		inner = append(inner, entered...)
		if b.Role != nil {
			for _, at := range entered {
				c.inputs(b.Role, at)
			}
		}
	}
	if len(inner) == 0 {
		return
	}
	c.steps(b.Steps, inner)
	c.steps(b.Rescue, inner)
	c.steps(b.Always, inner)
	if b.Role == nil {
		return
	}
	for _, name := range sortedKeys(b.Role.unit.outputs) {
		if o := b.Role.unit.outputs[name]; o.expr != nil {
			_, _, diags := inner[0].value(o.expr, layer{})
			c.diags = append(c.diags, diags...)
		}
	}
}

// inputs checks the inputs of a role in use.
func (c *checker) inputs(use *RoleUse, s *Scope) {
	for _, name := range use.unit.order {
		v := use.unit.variables[name]
		at := use.block.Range
		if given := use.inputs[name]; given != nil {
			at = given.raw.Range()
		}
		if _, _, diags := s.variable(name); diags.HasErrors() {
			c.diags = append(c.diags, diags...)
			continue
		}
		c.diags = append(c.diags, s.validate(v, at, "")...)
	}
}

// task checks a task in all scopes that it is run in.
func (c *checker) task(t *Task, scopes []*Scope) {
	if t.broken {
		return
	}
	// Whether a task's companion is its own host shows only on that one.
	varies := c.taskVaries(t, scopes[0]) || c.accompanied(t)
	if !varies {
		scopes = scopes[:1]
	} else if len(scopes) > 1 {
		scopes = c.sample(scopes)
	}
	found := map[problem]*finding{}
	var order []problem
	total := 0
	for _, s := range scopes {
		diags, certain, ran := c.once(t, s, varies)
		if ran {
			total++
		}
		seen := map[problem]bool{}
		for _, d := range diags {
			key := problemOf(d)
			if seen[key] {
				continue
			}
			seen[key] = true
			f := found[key]
			if f == nil {
				f = &finding{d: d, host: s.host}
				found[key] = f
				order = append(order, key)
			}
			f.count++
			f.certain = f.certain || certain
		}
	}
	for _, key := range order {
		f := found[key]
		if !f.certain && f.count < total {
			continue // the task may well be skipped where this is wrong
		}
		if f.count < total && f.host != "" {
			f.d.Detail += fmt.Sprintf(" (This is so for host %s.)", f.host)
		}
		c.diags = append(c.diags, f.d)
	}
}

// finding is a problem of a task in some of its scopes.
type finding struct {
	d       *hcl.Diagnostic
	host    string
	count   int
	certain bool // in a scope where the task certainly runs
}

// once checks a task in one scope. ran is false where it is skipped; varies says
// whether the task may differ between hosts.
func (c *checker) once(t *Task, s *Scope, varies bool) (diags hcl.Diagnostics, certain, ran bool) {
	instances, _, diags := s.Instances(t)
	if diags.HasErrors() {
		certain, ran = true, true
		instances = s.unknownInstances(t)
	}
	for n, i := range instances {
		if n == maxElements {
			break
		}
		c.budget--
		v, _, more := s.conditions(t, i.layer())
		diags = append(diags, more...)
		if v.known && !v.value {
			continue
		}
		ran = true
		certain = certain || v.known
		e := &evaluation{s: s, l: i.layer(), t: t, out: &Evaluated{OnError: Fail}, secrets: map[string]bool{}}
		e.meta()
		e.arguments(i)
		e.environment()
		diags = append(diags, e.diags...)
		diags = append(diags, c.decode(e)...)
		diags = append(diags, c.judgements(t, s, i)...)
		if at, ok := c.actsOn(i, varies); ok {
			c.paths.note(e, at)
		}
	}
	return diags, certain, ran
}

// judgements checks what is asked of the task's own outcome.
func (c *checker) judgements(t *Task, s *Scope, i *Instance) hcl.Diagnostics {
	var out hcl.Diagnostics
	exprs := []*expr{t.changedWhen, t.failedWhen}
	if t.retry != nil {
		exprs = append(exprs, t.retry.until)
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

// decode holds the arguments against the kind.
func (c *checker) decode(e *evaluation) hcl.Diagnostics {
	t := e.t
	if t.noKey {
		e.out.Args[c.o.Kinds.Schema(t.Kind).Key().Name] = modules.UnknownValue{}
	}
	_, errs := c.o.Kinds.Decode(t.Kind, e.out.Args)
	if len(errs) == 0 {
		_, _, errs = c.p.Companions(t, e.l.target, e.out.Args)
	}
	var out hcl.Diagnostics
	for _, err := range errs {
		d := errorAt(t.at(err), err.Summary, e.withhold(c.asWritten(t, err)), "%s", e.withhold(err.Detail))
		out = append(out, d)
	}
	return out
}

// asWritten is the hint of an argument's error. One that puts a number in
// quotes keeps its leading zeros, which its value has lost.
func (c *checker) asWritten(t *Task, err modules.ArgError) string {
	a := t.arg(err.Arg)
	if a == nil || err.Path != "" {
		return err.Hint
	}
	n, ok := unwrap(a.raw).(*hclsyntax.LiteralValueExpr)
	if !ok || n.Val.Type() != cty.Number || err.Hint != fmt.Sprintf("%s = %q", a.name, fmt.Sprint(plainValue(n.Val))) {
		return err.Hint
	}
	src := c.p.files.sources[n.SrcRange.Filename]
	if !n.SrcRange.CanSliceBytes(src) {
		return err.Hint
	}
	return fmt.Sprintf("%s = %q", a.name, n.SrcRange.SliceBytes(src))
}

// withhold leaves sensitive texts out of a message.
func (e *evaluation) withhold(text string) string {
	secrets := sortedKeys(e.secrets)
	sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) })
	for _, s := range secrets {
		quoted := fmt.Sprintf("%q", s)
		text = strings.ReplaceAll(text, quoted, `"(sensitive)"`)
		if len(s) > 3 { // a shorter one would be found in the message's own words
			text = strings.ReplaceAll(text, s, "(sensitive)")
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], "(sensitive)")
		}
	}
	return text
}
