package lang

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/modules"
)

// rotationName is a word for the command line, and the name of a file.
var rotationName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// rotationNamed reports a name that can't be one.
func (l *loader) rotationNamed(b *hclsyntax.Block) {
	if !rotationName.MatchString(b.Labels[0]) {
		l.errorAt(b.LabelRanges[0], "Wrong name", `rotation "mysql_app"`, "A rotation's name is letters, digits, \"_\", \"-\" and \".\", at most 100, and begins with a letter, a digit or \"_\": it is given to \"muster rotate\", and names a file of notes.")
	}
}

// interval is how long it is from one rotation to when the next is due; 0 where nothing is said.
func (r *Rotation) interval() time.Duration {
	if r.Every == "" {
		return 0
	}
	n, _ := strconv.Atoi(r.Every[:len(r.Every)-1])
	if strings.HasSuffix(r.Every, "w") {
		n *= 7
	}
	return time.Duration(n) * 24 * time.Hour
}

// graceInTime reports a grace in which the next rotation would be due.
func (l *loader) graceInTime(r *Rotation, a *hclsyntax.Attribute) {
	if every := r.interval(); every > 0 && r.Grace > every {
		l.errorAt(a.Expr.Range(), "Wrong value", "", "The grace is longer than the time after which the rotation is due again (every = %q): the old value would be valid still, and no new one can be made before it is retired.", r.Every)
	}
}

// noHost reports a part of a rotation that runs nowhere: nothing would be accepted, used or
// proved by it, and it would count as done.
func (l *loader) noHost(r *Rotation, at hcl.Range, part, what string) {
	l.errorAt(at, "No host matches", "", "The part %q of rotation %q %s: it would count as made, and nothing would be.", part, r.Name, what)
}

// retiresAll warns of hosts that accept the new value, and on which nothing ends the old one.
func (l *loader) retiresAll(r *Rotation, p *Play, at hcl.Range) {
	var left []string
	for _, h := range r.Accept {
		if !p.hosts[h] {
			left = append(left, h)
		}
	}
	if len(left) > 0 && len(p.Hosts) > 0 && l.o.Phase == nil {
		l.diags = append(l.diags, warningAt(at, "Old value left", "", "The new value is accepted on %s, and nothing is retired there: where the old one isn't ended from another host it stays valid.", strings.Join(left, ", ")))
	}
}

// keepsBoth reports tasks that make the new value valid by ending the old one, where the
// strategy has both valid.
func (l *loader) keepsBoth(r *Rotation, p *Play) {
	if r.Strategy != Dual {
		return
	}
	for t := range p.Tasks() {
		if a := switches(t, r.Secret); a != nil {
			l.errorAt(a.expr.Range(), "Conflicting arguments", `strategy = "alternate"`, "%s", oneAtATime(t, a, r.Secret)+".")
		}
	}
}

func oneAtATime(t *Task, a *argument, secret string) string {
	return fmt.Sprintf("%s keeps one value of %s at a time: the new value of %s would end the old one at once, under those who still use it, and not both are valid as the strategy \"dual\" has it. Let two accounts have values in turn (\"alternate\"), or have it take the old one's place (\"cutover\")", t.Kind, a.arg.Name, secret)
}

// EndsOld says which task of the playbook would end the old value of a secret as soon as
// it brings the new one, since its service keeps one of them at a time; "" for none.
func (p *Playbook) EndsOld(secret string) string {
	for _, play := range p.Plays {
		for t := range play.Tasks() {
			if a := switches(t, secret); a != nil {
				return fmt.Sprintf("%s: %s", place(a.expr.Range()), oneAtATime(t, a, secret))
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
