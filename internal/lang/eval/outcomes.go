package eval

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/modules"
)

type laterMark struct{}

// afterApply marks, in checks, what only a run can tell: for_each can't depend
// on it.
var afterApply = laterMark{}

func truth(t modules.Truth) cty.Value {
	switch t {
	case modules.True:
		return cty.True
	case modules.False:
		return cty.False
	}
	return cty.UnknownVal(cty.Bool)
}

// outcomeValue is how expressions see what a task did; name is what they call it.
func outcomeValue(t *plays.Task, name string, o Outcome) cty.Value {
	attrs := map[string]cty.Value{
		"changed": truth(o.Changed), "failed": truth(o.Failed), "skipped": truth(o.Skipped),
	}
	if t.KindOf.Output != nil {
		typ := plays.OutputType(t.KindOf)
		v := cty.UnknownVal(typ)
		if o.Output != nil {
			var err error
			if v, err = FromJSON(o.Output, typ); err != nil {
				v = cty.NullVal(typ)
			}
		}
		if v.IsNull() {
			v = v.Mark(noOutput{name, whyNoOutput(t, o), t.KindOf})
		}
		if o.Sensitive || t.Sensitive {
			v = funcs.Hide(v)
		}
		attrs["output"] = v
	} else if t.Broken {
		attrs["output"] = cty.DynamicVal
	}
	return cty.ObjectVal(attrs)
}

// id returns the ID of a task's instance in this scope.
func (s *Scope) id(t *plays.Task, key string) string {
	path := s.unitScope().path
	if t.Play != s.play {
		path = fmt.Sprintf("%d/", t.Play.Index)
	}
	if t.ForEach == nil {
		return path + t.Called
	}
	return fmt.Sprintf("%s%s[%q]", path, t.Called, key)
}

// on returns this scope as it is on another host, of this play or an earlier one.
func (s *Scope) on(host string, play *plays.Play) *Scope {
	if play != s.play {
		return s.p.Scope(play, host, s.r)
	}
	if s.parent == nil {
		return s.p.Scope(s.play, host, s.r)
	}
	c := *s
	c.host, c.cache = host, nil
	c.parent = s.parent.on(host, play)
	if s.home != nil {
		c.home = c.parent.unitScope()
	}
	return &c
}

// task returns what a task did on a host, for all its instances.
func (b *builder) task(t *plays.Task, host string) cty.Value {
	if b.l.self != nil && t == b.l.task && host == b.s.host {
		return outcomeValue(t, t.Called, *b.l.self)
	}
	if t.ForEach == nil {
		return b.outcome(t, t.Called, host, b.s.id(t, ""))
	}
	at := b.s
	if host != b.s.host || t.Play != b.s.play {
		at = b.s.on(host, t.Play)
	}
	elems, waits, diags := at.unitScope().elements(t)
	b.waits = append(b.waits, waits...)
	if len(waits) > 0 || diags.HasErrors() || elems == nil {
		// What is wrong with it is reported at the task itself.
		return cty.DynamicVal
	}
	attrs := map[string]cty.Value{}
	for _, e := range elems {
		attrs[e.key] = b.outcome(t, fmt.Sprintf("%s[%q]", t.Called, e.key), host, b.s.id(t, e.key))
	}
	return cty.ObjectVal(attrs)
}

func (b *builder) outcome(t *plays.Task, name, host, id string) cty.Value {
	if host != b.s.host {
		name = fmt.Sprintf("hosts[%q].%s", host, name)
	}
	o, settled := b.s.r.Outcome(host, id)
	if !settled {
		b.waits = append(b.waits, Wait{Host: host, ID: id})
		o = Outcome{Changed: modules.Maybe, Failed: modules.Maybe, Skipped: modules.Maybe}
	}
	v := outcomeValue(t, name, o)
	if b.s.checking() {
		v = v.Mark(afterApply)
	}
	return v
}

// tasks makes the tasks that an expression reads available: as task, and in
// tasksOf, for hosts.
func (b *builder) tasks(reads *plays.Reads, vars map[string]cty.Value) {
	own := map[string]cty.Value{}
	b.tasksOf = map[string]map[string]cty.Value{}
	for _, r := range reads.Tasks {
		name := r.Task.Kind + "\x00" + r.Task.Label
		if r.Task.Broken {
			own[name] = cty.DynamicVal
			continue
		}
		hosts := []string{r.Host}
		switch {
		case r.AllHosts:
			hosts = r.Task.Play.Hosts
		case r.Host == "":
			own[name] = b.task(r.Task, b.s.host)
			continue
		}
		for _, h := range hosts {
			if b.tasksOf[h] == nil {
				b.tasksOf[h] = map[string]cty.Value{}
			}
			b.tasksOf[h][name] = b.task(r.Task, h)
		}
	}
	if len(own) > 0 {
		vars["task"] = kinds(own)
	}
}

// kinds arranges the values of tasks, whose keys are KIND, NUL, LABEL, as
// expressions read them.
func kinds(tasks map[string]cty.Value) cty.Value {
	byKind := map[string]map[string]cty.Value{}
	for name, v := range tasks {
		kind, label, _ := strings.Cut(name, "\x00")
		if byKind[kind] == nil {
			byKind[kind] = map[string]cty.Value{}
		}
		byKind[kind][label] = v
	}
	attrs := map[string]cty.Value{}
	for kind, labels := range byKind {
		attrs[kind] = cty.ObjectVal(labels)
	}
	return cty.ObjectVal(attrs)
}

// roles makes the outputs of roles available: as role, and in rolesOf, for hosts.
func (b *builder) roles(reads *plays.Reads, vars map[string]cty.Value) {
	own := map[string]cty.Value{}
	b.rolesOf = map[string]map[string]cty.Value{}
	for _, r := range reads.Roles {
		hosts := []string{r.Host}
		switch {
		case r.AllHosts:
			hosts = r.Play.Hosts
		case r.Host == "":
			own[r.Use.Label] = b.role(r.Use, b.s)
			continue
		}
		for _, h := range hosts {
			if b.rolesOf[h] == nil {
				b.rolesOf[h] = map[string]cty.Value{}
			}
			at := b.s
			if h != b.s.host || r.Play != b.s.play {
				at = b.s.on(h, r.Play)
			}
			b.rolesOf[h][r.Use.Label] = b.role(r.Use, at)
		}
	}
	if len(own) > 0 {
		vars["role"] = cty.ObjectVal(own)
	}
}

// role is the outputs of a role that is used in a scope's unit, for all its elements.
func (b *builder) role(use *plays.RoleUse, at *Scope) cty.Value {
	scopes, waits, diags := at.enterRole(use)
	b.waits = append(b.waits, waits...)
	if len(waits) > 0 || diags.HasErrors() {
		return cty.DynamicVal
	}
	byKey := map[string]cty.Value{}
	for _, inner := range scopes {
		byKey[inner.key] = b.outputs(inner, use)
	}
	if use.ForEach == nil {
		return byKey[""]
	}
	return cty.ObjectVal(byKey)
}

func (b *builder) outputs(s *Scope, use *plays.RoleUse) cty.Value {
	attrs := map[string]cty.Value{}
	for _, name := range slices.Sorted(maps.Keys(use.Unit.Outputs)) {
		o := use.Unit.Outputs[name]
		if o.Expr == nil {
			attrs[name] = cty.DynamicVal
			continue
		}
		v := b.add(s.value(o.Expr, layer{}))
		if o.Sensitive {
			v = funcs.Hide(v)
		}
		attrs[name] = v
	}
	return cty.ObjectVal(attrs)
}

// enterRole enters a role that stands in this scope's unit, wherever it stands.
func (s *Scope) enterRole(use *plays.RoleUse) ([]*Scope, Waits, hcl.Diagnostics) {
	return s.unitScope().Enter(use.Block)
}
