package lang

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// SetVar is a place in the inventory that gives a var of hosts a value.
type SetVar struct {
	Name string
	At   hcl.Range
}

// UnreadVars warns of the vars that none of the playbooks reads, each once, at
// the first of its places. An inventory serves many playbooks, so it is to be
// given all that there are.
func UnreadVars(playbooks []*Playbook, set []SetVar) hcl.Diagnostics {
	unread := map[string][]SetVar{}
	var names []string
	for _, s := range set {
		if slices.ContainsFunc(playbooks, func(p *Playbook) bool { return p.ReadsVar(s.Name) }) {
			continue
		}
		if unread[s.Name] == nil {
			names = append(names, s.Name)
		}
		unread[s.Name] = append(unread[s.Name], s)
	}
	var diags hcl.Diagnostics
	for _, name := range names {
		places := unread[name]
		slices.SortStableFunc(places, func(a, b SetVar) int {
			return cmp.Or(cmp.Compare(a.At.Filename, b.At.Filename), cmp.Compare(a.At.Start.Byte, b.At.Start.Byte))
		})
		also := ""
		switch n := len(places) - 1; n {
		case 0:
		case 1:
			also = fmt.Sprintf(" It is set at %s, too.", place(places[1].At))
		default:
			also = fmt.Sprintf(" It is set at %d other places, too.", n)
		}
		diags = append(diags, warningAt(places[0].At, "Variable nobody reads", meantVar(playbooks, name),
			"No playbook of the project reads host.vars.%s or declares a variable %q that this would set.%s", name, name, also))
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	return diags
}

// meantVar is the hint for a var that nobody reads: one that somebody does.
func meantVar(playbooks []*Playbook, name string) string {
	known := map[string]bool{}
	for _, p := range playbooks {
		for _, v := range p.Declared() {
			known[v.Name] = true
		}
		p.l.readMu.Lock()
		for read := range p.l.varsRead {
			known[read] = true
		}
		p.l.readMu.Unlock()
	}
	return didYouMean(name, sortedKeys(known))
}
