package lang

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"muster/modules"
)

// varies reports whether what is read may differ between the hosts of a play,
// or between the elements that a role is used for.
func (c *checker) varies(r *reads, u *unit) bool {
	if r == nil || r.constant() {
		return false
	}
	if r.host || r.onHost || len(r.roles) > 0 || len(r.secrets) > 0 || r.allSecrets {
		return true
	}
	for _, name := range r.vars {
		if c.variableVaries(name, u) {
			return true
		}
	}
	for _, name := range r.locals {
		if lo := u.locals[name]; lo != nil && lo.expr != nil && !lo.expr.bad && c.localVaries(lo, u) {
			return true
		}
	}
	return false
}

func (c *checker) localVaries(lo *local, u *unit) bool {
	if known, ok := c.varying[lo]; ok {
		return known
	}
	if c.varying == nil {
		c.varying = map[any]bool{}
	}
	c.varying[lo] = true // while it is looked at; cycles have been reported
	v := c.varies(lo.expr.reads, u)
	c.varying[lo] = v
	return v
}

func (c *checker) variableVaries(name string, u *unit) bool {
	if u.role != nil {
		if u.role.forEach != nil {
			return true
		}
		in := u.role.inputs[name]
		return in != nil && in.expr != nil && c.varies(in.expr.reads, u.parent)
	}
	if u.values[name].final {
		return false
	}
	if c.p.fleet.varNames[name] {
		return true
	}
	for _, pv := range c.play.vars {
		if pv.name == name && pv.expr.reads != nil {
			return pv.expr.reads.host || len(pv.expr.reads.vars) > 0
		}
	}
	return false
}

// taskVaries reports whether a task may differ between scopes.
func (c *checker) taskVaries(t *Task, s *Scope) bool {
	u := t.unit
	exprs := []*expr{t.when, t.forEach, t.on, t.become, t.timeout, t.onError, t.changedWhen, t.failedWhen, t.Play.become}
	if t.retry != nil {
		exprs = append(exprs, t.retry.attempts, t.retry.delay, t.retry.until)
	}
	if t.vars != nil {
		exprs = append(exprs, t.vars.expr)
	}
	if t.environment != nil {
		exprs = append(exprs, t.environment.expr)
	}
	if a := t.Play.environment; a != nil && c.varies(a.expr.reads, t.Play.unit) {
		return true
	}
	for _, a := range t.args {
		exprs = append(exprs, a.expr)
		if a.arg.Type.Base == modules.Template && c.templateVaries(a, u) {
			return true
		}
	}
	for _, x := range exprs {
		if x != nil && c.varies(x.reads, u) {
			return true
		}
	}
	for b, outer := range s.blocks() {
		if b.when != nil && c.varies(b.when.reads, outer) || b.become != nil && c.varies(b.become.reads, outer) {
			return true
		}
	}
	return false
}

// templateVaries reports whether a template reads its host itself.
func (c *checker) templateVaries(a *argument, u *unit) bool {
	if !a.expr.reads.constant() {
		return true
	}
	reads := c.p.templateReads(a, u)
	return reads != nil && c.varies(reads, u) // what is wrong with it is the same for all
}

// sample returns all scopes as long as evaluations are left, and then one for
// each make of host.
func (c *checker) sample(scopes []*Scope) []*Scope {
	if len(scopes) <= c.budget {
		return scopes
	}
	if c.budget < -evaluations/3 {
		return scopes[:1]
	}
	seen := map[string]bool{}
	var out []*Scope
	for _, s := range scopes {
		sig := c.signature(s.Host()) + s.Path()
		if !seen[sig] {
			seen[sig] = true
			out = append(out, s)
		}
	}
	return out
}

// signature is what kind of host this is: the names of its vars and groups.
func (c *checker) signature(host string) string {
	if sig, ok := c.signatures[host]; ok {
		return sig
	}
	h := c.p.fleet.byName[host]
	if h == nil {
		return ""
	}
	groups := append([]string(nil), h.Groups...)
	sort.Strings(groups)
	sig := strings.Join(slices.Sorted(maps.Keys(h.Vars)), ",") + ";" + strings.Join(groups, ",")
	if c.signatures == nil {
		c.signatures = map[string]string{}
	}
	c.signatures[host] = sig
	return sig
}
