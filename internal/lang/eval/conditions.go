package eval

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
	"muster/modules"
)

// verdict is the value of a condition: known, or for the host to decide, or
// known after apply (neither).
type verdict struct {
	known bool
	value bool
	host  *modules.Condition
}

func decided(b bool) verdict { return verdict{known: true, value: b} }

// undecided is known after apply.
var undecided = verdict{}

func (v verdict) not() verdict {
	switch {
	case v.known:
		return decided(!v.value)
	case v.host == nil:
		return v
	case v.host.Not != nil:
		return verdict{host: v.host.Not}
	}
	return verdict{host: &modules.Condition{Not: v.host}}
}

// both is v && w, or with any v || w.
func both(v, w verdict, any bool) verdict {
	switch {
	case v.known && v.value == any:
		return v
	case w.known && w.value == any:
		return w
	case v.known:
		return w
	case w.known:
		return v
	case v.host == nil || w.host == nil:
		return undecided
	case any:
		return verdict{host: &modules.Condition{Any: append(parts(v.host, true), parts(w.host, true)...)}}
	}
	return verdict{host: &modules.Condition{All: append(parts(v.host, false), parts(w.host, false)...)}}
}

func parts(c *modules.Condition, any bool) []*modules.Condition {
	if any && c.Any != nil {
		return append([]*modules.Condition(nil), c.Any...)
	}
	if !any && c.All != nil {
		return append([]*modules.Condition(nil), c.All...)
	}
	return []*modules.Condition{c}
}

// conditions evaluates the conditions of the blocks around a task, and its own.
func (s *Scope) conditions(t *plays.Task, l layer) (verdict, Waits, hcl.Diagnostics) {
	result := decided(true)
	var chain []*Scope
	for at := s; at != nil; at = at.parent {
		if at.block != nil && at.block.When != nil {
			chain = append(chain, at)
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		v, waits, diags := chain[i].parent.condition(chain[i].block.When, layer{target: l.target})
		if len(waits) > 0 || diags.HasErrors() {
			return undecided, waits, diags
		}
		if result = both(result, v, false); result.known && !result.value {
			return result, nil, nil
		}
	}
	if t.When == nil {
		return result, nil, nil
	}
	v, waits, diags := s.condition(t.When, l)
	return both(result, v, false), waits, diags
}

func (s *Scope) condition(e *plays.Expr, l layer) (verdict, Waits, hcl.Diagnostics) {
	if e.Bad {
		return undecided, nil, nil
	}
	return s.fold(e, e.Expression, l)
}

// fold evaluates an expression as far as it is known; what is made of
// task.….changed, !, && and || and isn't known yet is left to the host.
func (s *Scope) fold(whole *plays.Expr, e hclsyntax.Expression, l layer) (verdict, Waits, hcl.Diagnostics) {
	switch x := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return s.fold(whole, x.Expression, l)
	case *hclsyntax.UnaryOpExpr:
		if x.Op == hclsyntax.OpLogicalNot {
			v, waits, diags := s.fold(whole, x.Val, l)
			return v.not(), waits, diags
		}
	case *hclsyntax.BinaryOpExpr:
		if x.Op != hclsyntax.OpLogicalAnd && x.Op != hclsyntax.OpLogicalOr {
			break
		}
		any := x.Op == hclsyntax.OpLogicalOr
		left, waits, diags := s.fold(whole, x.LHS, l)
		if diags.HasErrors() || len(waits) == 0 && left.known && left.value == any {
			return left, waits, diags
		}
		right, more, diags := s.fold(whole, x.RHS, l)
		if diags.HasErrors() || len(more) == 0 && right.known && right.value == any {
			// It decides alone: what the left waits for doesn't matter.
			return right, nil, diags
		}
		return both(left, right, any), append(waits, more...), nil
	}
	if v, ok, diags := s.changed(whole, e, l); ok {
		return v, nil, diags
	}
	return s.leaf(whole, e, l)
}

// leaf evaluates what can't be folded further.
func (s *Scope) leaf(whole *plays.Expr, e hclsyntax.Expression, l layer) (verdict, Waits, hcl.Diagnostics) {
	part := whole
	if e != whole.Expression {
		part = &plays.Expr{Expression: e, Reads: s.partial(whole, e)}
	}
	v, waits, diags := s.value(part, l)
	if len(waits) > 0 || diags.HasErrors() {
		return undecided, waits, diags
	}
	v, _ = v.UnmarkDeep()
	b, err := convert.Convert(v, cty.Bool)
	if err != nil {
		return undecided, nil, hcl.Diagnostics{diag.Error(e.Range(), "Wrong type", "", "A condition is true or false; this is %s.", diag.TypeWord(v.Type()))}
	}
	if !b.IsKnown() {
		return undecided, nil, nil
	}
	if b.IsNull() {
		return undecided, nil, hcl.Diagnostics{diag.Error(e.Range(), "Wrong type", "", "A condition is true or false; this is null.")}
	}
	return decided(b.True()), nil, nil
}

// partial is what a part of a condition reads: the whole's reads without the
// tasks that only the rest of it names.
func (s *Scope) partial(whole *plays.Expr, e hclsyntax.Expression) *plays.Reads {
	if len(whole.Reads.Tasks) == 0 && len(whole.Reads.Roles) == 0 {
		return whole.Reads
	}
	r := *whole.Reads
	r.Tasks, r.Roles = nil, nil
	for _, t := range e.Variables() {
		for _, read := range whole.Reads.Tasks {
			if mentions(t, read) {
				r.Tasks = append(r.Tasks, read)
			}
		}
		for _, read := range whole.Reads.Roles {
			if mentionsRole(t, read) {
				r.Roles = append(r.Roles, read)
			}
		}
	}
	return &r
}

// mentions reports whether a traversal may be the one that read a task.
func mentions(t hcl.Traversal, r plays.TaskRead) bool {
	if t.RootName() == "hosts" {
		return r.Host != "" || r.AllHosts
	}
	if t.RootName() != "task" || len(t) < 3 {
		return false
	}
	kind, _ := diag.StepName(t[1])
	label, _ := diag.StepName(t[2])
	return r.Host == "" && !r.AllHosts && kind == r.Task.Kind && label == r.Task.Label
}

// mentionsRole is mentions for a role.
func mentionsRole(t hcl.Traversal, r plays.RoleRead) bool {
	elsewhere := r.Host != "" || r.AllHosts
	if t.RootName() == "hosts" {
		return elsewhere
	}
	name, ok := diag.SecondName(t)
	return ok && t.RootName() == "role" && !elsewhere && name == r.Use.Label
}

// changed recognises task.KIND.LABEL.changed, with or without an element, of
// this host. ok is false for anything else.
func (s *Scope) changed(whole *plays.Expr, e hclsyntax.Expression, l layer) (v verdict, ok bool, diags hcl.Diagnostics) {
	var path hcl.Traversal
	var key hclsyntax.Expression
	switch x := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		path = x.Traversal
	case *hclsyntax.RelativeTraversalExpr:
		index, isIndex := x.Source.(*hclsyntax.IndexExpr)
		if !isIndex || len(x.Traversal) != 1 {
			return undecided, false, nil
		}
		base, isPath := index.Collection.(*hclsyntax.ScopeTraversalExpr)
		if !isPath || len(base.Traversal) != 3 {
			return undecided, false, nil
		}
		path = append(append(hcl.Traversal(nil), base.Traversal...), x.Traversal...)
		key = index.Key
	default:
		return undecided, false, nil
	}
	if path.RootName() != "task" || len(path) < 4 {
		return undecided, false, nil
	}
	if last, _ := diag.StepName(path[len(path)-1]); last != "changed" {
		return undecided, false, nil
	}
	t := s.ownTask(whole, path)
	elsewhere := l.target != "" && l.target != s.host // which knows nothing of this host's tasks
	if t == nil || t.On != nil || t.Once || t.ChangedWhen != nil || l.self != nil || elsewhere {
		return undecided, false, nil
	}
	id, ok := s.changedID(whole, t, path, key, l)
	if !ok {
		return undecided, false, nil
	}
	o, settled := s.r.Outcome(s.host, id)
	switch {
	case settled && o.Changed == modules.False:
		return decided(false), true, nil
	case settled && o.Unsent:
		return undecided, true, nil
	}
	// What is to change something may fail, and be passed over: the host knows.
	return verdict{host: &modules.Condition{Changed: id}}, true, nil
}

func (s *Scope) ownTask(whole *plays.Expr, path hcl.Traversal) *plays.Task {
	for _, r := range whole.Reads.Tasks {
		if mentions(path, r) && !r.Task.Broken {
			return r.Task
		}
	}
	return nil
}

// changedID finds the instance that a condition means, if there is one.
func (s *Scope) changedID(whole *plays.Expr, t *plays.Task, path hcl.Traversal, key hclsyntax.Expression, l layer) (string, bool) {
	if t.ForEach == nil {
		return s.id(t, ""), key == nil && len(path) == 4
	}
	var name string
	switch {
	case key == nil && len(path) == 5:
		var ok bool
		if name, ok = diag.StepName(path[3]); !ok {
			return "", false
		}
	case key != nil && len(path) == 4:
		v, waits, diags := s.value(&plays.Expr{Expression: key, Reads: s.partial(whole, key)}, l)
		v, _ = v.UnmarkDeep()
		text, ok := TextOf(v)
		if len(waits) > 0 || diags.HasErrors() || !ok {
			return "", false
		}
		name = text
	default:
		return "", false
	}
	elems, waits, diags := s.unitScope().elements(t)
	if len(waits) > 0 || diags.HasErrors() {
		return "", false
	}
	for _, e := range elems {
		if e.key == name {
			return s.id(t, name), true
		}
	}
	return "", false
}
