package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
)

// SetVar is a place in the inventory that gives a var of hosts a value.
type SetVar struct {
	Name string
	At   hcl.Range
}

// Unread finds the vars that no playbook reads. An inventory serves many
// playbooks, so it is to be shown all that there are; it keeps none of them.
type Unread struct {
	left  []SetVar        // that none of those shown reads
	known map[string]bool // names that they read or declare
}

// NewUnread begins with no playbook.
func NewUnread(set []SetVar) *Unread {
	return &Unread{left: slices.Clone(set), known: map[string]bool{}}
}

// Read shows it a playbook.
func (u *Unread) Read(p *eval.Playbook) {
	u.left = slices.DeleteFunc(u.left, func(s SetVar) bool { return p.ReadsVar(s.Name) })
	for _, v := range p.Declared() {
		u.known[v.Name] = true
	}
	for _, name := range p.Known.VarNames() {
		u.known[name] = true
	}
}

// Warnings warns of each var that none of the playbooks reads, once, at the
// first of its places.
func (u *Unread) Warnings() hcl.Diagnostics {
	slices.SortStableFunc(u.left, func(a, b SetVar) int {
		return cmp.Or(cmp.Compare(a.At.Filename, b.At.Filename), cmp.Compare(a.At.Start.Byte, b.At.Start.Byte))
	})
	places := map[string][]SetVar{}
	for _, s := range u.left {
		places[s.Name] = append(places[s.Name], s)
	}
	var diags hcl.Diagnostics
	for _, s := range u.left {
		at := places[s.Name]
		if at[0] != s {
			continue
		}
		also := ""
		switch n := len(at) - 1; n {
		case 0:
		case 1:
			also = fmt.Sprintf(" It is set at %s, too.", diag.Place(at[1].At))
		default:
			also = fmt.Sprintf(" It is set at %d other places, too.", n)
		}
		diags = append(diags, diag.Warning(s.At, "Variable nobody reads", diag.DidYouMean(s.Name, slices.Sorted(maps.Keys(u.known))),
			"No playbook of the project reads host.vars.%s or declares a variable %q that this would set.%s", s.Name, s.Name, also))
	}
	return diags
}
