// Package check finds what is wrong with playbooks before a connection is made.
package check

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/modules"
)

// maxElements is how many elements of a for_each are checked.
const maxElements = 200

// Playbook evaluates everything, with what can be known before a run.
func Playbook(p *eval.Playbook) hcl.Diagnostics {
	k := &checks{p: p, budget: evaluations}
	for _, u := range k.p.Units {
		k.checkVariables(u)
		k.checkLocals(u)
	}
	for _, p := range k.p.Plays {
		c := &checker{checks: k, play: p, paths: paths{written: map[string]map[string]*plays.Task{}}}
		k.varying = nil
		var scopes []*eval.Scope
		for _, h := range p.Hosts {
			scopes = append(scopes, k.p.BeforeRun(p, h))
		}
		if len(scopes) == 0 {
			scopes = []*eval.Scope{k.p.BeforeRun(p, "")}
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
	return k.diags
}

// checkVariables reports variables without a value, and invalid values.
func (k *checks) checkVariables(u *plays.Unit) {
	for _, name := range u.Order {
		v, state := u.Variables[name], u.Values[name]
		set := state.Value != cty.NilVal
		if set {
			origin := ""
			if state.Origin != "" {
				origin = fmt.Sprintf(" The value comes from %s.", state.Origin)
			}
			k.diags = append(k.diags, k.p.BeforePlays(u, "").Validate(v, v.Range, origin)...)
		}
		if state.Final {
			continue
		}
		for i := range k.p.Inventory.Hosts {
			h := &k.p.Inventory.Hosts[i]
			if _, ok := h.Vars[name]; ok {
				set = true
				k.diags = append(k.diags, k.p.BeforePlays(u, h.Name).Validate(v, v.Range, fmt.Sprintf(" The inventory sets it for %s.", h.Name))...)
			}
		}
		for _, p := range k.p.Plays {
			for _, pv := range p.Vars {
				if pv.Variable == v {
					set = true
					k.checkPlayVar(p, pv)
				}
			}
		}
		if !set && k.p.Options.RequireValues && !k.p.Inventory.Partial {
			k.diags = append(k.diags, v.Missing(""))
		}
	}
}

// checkPlayVar checks the value that a play sets a variable to.
func (k *checks) checkPlayVar(p *plays.Play, pv *plays.PlayVar) {
	hosts := p.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	if !pv.Expr.Reads.Host { // else it is found where the variable is read
		_, _, diags := k.p.BeforeRun(p, hosts[0]).Variable(pv.Name)
		k.diags = append(k.diags, diags...)
	}
	for _, host := range hosts {
		k.diags = append(k.diags, k.p.BeforeRun(p, host).Validate(pv.Variable, pv.At, "")...)
	}
}

// checkLocals evaluates the locals that are the same for all hosts; the others
// are checked where they are read.
func (k *checks) checkLocals(u *plays.Unit) {
	c := &checker{checks: k, play: &plays.Play{}}
	s := k.p.BeforePlays(u, "") // one, so that each local is evaluated once
	for _, name := range slices.Sorted(maps.Keys(u.Locals)) {
		lo := u.Locals[name]
		if lo.Expr == nil || lo.Expr.Bad || c.localVaries(lo, u) {
			continue
		}
		_, _, diags := s.Local(name)
		k.diags = append(k.diags, diags...)
	}
	k.varying = nil // it is asked again for each play
}

// steps checks steps in the scopes that they are run in.
func (c *checker) steps(steps []*plays.Step, scopes []*eval.Scope) {
	for _, step := range steps {
		switch {
		case step.Task != nil:
			c.task(step.Task, scopes)
		case step.Block != nil:
			c.block(step.Block, scopes)
		}
	}
}

func (c *checker) block(b *plays.Block, scopes []*eval.Scope) {
	var inner []*eval.Scope
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
	for _, name := range slices.Sorted(maps.Keys(b.Role.Unit.Outputs)) {
		if o := b.Role.Unit.Outputs[name]; o.Expr != nil {
			c.diags = append(c.diags, inner[0].Output(o)...)
		}
	}
}

// inputs checks the inputs of a role in use.
func (c *checker) inputs(use *plays.RoleUse, s *eval.Scope) {
	for _, name := range use.Unit.Order {
		v := use.Unit.Variables[name]
		at := use.Block.Range
		if given := use.Inputs[name]; given != nil {
			at = given.Raw.Range()
		}
		if _, _, diags := s.Variable(name); diags.HasErrors() {
			c.diags = append(c.diags, diags...)
			continue
		}
		c.diags = append(c.diags, s.Validate(v, at, "")...)
	}
}

// task checks a task in all scopes that it is run in.
func (c *checker) task(t *plays.Task, scopes []*eval.Scope) {
	if t.Broken {
		return
	}
	// Whether a task's companion is its own host shows only on that one.
	varies := c.taskVaries(t, scopes[0]) || c.p.Accompanied(t)
	if !varies {
		scopes = scopes[:1]
	} else if len(scopes) > 1 {
		scopes = c.sample(scopes)
	}
	found := map[diag.Problem]*finding{}
	var order []diag.Problem
	total := 0
	for _, s := range scopes {
		diags, certain, ran := c.once(t, s, varies)
		if ran {
			total++
		}
		seen := map[diag.Problem]bool{}
		for _, d := range diags {
			key := diag.ProblemOf(d)
			if seen[key] {
				continue
			}
			seen[key] = true
			f := found[key]
			if f == nil {
				f = &finding{d: d, host: s.Host()}
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
func (c *checker) once(t *plays.Task, s *eval.Scope, varies bool) (diags hcl.Diagnostics, certain, ran bool) {
	instances, _, diags := s.Instances(t)
	if diags.HasErrors() {
		certain, ran = true, true
		instances = s.UnknownInstances(t)
	}
	for n, i := range instances {
		if n == maxElements {
			break
		}
		c.budget--
		tried := s.Try(i)
		diags = append(diags, tried.Diags...)
		if tried.Skipped {
			continue
		}
		ran = true
		certain = certain || tried.Certain
		diags = append(diags, c.decode(i, tried)...)
		diags = append(diags, s.Judgements(i)...)
		if at, ok := c.actsOn(i, varies); ok {
			c.paths.note(c.p.Options.Kinds, t, tried.Args, at)
		}
	}
	return diags, certain, ran
}

// decode holds the arguments against the kind.
func (c *checker) decode(i *eval.Instance, tried *eval.Trial) hcl.Diagnostics {
	t := i.Task
	if t.NoKey {
		tried.Args[c.p.Options.Kinds.Schema(t.Kind).Key().Name] = modules.UnknownValue{}
	}
	module, errs := c.p.Options.Kinds.Decode(t.Kind, tried.Args)
	if copier, is := module.(modules.Copier); is && len(errs) == 0 {
		errs = c.copies(copier)
	}
	if len(errs) == 0 {
		_, _, errs = c.p.Companions(t, i.Target, tried.Args)
	}
	var out hcl.Diagnostics
	for _, err := range errs {
		d := diag.Error(t.At(err), err.Summary, tried.Withhold(c.asWritten(t, err)), "%s", tried.Withhold(err.Detail))
		out = append(out, d)
	}
	return out
}

// copies refuses to keep copies of hosts' files where muster reads: the next run would take
// what a host says for a part of the project.
func (c *checker) copies(m modules.Copier) []modules.ArgError {
	to, _ := m.CopyOf()
	if to = path.Clean(to); to == "." {
		return nil
	}
	for _, read := range c.p.Options.Reads {
		if below(to, read) || below(read, to) {
			return []modules.ArgError{{Arg: "to", Summary: "A folder that muster reads", Hint: `to = "fetched"`,
				Detail: fmt.Sprintf("The copies in %q would stand where muster reads %q as a part of the project: keep them in a folder of their own.", to, read)}}
		}
	}
	return nil
}

// below reports whether a path is another one, or lies in it.
func below(at, dir string) bool { return at == dir || strings.HasPrefix(at, dir+"/") }

// asWritten is the hint of an argument's error. One that puts a number in
// quotes keeps its leading zeros, which its value has lost.
func (c *checker) asWritten(t *plays.Task, err modules.ArgError) string {
	a := t.Arg(err.Arg)
	if a == nil || err.Path != "" {
		return err.Hint
	}
	n, ok := diag.Unwrap(a.Raw).(*hclsyntax.LiteralValueExpr)
	if !ok || n.Val.Type() != cty.Number || err.Hint != fmt.Sprintf("%s = %q", a.Name, fmt.Sprint(eval.Plain(n.Val))) {
		return err.Hint
	}
	src := c.p.Reader.Sources()[n.SrcRange.Filename]
	if !n.SrcRange.CanSliceBytes(src) {
		return err.Hint
	}
	return fmt.Sprintf("%s = %q", a.Name, n.SrcRange.SliceBytes(src))
}
