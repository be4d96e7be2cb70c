package eval

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// Enter returns the scopes that a block's steps are run in: one for a plain
// block, one for each element of a role's for_each. Steps of a block are to be
// evaluated in these, not in the scope around it.
func (s *Scope) Enter(b *plays.Block) ([]*Scope, Waits, hcl.Diagnostics) {
	if b.Role == nil {
		return []*Scope{{p: s.p, play: s.play, host: s.host, r: s.r, unit: s.unit, path: s.path, parent: s, block: b, home: s.unitScope(), picks: s.picks}}, nil, nil
	}
	elems := []element{{}}
	if b.Role.ForEach != nil {
		var waits Waits
		var diags hcl.Diagnostics
		elems, waits, diags = s.forEach(b.Role.ForEach)
		if len(waits) > 0 || diags.HasErrors() {
			return nil, waits, diags
		}
	}
	var out []*Scope
	for _, e := range elems {
		path := s.path + roleName(b.Role.Label)
		if b.Role.ForEach != nil {
			path += fmt.Sprintf("[%q]", e.key)
		}
		out = append(out, &Scope{p: s.p, play: s.play, host: s.host, r: s.r, unit: b.Role.Unit, path: path + "/", parent: s, block: b, key: e.key, each: e.each(), picks: s.picks})
	}
	return out, nil, nil
}

// roleName writes how references call a role.
func roleName(label string) string {
	if plays.IsIdentifier(label) {
		return "role." + label
	}
	return fmt.Sprintf("role[%q]", label)
}

// elements returns the elements of a task's for_each; nil where they aren't
// known, which only happens in a check.
func (s *Scope) elements(t *plays.Task) ([]element, Waits, hcl.Diagnostics) {
	return s.forEach(t.ForEach)
}

// consists evaluates what a play consists of. That can't wait for other plays:
// the facts are those that the run began with.
func (s *Scope) consists(e *plays.Expr, l layer) (cty.Value, Waits, hcl.Diagnostics) {
	for at := s; at != nil; at = at.parent {
		at.first = true
		defer func() { at.first = false }()
	}
	return s.value(e, l)
}

// forEach evaluates a for_each.
func (s *Scope) forEach(e *plays.Expr) ([]element, Waits, hcl.Diagnostics) {
	v, waits, diags := s.consists(e, layer{})
	if len(waits) > 0 || diags.HasErrors() {
		return nil, waits, diags
	}
	at := e.Range()
	fail := func(summary, hint, detail string, a ...any) ([]element, Waits, hcl.Diagnostics) {
		return nil, nil, hcl.Diagnostics{diag.Error(at, summary, hint, detail, a...)}
	}
	const what = "\"for_each\" takes a map, an object, a set of strings or a list of distinct strings"
	if v.HasMark(afterApply) {
		return fail("Unknown for_each", "", "This depends on the result of a task, which is known only after apply. What a play consists of must be known before it runs: use a variable, a fact or the inventory.")
	}
	v, marks := v.Unmark()
	if _, ok := marks[funcs.Sensitive]; ok {
		return fail("Sensitive for_each", "for_each = nonsensitive(keys(…))", "The keys of for_each name instances and are shown everywhere, so they can't be sensitive. Where the keys alone are no secret, loop over them and look the values up.")
	}
	if v.IsNull() {
		return fail("Wrong type", "", "%s, not null.", what)
	}
	if !v.IsKnown() {
		if s.checking() {
			return nil, nil, nil
		}
		return fail("Unknown for_each", "", "What this is made of isn't known before the run. What a play consists of must be: use a variable, a fact or the inventory.")
	}
	t := v.Type()
	var out []element
	switch {
	case t.IsMapType(), t.IsObjectType():
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			out = append(out, element{key.AsString(), key, value.WithMarks(marks)})
		}
		return out, nil, nil
	case t.IsSetType(), t.IsListType(), t.IsTupleType():
		seen := map[string]bool{}
		for it := v.ElementIterator(); it.Next(); {
			_, value := it.Element()
			value = value.WithMarks(marks) // those of a set's elements are its own
			if value.HasMark(afterApply) {
				return fail("Unknown for_each", "", "An element depends on the result of a task, which is known only after apply.")
			}
			if isMarked(value) {
				return fail("Sensitive for_each", "", "An element is sensitive, and elements of a list or set name instances, which are shown everywhere.")
			}
			if !value.IsKnown() {
				if s.checking() {
					return nil, nil, nil
				}
				return fail("Unknown for_each", "", "An element isn't known before the run.")
			}
			if value.IsNull() || value.Type() != cty.String {
				return fail("Wrong type", "{ for x in LIST : x.name => x }", "%s; an element of this is %s.", what, diag.ValueWord(value))
			}
			plain, _ := value.Unmark()
			key := plain.AsString()
			if seen[key] {
				return fail("Duplicate element", "toset(…)", "The list has %q twice, and for_each needs distinct strings. toset() leaves out repetitions.", key)
			}
			seen[key] = true
			out = append(out, element{key, value, value})
		}
		return out, nil, nil
	}
	return fail("Wrong type", "", "%s, not %s.", what, diag.TypeWord(t))
}

// Instances returns the task's instances on the scope's host, in order.
func (s *Scope) Instances(t *plays.Task) ([]*Instance, Waits, hcl.Diagnostics) {
	elems := []element{{}}
	if t.ForEach != nil {
		var waits Waits
		var diags hcl.Diagnostics
		elems, waits, diags = s.elements(t)
		if len(waits) > 0 || diags.HasErrors() {
			return nil, waits, diags
		}
		if elems == nil && s.checking() {
			return s.UnknownInstances(t), nil, nil
		}
	}
	var out []*Instance
	for _, e := range elems {
		i := &Instance{ID: s.id(t, e.key), Task: t, Key: e.key, Host: s.host, Target: s.host, looped: t.ForEach != nil}
		if i.looped && !e.isKey() {
			i.of = &element{e.key, e.k, e.value}
		}
		if t.On == nil {
			out = append(out, i)
			continue
		}
		targets, waits, diags := s.targets(t, i)
		if len(waits) > 0 || diags.HasErrors() {
			return nil, waits, diags
		}
		for _, target := range targets {
			c := *i
			c.Target, c.on = target, true
			out = append(out, &c)
		}
	}
	return out, nil, nil
}

// UnknownInstances is one instance that stands for all, in checks.
func (s *Scope) UnknownInstances(t *plays.Task) []*Instance {
	every := &element{"…", cty.UnknownVal(cty.String), cty.DynamicVal}
	return []*Instance{{ID: s.id(t, "…"), Task: t, Key: "…", Host: s.host, Target: s.host, looped: true, of: every, on: t.On != nil}}
}

func (s *Scope) targets(t *plays.Task, i *Instance) ([]string, Waits, hcl.Diagnostics) {
	v, waits, diags := s.consists(t.On, layer{each: i.each()})
	if len(waits) > 0 || diags.HasErrors() {
		return nil, waits, diags
	}
	patterns, known, err := PatternsOf(v)
	at := t.On.Range()
	if err != nil {
		return nil, nil, hcl.Diagnostics{diag.Error(at, "Wrong type", `on = ["lb"]`, "%s.", diag.Capital(err.Error()))}
	}
	if !known {
		if s.checking() {
			return []string{""}, nil, nil
		}
		return nil, nil, hcl.Diagnostics{diag.Error(at, "Unknown hosts", "", "The hosts that a task acts on must be known before the run.")}
	}
	hosts, err := s.p.Inventory.Match(patterns)
	if err != nil {
		return nil, nil, hcl.Diagnostics{s.p.Inventory.Unmatched(patterns, t.On.Expression, err)}
	}
	if len(hosts) == 0 && s.p.Inventory.Partial {
		return []string{""}, nil, nil
	}
	if len(patterns) == 0 {
		return nil, nil, hcl.Diagnostics{diag.Error(at, "No host matches", `on = ["lb"]`, "The list of hosts that the task is to act on is empty.")}
	}
	if len(hosts) == 0 {
		return nil, nil, hcl.Diagnostics{diag.Error(at, "No host matches", "", "The task is to act on %s, which is no host of this inventory.", diag.List(patterns))}
	}
	return hosts, nil, nil
}

// PatternsOf reads a value as a list of host patterns, or a single one.
func PatternsOf(v cty.Value) (out []string, known bool, err error) {
	if HasSensitive(v) {
		return nil, false, fmt.Errorf("names of hosts are shown everywhere: they can't be sensitive")
	}
	v, _ = v.UnmarkDeep()
	if !v.IsWhollyKnown() {
		return nil, false, nil
	}
	if v.IsNull() {
		return nil, false, fmt.Errorf("hosts are a list of names and patterns, not null")
	}
	if v.Type() == cty.String {
		return []string{v.AsString()}, true, nil
	}
	if !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return nil, false, fmt.Errorf("hosts are a list of names and patterns, not %s", diag.TypeWord(v.Type()))
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || e.Type() != cty.String {
			return nil, false, fmt.Errorf("hosts are a list of names and patterns, each a string")
		}
		out = append(out, e.AsString())
	}
	return out, true, nil
}

func (i *Instance) layer() layer {
	return layer{each: i.each(), target: i.Target, id: i.ID}
}
