package inventory

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/transport"
)

// same reports whether two values are one, nulls included.
func same(a, b cty.Value) bool { return a.RawEquals(b) }

// checkVia reports what names no bastion, once for each place that does.
func (b *builder) checkVia() {
	check := func(s *scope) {
		a, ok := find(s.settings, "via")
		if !ok || a.value.IsNull() {
			return
		}
		name := a.value.AsString()
		h, known := b.inv.byName[name]
		switch {
		case known && h.Bastion, b.partial && !known:
		case known:
			b.report(a.at, "Unknown bastion", "%s is a host, and via names a bastion. Declare it with bastion %s { … } instead, or beside it under another name.", quote(name), quote(name))
		default:
			names := make([]string, len(b.inv.bastions))
			for i, h := range b.inv.bastions {
				names[i] = h.Name
			}
			b.report(a.at, "Unknown bastion", "There is no bastion %s.%s Declare it with bastion %s { address = … }; via = null means none.", quote(name), hint(name, names, "There are: %s."), quote(name))
		}
	}
	if b.defaults != nil {
		check(b.defaults)
	}
	for _, h := range b.inv.bastions {
		check(&h.node.scope)
	}
	for _, g := range b.nodes {
		check(&g.scope)
	}
	for _, h := range b.inv.hosts {
		check(&h.node.scope)
	}
	for _, s := range b.sources {
		check(&s.scope)
	}
}

// setting returns the value of one of h's settings, the nearest that is given.
func (b *builder) setting(h *Host, name string) cty.Value {
	if a, ok := find(h.node.settings, name); ok {
		return a.value
	}
	if h.groups != nil {
		for _, c := range h.groups.settings {
			if c.name == name {
				return c.value
			}
		}
	}
	for _, s := range h.node.source {
		if a, ok := find(s.settings, name); ok {
			return a.value
		}
	}
	// A bastion isn't reached through itself.
	if b.defaults != nil && !(h.Bastion && (name == "via" || name == "connection")) {
		if a, ok := find(b.defaults.settings, name); ok {
			return a.value
		}
	}
	return cty.NullVal(cty.String)
}

func (b *builder) text(h *Host, name string) string {
	if v := b.setting(h, name); !v.IsNull() {
		return v.AsString()
	}
	return ""
}

// reach fills in how h is reached, but for its bastion.
func (b *builder) reach(h *Host) {
	if address := b.text(h, "address"); address != "" {
		h.Address = address
	}
	h.target = transport.Target{Name: h.Name, Address: h.Address, Local: b.text(h, "connection") == "local"}
	if h.target.Local {
		return
	}
	h.target.User = b.text(h, "user")
	h.target.Identity = b.text(h, "identity")
	if v := b.setting(h, "port"); !v.IsNull() {
		n, _ := v.AsBigFloat().Int64()
		h.target.Port = int(n)
	}
	if via, ok := b.inv.byName[b.text(h, "via")]; ok && via.Bastion {
		h.target.Via = &via.target
	}
}

// reachBastion fills in how a bastion is reached.
func (b *builder) reachBastion(h *Host) {
	b.reach(h)
	h.Vars = make(map[string]cty.Value, len(h.node.vars))
	for _, a := range h.node.vars {
		h.Vars[a.name] = a.value
	}
	if b.defaults != nil {
		h.below = []*scope{b.defaults}
	}
}

// checkCircles reports bastions that are reached through themselves, and cuts
// them apart.
func (b *builder) checkCircles() {
	done := map[*Host]bool{}
	for _, h := range b.inv.bastions {
		var path []string
		on := map[*Host]bool{}
		for at := h; at != nil && !done[at]; {
			path = append(path, at.Name)
			on[at] = true
			var next *Host
			if at.target.Via != nil {
				next = b.inv.byName[at.target.Via.Name]
			}
			if next != nil && on[next] {
				a, _ := find(at.node.settings, "via")
				b.report(a.at, "Bastions in a circle", "A bastion can't be reached through itself: %s. Take out one via.", strings.Join(append(path, next.Name), " via "))
				at.target.Via = nil
				break
			}
			at = next
		}
		for p := range on {
			done[p] = true
		}
	}
}

// resolve decides the settings and the variables of a host.
func (b *builder) resolve(h *Host) {
	b.reach(h)
	h.below = h.node.source
	if b.defaults != nil {
		h.below = append(h.below[:len(h.below):len(h.below)], b.defaults)
	}
	for _, c := range h.groups.settings {
		if _, own := find(h.node.settings, c.name); c.rival != nil && !own {
			b.conflict(h, "setting", c)
		}
	}
	for _, c := range h.groups.vars {
		if _, own := find(h.node.vars, c.name); c.rival != nil && !own {
			b.conflict(h, "variable", c)
		}
	}
	if len(h.node.vars) == 0 {
		h.Vars = h.groups.shared()
		return
	}
	h.Vars = make(map[string]cty.Value, len(h.groups.vars)+len(h.node.vars))
	for _, c := range h.groups.vars {
		h.Vars[c.name] = c.value
	}
	for _, a := range h.node.vars {
		h.Vars[a.name] = a.value
	}
}

// shared returns the variables of a layer, one map for all hosts that add none.
func (l *layer) shared() map[string]cty.Value {
	if l.values == nil {
		l.values = make(map[string]cty.Value, len(l.vars))
		for _, c := range l.vars {
			l.values[c.name] = c.value
		}
	}
	return l.values
}

// checkAddresses warns of two hosts that are one machine.
func (b *builder) checkAddresses() {
	type place struct {
		address string
		port    int
		via     *transport.Target
	}
	first := make(map[place]*Host, len(b.inv.hosts))
	for _, h := range b.inv.hosts {
		p := place{h.target.Address, h.target.Port, h.target.Via}
		what := "have the address " + h.Address
		if h.target.Local {
			p, what = place{}, "are both this machine"
		}
		other, taken := first[p]
		switch {
		case !taken:
			first[p] = h
		case other != nil:
			first[p] = nil // said once
			b.diags = b.diags.Append(warning(addressRange(h), "Same address twice", fmt.Sprintf("The hosts %s (%s) and %s %s, so a run may act on one machine as two, and wait for itself.", quote(other.Name), position(other.At), quote(h.Name), what)))
		}
	}
}

func addressRange(h *Host) hcl.Range {
	if a, ok := find(h.node.settings, "address"); ok {
		return a.at
	}
	return h.At
}
