package lang

import (
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

// rotationName is a word for the command line, and the name of a file.
var rotationName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// rotationNamed reports a name that can't be one.
func (l *loader) rotationNamed(b *hclsyntax.Block) {
	if !rotationName.MatchString(b.Labels[0]) {
		l.errorAt(b.LabelRanges[0], "Wrong name", `rotation "mysql_app"`, "A rotation's name is letters, digits, \"_\", \"-\" and \".\", at most 100, and begins with a letter, a digit or \"_\": it is given to \"muster rotate\", and names a file of notes.")
	}
}

// graceInTime reports a grace in which the next rotation would be due.
func (l *loader) graceInTime(r *plays.Rotation, a *hclsyntax.Attribute) {
	if every := r.Interval(); every > 0 && r.Grace > every {
		l.errorAt(a.Expr.Range(), "Wrong value", "", "The grace is longer than the time after which the rotation is due again (every = %q): the old value would be valid still, and no new one can be made before it is retired.", r.Every)
	}
}

// noHost reports a part of a rotation that runs nowhere: nothing would be accepted, used or
// proved by it, and it would count as done.
func (l *loader) noHost(r *plays.Rotation, at hcl.Range, part, what string) {
	l.errorAt(at, "No host matches", "", "The part %q of rotation %q %s: it would count as made, and nothing would be.", part, r.Name, what)
}

// retiresAll warns of hosts that accept the new value, and on which nothing ends the old one.
func (l *loader) retiresAll(r *plays.Rotation, p *plays.Play, at hcl.Range) {
	var left []string
	for _, h := range r.Accept {
		if !p.HostSet[h] {
			left = append(left, h)
		}
	}
	if len(left) > 0 && len(p.Hosts) > 0 && l.o.Phase == nil {
		l.diags = append(l.diags, diag.Warning(at, "Old value left", "", "The new value is accepted on %s, and nothing is retired there: where the old one isn't ended from another host it stays valid.", strings.Join(left, ", ")))
	}
}

// keepsBoth reports tasks that make the new value valid by ending the old one, where the
// strategy has both valid.
func (l *loader) keepsBoth(r *plays.Rotation, p *plays.Play) {
	if r.Strategy != plays.Dual {
		return
	}
	for t := range p.Tasks() {
		if a := plays.Switches(t, r.Secret); a != nil {
			l.errorAt(a.Expr.Range(), "Conflicting arguments", `strategy = "alternate"`, "%s", plays.OneAtATime(t, a, r.Secret)+".")
		}
	}
}
