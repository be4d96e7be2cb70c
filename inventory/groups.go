package inventory

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// edge is a group's mention of a child.
type edge struct {
	to int
	at hcl.Range
}

// linkGroups finds the groups above every group.
func (b *builder) linkGroups() {
	below := make([][]edge, len(b.nodes))
	for i, g := range b.nodes {
		seen := map[int]bool{}
		for _, child := range g.children {
			c, ok := b.index[child.name]
			switch {
			case !ok:
				b.unknownGroup(child)
			case c == 0:
				b.report(child.at, "Group all as a child", "The group \"all\" holds every other group, so it is no child of one.")
			case !seen[c]:
				seen[c] = true
				below[i] = append(below[i], edge{c, child.at})
			}
		}
	}
	b.breakCircles(below)
	parents := make([][]int, len(b.nodes))
	for i, edges := range below {
		for _, e := range edges {
			parents[e.to] = append(parents[e.to], i)
			b.inv.groups[i].Children = append(b.inv.groups[i].Children, b.nodes[e.to].name)
		}
	}
	b.above = make([][]int, len(b.nodes))
	for i := range b.nodes {
		b.climb(i, parents)
	}
}

// breakCircles reports groups that hold themselves, and cuts them open.
func (b *builder) breakCircles(below [][]edge) {
	const (
		open = iota + 1
		done
	)
	state := make([]int, len(below))
	var path []int
	var visit func(i int)
	visit = func(i int) {
		state[i] = open
		path = append(path, i)
		below[i] = slices.DeleteFunc(below[i], func(e edge) bool {
			if state[e.to] != open {
				return false
			}
			var names []string
			for _, g := range path[slices.Index(path, e.to):] {
				names = append(names, b.nodes[g].name)
			}
			names = append(names, b.nodes[e.to].name)
			b.report(e.at, "Groups in a circle", "A group can't hold itself: %s. Take one of them out of the children of the group before it.", strings.Join(names, " > "))
			return true
		})
		for _, e := range below[i] {
			if state[e.to] == 0 {
				visit(e.to)
			}
		}
		path = path[:len(path)-1]
		state[i] = done
	}
	for i := range below {
		if state[i] == 0 {
			visit(i)
		}
	}
}

// climb fills above[i]. There are no circles left.
func (b *builder) climb(i int, parents [][]int) []int {
	if b.above[i] != nil || i == 0 {
		return b.above[i]
	}
	up := []int{0}
	for _, p := range parents[i] {
		up = append(append(up, p), b.climb(p, parents)...)
	}
	slices.Sort(up)
	b.above[i] = slices.Clip(slices.Compact(up))
	return b.above[i]
}

func (b *builder) unknownGroup(r ref) {
	switch _, host := b.inv.byName[r.name]; {
	case b.partial:
	case host:
		b.report(r.at, "Unknown group", "%s is a host, and children are groups. Name it in hosts.", quote(r.name))
	default:
		b.report(r.at, "Unknown group", "There is no group %s.%s", quote(r.name), hint(r.name, b.groupNames(), "There are: %s."))
	}
}

func (b *builder) unknownHost(r ref) {
	switch _, group := b.index[r.name]; {
	case b.partial:
	case group:
		b.report(r.at, "Unknown host", "%s is a group. Name it in children.", quote(r.name))
	default:
		names := make([]string, len(b.inv.hosts))
		for i, h := range b.inv.hosts {
			names[i] = h.Name
		}
		b.report(r.at, "Unknown host", "There is no host %s.%s Declare it with host %s { … }.", quote(r.name), hint(r.name, names, ""), quote(r.name))
	}
}

func (b *builder) groupNames() []string {
	names := make([]string, len(b.nodes))
	for i, g := range b.nodes {
		names[i] = g.name
	}
	return names
}

// linkHosts says which groups each host is in and gives it their layer.
func (b *builder) linkHosts() {
	direct := make([][]int, len(b.inv.hosts))
	for i, g := range b.nodes {
		for _, r := range g.hosts {
			h, ok := b.inv.byName[r.name]
			switch {
			case !ok:
				b.unknownHost(r)
			case h.Bastion:
				b.report(r.at, "Bastion in a group", "%s is a bastion, and those are outside every group. Declare a host with its address to have it in one.", quote(r.name))
			case len(direct[h.index]) == 0 || direct[h.index][len(direct[h.index])-1] != i: // named twice is named once
				direct[h.index] = append(direct[h.index], i)
			}
		}
	}
	all := make([]int, 0, 16)
	for i, h := range b.inv.hosts {
		all = append(all[:0], 0)
		for _, g := range direct[i] {
			all = append(append(all, g), b.above[g]...)
			b.inv.groups[g].Hosts = append(b.inv.groups[g].Hosts, h.Name)
		}
		slices.Sort(all)
		all = slices.Compact(all)
		h.groups = b.layer(all)
		h.Groups = h.groups.names
		for _, g := range all {
			b.inv.groups[g].Members = append(b.inv.groups[g].Members, h.Name)
		}
		if len(direct[i]) == 0 {
			b.inv.groups[0].Hosts = append(b.inv.groups[0].Hosts, h.Name)
		}
	}
	for _, h := range b.inv.bastions {
		h.groups = &layer{}
	}
}
