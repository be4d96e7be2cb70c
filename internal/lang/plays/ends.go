package plays

import (
	"fmt"
	"slices"

	"muster/modules"
)

// OneAtATime says in a sentence why an argument that Switches returns can't be in a rotation with
// both values valid.
func OneAtATime(t *Task, a *Argument, secret string) string {
	return fmt.Sprintf("%s keeps one value of %s at a time: the new value of %s would end the old one at once, under those who still use it, and not both are valid as the strategy \"dual\" has it. Let two accounts have values in turn (\"alternate\"), or have it take the old one's place (\"cutover\")", t.Kind, a.Arg.Name, secret)
}

// Switches returns the argument of a task that brings a secret's new value to where the old
// one ends with it; nil for none.
func Switches(t *Task, secret string) *Argument {
	for _, a := range t.Args {
		if a.Arg == nil || a.Expr == nil || a.Expr.Bad || !single(a.Arg) {
			continue
		}
		f := follower{secret: secret, play: t.Play, seen: map[any]bool{}}
		f.follow(a.Expr.Reads, t.Unit)
		// Two names of a map may have a value each.
		if f.fresh && !(f.old && a.Arg.Type.Base == modules.Map) {
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

func (f *follower) follow(r *Reads, u *Unit) {
	if r == nil {
		return
	}
	f.fresh = f.fresh || slices.Contains(r.Secrets, f.secret) || slices.Contains(r.Rotated, "new")
	f.old = f.old || slices.Contains(r.Rotated, "old")
	for _, name := range r.Locals {
		if lo := u.Locals[name]; lo != nil && lo.Expr != nil && !lo.Expr.Bad && !f.seen[lo] {
			f.seen[lo] = true
			f.follow(lo.Expr.Reads, u)
		}
	}
	for _, name := range r.Vars {
		if u.Role != nil {
			if in := u.Role.Inputs[name]; in != nil && in.Expr != nil && !f.seen[in] {
				f.seen[in] = true
				f.follow(in.Expr.Reads, u.Parent)
			}
			continue
		}
		for _, v := range f.play.Vars {
			if v.Name == name && !f.seen[v] {
				f.seen[v] = true
				f.follow(v.Expr.Reads, u)
			}
		}
	}
}
