package inventory

import "github.com/hashicorp/hcl/v2"

// SetVar is a place in a file of the inventory that gives a variable a value.
type SetVar struct {
	Name string
	At   hcl.Range // of the name
}

// SetVars returns every place in the inventory's files that gives a variable a
// value, whether or not another stands before it on every host. What sources
// list is not among it: it is written for others, too.
func (inv *Inventory) SetVars() []SetVar { return inv.set }

// setVars collects what the files say, before any source is asked.
func (d *declarations) setVars() []SetVar {
	var list []SetVar
	add := func(s *scope) {
		for _, a := range s.vars {
			list = append(list, SetVar{a.name, a.at})
		}
	}
	for _, n := range d.bastions {
		add(&n.scope)
	}
	for _, g := range d.groups {
		add(&g.scope)
	}
	for _, n := range d.hosts {
		add(&n.scope)
	}
	return list
}
