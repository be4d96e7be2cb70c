package inventory

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// merge adds a source's listing to the declarations, checked.
func (d *declarations) merge(s *sourceNode, l *Listing) hcl.Diagnostics {
	m := merger{source: s}
	for _, e := range l.Bastions {
		if n := m.node(e); n != nil {
			d.bastions = append(d.bastions, n)
		}
	}
	for _, e := range l.Hosts {
		if n := m.node(e); n != nil {
			d.hosts = append(d.hosts, n)
		}
	}
	for _, g := range l.Groups {
		if n := m.group(g); n != nil {
			d.groups = append(d.groups, n)
		}
	}
	return m.diags
}

// merger turns a listing into declarations.
type merger struct {
	source *sourceNode
	diags  hcl.Diagnostics
}

func (m *merger) at(r hcl.Range) hcl.Range {
	if r.Filename == "" {
		return m.source.at
	}
	return r
}

// problem reports that something which a source lists can't be had.
func (m *merger) problem(at hcl.Range, what, why string) {
	m.diags = m.diags.Append(problem(m.at(at), "Invalid entry of a source", fmt.Sprintf("%s, which the %s lists: %s", capital(what), m.source.where, why)))
}

func (m *merger) node(e Entry) *node {
	if why := badName(e.Name); why != "" {
		m.problem(e.At, "a host", why)
		return nil
	}
	return &node{
		scope: scope{where: "host", settings: m.settings("host "+e.Name, e.Settings), vars: m.vars(e.Vars)},
		name:  e.Name, at: m.at(e.At), from: m.source, source: []*scope{&m.source.scope},
	}
}

func (m *merger) group(e GroupEntry) *groupNode {
	if why := badName(e.Name); why != "" {
		m.problem(e.At, "a group", why)
		return nil
	}
	at := m.at(e.At)
	g := &groupNode{
		scope: scope{where: "group " + e.Name, settings: m.settings("group "+e.Name, e.Settings), vars: m.vars(e.Vars)},
		name:  e.Name, at: at, from: m.source,
	}
	if e.Name == All {
		return g // whatever else it lists is in it anyway
	}
	for _, c := range e.Children {
		g.children = append(g.children, ref{c, at})
	}
	for _, h := range e.Hosts {
		g.hosts = append(g.hosts, ref{h, at})
	}
	return g
}

func (m *merger) settings(what string, values []Value) []assignment {
	var list []assignment
	for _, v := range values {
		at := m.at(v.At)
		checked, why := setting(v.Name, v.Value, at.Filename)
		if why != "" {
			m.problem(at, v.Name+" of the "+what, why)
			continue
		}
		list = append(list, assignment{v.Name, checked, at})
	}
	return list
}

func (m *merger) vars(values []Value) []assignment {
	list := make([]assignment, 0, len(values))
	for _, v := range values {
		list = append(list, assignment{v.Name, v.Value, m.at(v.At)})
	}
	return list
}

// mergeGroups makes one group of two, the second of them from a source: what
// files say comes before what sources list.
func (b *builder) mergeGroups(first, second *groupNode) *groupNode {
	merged := *first
	merged.children = append(merged.children[:len(merged.children):len(merged.children)], second.children...)
	merged.hosts = append(merged.hosts[:len(merged.hosts):len(merged.hosts)], second.hosts...)
	merged.settings = b.unite("group "+first.name, first.settings, second.settings)
	merged.vars = b.unite("group "+first.name, first.vars, second.vars)
	return &merged
}

// mergeHosts makes one host of two, the second of them from a source.
func (b *builder) mergeHosts(first, second *node) *node {
	merged := *first
	merged.settings = b.unite("host "+first.name, first.settings, second.settings)
	merged.vars = b.unite("host "+first.name, first.vars, second.vars)
	merged.source = append(merged.source[:len(merged.source):len(merged.source)], second.source...)
	return &merged
}

// unite puts two lists together, and reports what they disagree about.
func (b *builder) unite(what string, first, second []assignment) []assignment {
	all := first[:len(first):len(first)]
	for _, a := range second {
		had, ok := find(first, a.name)
		switch {
		case !ok:
			all = append(all, a)
		case !same(had.value, a.value):
			b.report(a.at, "Sources disagree", "The %s of the %s is one value here and another at %s. Take it out of one of them.", quote(a.name), what, position(had.at))
		}
	}
	return all
}
