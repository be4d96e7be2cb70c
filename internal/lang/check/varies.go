package check

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/modules"
)

// varies reports whether what is read may differ between the hosts of a play,
// or between the elements that a role is used for.
func (c *checker) varies(r *plays.Reads, u *plays.Unit) bool {
	if r == nil || r.Constant() {
		return false
	}
	if r.Host || r.OnHost || len(r.Roles) > 0 || len(r.Secrets) > 0 || r.AllSecrets {
		return true
	}
	for _, name := range r.Vars {
		if c.variableVaries(name, u) {
			return true
		}
	}
	for _, name := range r.Locals {
		if lo := u.Locals[name]; lo != nil && lo.Expr != nil && !lo.Expr.Bad && c.localVaries(lo, u) {
			return true
		}
	}
	return false
}

func (c *checker) localVaries(lo *plays.Local, u *plays.Unit) bool {
	if known, ok := c.varying[lo]; ok {
		return known
	}
	if c.varying == nil {
		c.varying = map[any]bool{}
	}
	c.varying[lo] = true // while it is looked at; cycles have been reported
	v := c.varies(lo.Expr.Reads, u)
	c.varying[lo] = v
	return v
}

func (c *checker) variableVaries(name string, u *plays.Unit) bool {
	if u.Role != nil {
		if u.Role.ForEach != nil {
			return true
		}
		in := u.Role.Inputs[name]
		return in != nil && in.Expr != nil && c.varies(in.Expr.Reads, u.Parent)
	}
	if u.Values[name].Final {
		return false
	}
	if c.p.Inventory.VarNames[name] {
		return true
	}
	for _, pv := range c.play.Vars {
		if pv.Name == name && pv.Expr.Reads != nil {
			return pv.Expr.Reads.Host || len(pv.Expr.Reads.Vars) > 0
		}
	}
	return false
}

// taskVaries reports whether a task may differ between scopes.
func (c *checker) taskVaries(t *plays.Task, s *eval.Scope) bool {
	u := t.Unit
	exprs := []*plays.Expr{t.When, t.ForEach, t.On, t.Become, t.Timeout, t.OnError, t.ChangedWhen, t.FailedWhen, t.Play.Become}
	if t.Retry != nil {
		exprs = append(exprs, t.Retry.Attempts, t.Retry.Delay, t.Retry.Until)
	}
	if t.Vars != nil {
		exprs = append(exprs, t.Vars.Expr)
	}
	if t.Environment != nil {
		exprs = append(exprs, t.Environment.Expr)
	}
	if a := t.Play.Environment; a != nil && c.varies(a.Expr.Reads, t.Play.Unit) {
		return true
	}
	for _, a := range t.Args {
		exprs = append(exprs, a.Expr)
		if a.Arg.Type.Base == modules.Template && c.templateVaries(a, u) {
			return true
		}
	}
	for _, x := range exprs {
		if x != nil && c.varies(x.Reads, u) {
			return true
		}
	}
	for b, outer := range s.Blocks() {
		if b.When != nil && c.varies(b.When.Reads, outer) || b.Become != nil && c.varies(b.Become.Reads, outer) {
			return true
		}
	}
	return false
}

// templateVaries reports whether a template reads its host itself.
func (c *checker) templateVaries(a *plays.Argument, u *plays.Unit) bool {
	if !a.Expr.Reads.Constant() {
		return true
	}
	reads := c.p.TemplateReads(a, u)
	return reads != nil && c.varies(reads, u) // what is wrong with it is the same for all
}

// sample returns all scopes as long as evaluations are left, and then one for
// each make of host.
func (c *checker) sample(scopes []*eval.Scope) []*eval.Scope {
	if len(scopes) <= c.budget {
		return scopes
	}
	if c.budget < -evaluations/3 {
		return scopes[:1]
	}
	seen := map[string]bool{}
	var out []*eval.Scope
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
	h := c.p.Inventory.ByName[host]
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
