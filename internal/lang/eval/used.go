package eval

import (
	"fmt"

	"muster/internal/lang/diag"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
)

// Files returns what the playbook has used so far, by name: a run uses more as
// it evaluates. What is embedded in muster isn't among it. What was read as
// text is in Sources, too.
func (p *Playbook) Files() []files.Used {
	return p.Reader.Used()
}

// Declared returns the variables of the playbook and of those it includes,
// without the inputs of roles.
func (p *Playbook) Declared() []*plays.Variable {
	var list []*plays.Variable
	for _, u := range p.Units {
		for _, name := range u.Order {
			list = append(list, u.Variables[name])
		}
	}
	return list
}

// EndsOld says which task of the playbook would end the old value of a secret as soon as
// it brings the new one, since its service keeps one of them at a time; "" for none.
func (p *Playbook) EndsOld(secret string) string {
	for _, play := range p.Plays {
		for t := range play.Tasks() {
			if a := plays.Switches(t, secret); a != nil {
				return fmt.Sprintf("%s: %s", diag.Place(a.Expr.Range()), plays.OneAtATime(t, a, secret))
			}
		}
	}
	return ""
}
