package lang

import (
	"cmp"
	"slices"
)

// Files returns what the playbook has used so far, by name: a run uses more as
// it evaluates. What is embedded in muster isn't among it. What was read as
// text is in Sources, too.
func (p *Playbook) Files() []UsedFile {
	p.files.mu.Lock()
	defer p.files.mu.Unlock()
	list := make([]UsedFile, 0, len(p.files.found))
	for _, f := range p.files.found {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b UsedFile) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Declared returns the variables of the playbook and of those it includes,
// without the inputs of roles.
func (p *Playbook) Declared() []*Variable {
	var list []*Variable
	for _, u := range p.units {
		for _, name := range u.order {
			list = append(list, u.variables[name])
		}
	}
	return list
}
