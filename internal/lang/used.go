package lang

import (
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
)

// Files returns what the playbook has used so far, by name: a run uses more as
// it evaluates. What is embedded in muster isn't among it. What was read as
// text is in Sources, too.
func (p *Playbook) Files() []files.Used {
	return p.files.Used()
}

// Declared returns the variables of the playbook and of those it includes,
// without the inputs of roles.
func (p *Playbook) Declared() []*plays.Variable {
	var list []*plays.Variable
	for _, u := range p.units {
		for _, name := range u.Order {
			list = append(list, u.Variables[name])
		}
	}
	return list
}
