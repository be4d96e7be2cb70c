package inventory

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// builder makes an inventory out of declarations.
type builder struct {
	*declarations
	// partial is set where names may be missing, through no fault of the one
	// who wrote them: an unknown name is then no problem.
	partial bool
	diags   hcl.Diagnostics

	inv    *Inventory
	nodes  []*groupNode      // by the index of the group
	index  map[string]int    // of groups, by name
	above  [][]int           // by group: the groups that hold it, at any distance, sorted
	layers map[string]*layer // by the groups of a host
	told   map[string]bool   // conflicts that were reported
}

func (b *builder) report(at hcl.Range, summary, format string, args ...any) {
	b.diags = b.diags.Append(problem(at, summary, fmt.Sprintf(format, args...)))
}

// build never fails: what is wrong is reported, and left out.
func (b *builder) build() *Inventory {
	b.inv = &Inventory{byName: map[string]*Host{}, group: map[string]*Group{}}
	b.layers, b.told = map[string]*layer{}, map[string]bool{}
	b.declareGroups()
	b.declareHosts()
	b.linkGroups()
	b.linkHosts()
	b.checkVia()
	for _, h := range b.inv.bastions {
		b.reachBastion(h)
	}
	b.checkCircles()
	for _, h := range b.inv.hosts {
		b.resolve(h)
	}
	b.checkAddresses()
	return b.inv
}

// declareGroups gives every group its index, "all" the first.
func (b *builder) declareGroups() {
	b.index = map[string]int{All: 0}
	b.nodes = []*groupNode{{name: All, scope: scope{where: "group " + All}}}
	seen := map[string]bool{}
	for _, g := range b.groups {
		i, known := b.index[g.name]
		switch {
		case !known:
			b.index[g.name] = len(b.nodes)
			b.nodes = append(b.nodes, g)
		case g.name == All && !seen[All]:
			b.nodes[i] = g
		case g.from == nil:
			b.report(g.at, "Duplicate group", "There is a group %s already, at %s. Make them one, or add to it by children.", quote(g.name), position(b.nodes[i].at))
		default:
			b.nodes[i] = b.mergeGroups(b.nodes[i], g)
		}
		seen[g.name] = true
	}
	for _, g := range b.nodes {
		made := &Group{Name: g.name, At: g.at}
		b.inv.groups = append(b.inv.groups, made)
		b.inv.group[g.name] = made
	}
}

// declareHosts gives every host and bastion its place.
func (b *builder) declareHosts() {
	for _, n := range b.bastions {
		b.declare(n, true)
	}
	for _, n := range b.hosts {
		b.declare(n, false)
	}
}

func (b *builder) declare(n *node, bastion bool) {
	what := "host"
	if bastion {
		what = "bastion"
	}
	if i, ok := b.index[n.name]; ok {
		where := "it holds every host"
		if n.name != All || i != 0 {
			where = "declared at " + position(b.nodes[i].at)
		}
		b.report(n.at, "Host named like a group", "There is a group %s (%s), and a pattern could mean either. Rename this %s or that group.", quote(n.name), where, what)
		return
	}
	first, known := b.inv.byName[n.name]
	switch {
	case !known:
		h := &Host{Name: n.name, Address: n.name, Bastion: bastion, At: n.at, node: n}
		b.inv.byName[n.name] = h
		if bastion {
			h.index = len(b.inv.bastions)
			b.inv.bastions = append(b.inv.bastions, h)
		} else {
			h.index = len(b.inv.hosts)
			b.inv.hosts = append(b.inv.hosts, h)
		}
	case first.Bastion != bastion:
		b.report(n.at, "Duplicate host", "%s is declared as host and as bastion (the other is at %s). A bastion is a host outside \"all\": give one of them another name.", quote(n.name), position(first.At))
	case n.from == nil:
		b.report(n.at, "Duplicate "+what, "%s is declared already, at %s. To have a host in another group, name it in that group's hosts.", quote(n.name), position(first.At))
	default:
		first.node = b.mergeHosts(first.node, n)
	}
}
