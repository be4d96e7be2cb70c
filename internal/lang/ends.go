package lang

import (
	"fmt"
	"slices"

	"muster/internal/lang/diag"
	"muster/modules"
)

func oneAtATime(t *Task, a *argument, secret string) string {
	return fmt.Sprintf("%s keeps one value of %s at a time: the new value of %s would end the old one at once, under those who still use it, and not both are valid as the strategy \"dual\" has it. Let two accounts have values in turn (\"alternate\"), or have it take the old one's place (\"cutover\")", t.Kind, a.arg.Name, secret)
}

// EndsOld says which task of the playbook would end the old value of a secret as soon as
// it brings the new one, since its service keeps one of them at a time; "" for none.
func (p *Playbook) EndsOld(secret string) string {
	for _, play := range p.Plays {
		for t := range play.Tasks() {
			if a := switches(t, secret); a != nil {
				return fmt.Sprintf("%s: %s", diag.Place(a.expr.Range()), oneAtATime(t, a, secret))
			}
		}
	}
	return ""
}

// switches returns the argument of a task that brings a secret's new value to where the old
// one ends with it; nil for none.
func switches(t *Task, secret string) *argument {
	for _, a := range t.args {
		if a.arg == nil || a.expr == nil || a.expr.bad || !single(a.arg) {
			continue
		}
		f := follower{secret: secret, play: t.Play, seen: map[any]bool{}}
		f.follow(a.expr.reads, t.unit)
		// Two names of a map may have a value each.
		if f.fresh && !(f.old && a.arg.Type.Base == modules.Map) {
			return a
		}
	}
	return nil
}

// single reports whether an argument, or a part of it, is one of which a service keeps one
// value at a time.
func single(a *modules.Arg) bool {
	if a.Single {
		return true
	}
	t := &a.Type
	for t.Elem != nil {
		t = t.Elem
	}
	return slices.ContainsFunc(t.Fields, func(f modules.Arg) bool { return single(&f) })
}

// follower finds whether an expression is made of a secret's values, whatever they go
// through on their way: locals, roles' inputs, the play's variables.
type follower struct {
	secret     string
	play       *Play
	seen       map[any]bool
	fresh, old bool // what rotation.new, or the secret itself, is read; what rotation.old
}

func (f *follower) follow(r *reads, u *unit) {
	if r == nil {
		return
	}
	f.fresh = f.fresh || slices.Contains(r.secrets, f.secret) || slices.Contains(r.rotated, "new")
	f.old = f.old || slices.Contains(r.rotated, "old")
	for _, name := range r.locals {
		if lo := u.locals[name]; lo != nil && lo.expr != nil && !lo.expr.bad && !f.seen[lo] {
			f.seen[lo] = true
			f.follow(lo.expr.reads, u)
		}
	}
	for _, name := range r.vars {
		if u.role != nil {
			if in := u.role.inputs[name]; in != nil && in.expr != nil && !f.seen[in] {
				f.seen[in] = true
				f.follow(in.expr.reads, u.parent)
			}
			continue
		}
		for _, v := range f.play.vars {
			if v.name == name && !f.seen[v] {
				f.seen[v] = true
				f.follow(v.expr.reads, u)
			}
		}
	}
}
