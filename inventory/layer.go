package inventory

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// layer is what a set of groups says together. Hosts of the same groups share
// it.
type layer struct {
	names    []string // without "all"
	settings []choice
	vars     []choice
	values   map[string]cty.Value // of vars; made when first asked for
}

// choice is one setting or variable, as decided between groups.
type choice struct {
	definition              // what holds
	beat       []definition // what it stands before
	rival      *definition  // of an unrelated group, with another value
}

// definition is a value and the place that gives it.
type definition struct {
	where string
	assignment
}

// layer returns the layer of a sorted set of groups.
func (b *builder) layer(groups []int) *layer {
	key := make([]byte, 0, 4*len(groups))
	for _, g := range groups {
		key = binary.AppendUvarint(key, uint64(g))
	}
	if l, ok := b.layers[string(key)]; ok {
		return l
	}
	l := &layer{}
	for _, g := range groups[1:] {
		l.names = append(l.names, b.nodes[g].name)
	}
	l.settings = b.choose(groups, func(g *groupNode) []assignment { return g.settings })
	l.vars = b.choose(groups, func(g *groupNode) []assignment { return g.vars })
	b.layers[string(key)] = l
	return l
}

// choose decides what a set of groups says: a group stands before those that
// hold it; of others that agree, the one declared first.
func (b *builder) choose(groups []int, of func(*groupNode) []assignment) []choice {
	type candidate struct {
		group int
		assignment
	}
	var order []string
	candidates := map[string][]candidate{}
	for _, g := range groups {
		for _, a := range of(b.nodes[g]) {
			if candidates[a.name] == nil {
				order = append(order, a.name)
			}
			candidates[a.name] = append(candidates[a.name], candidate{g, a})
		}
	}
	choices := make([]choice, 0, len(order))
	for _, name := range order {
		var c choice
		for _, x := range candidates[name] {
			d := definition{where: b.nodes[x.group].where, assignment: x.assignment}
			beaten := slices.ContainsFunc(candidates[name], func(y candidate) bool {
				_, ok := slices.BinarySearch(b.above[y.group], x.group)
				return ok
			})
			switch {
			case beaten:
				c.beat = append(c.beat, d)
			case c.where == "":
				c.definition = d
			default:
				c.beat = append(c.beat, d)
				if c.rival == nil && !same(c.value, d.value) {
					c.rival = &d
				}
			}
		}
		choices = append(choices, c)
	}
	return choices
}

// conflict reports a choice that was none, once for each pair of places.
func (b *builder) conflict(h *Host, what string, c choice) {
	key := fmt.Sprint(c.name, c.at, c.rival.at)
	if b.told[key] {
		return
	}
	b.told[key] = true
	b.report(c.rival.at, "Groups disagree", "The host %s is in two groups that set the %s %s to different values: %s (%s) and %s (%s). Make one a child of the other, which then wins, or set it on the host.",
		quote(h.Name), what, quote(c.name), c.where, position(c.at), c.rival.where, position(c.rival.at))
}
