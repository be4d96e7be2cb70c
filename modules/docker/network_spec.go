package docker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/network"
)

// networkSpec is a network that the daemon has, or that is to be made.
type networkSpec struct {
	ID         string            `json:"id,omitempty"` // "" of one that is still to come
	Name       string            `json:"name"`
	Driver     string            `json:"driver"`
	Options    map[string]string `json:"options,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Internal   bool              `json:"internal,omitempty"`
	Attachable bool              `json:"attachable,omitempty"`
	IPv6       bool              `json:"ipv6,omitempty"`
	IPAM       string            `json:"ipam,omitempty"` // the driver that gives addresses
	IPAMWith   map[string]string `json:"ipam_options,omitempty"`
	Pools      []pool            `json:"pools,omitempty"` // none: Docker chooses
}

// pool is a subnet of a network.
type pool struct {
	Subnet  netip.Prefix          `json:"subnet"`
	Gateway netip.Addr            `json:"gateway,omitzero"`
	Range   netip.Prefix          `json:"range,omitzero"`
	Others  map[string]netip.Addr `json:"others,omitempty"`
}

// gateway is the host's address in the subnet: without another the first one that
// Docker gives away.
func (p pool) gateway() netip.Addr {
	switch {
	case p.Gateway.IsValid():
		return p.Gateway
	case p.Range.IsValid():
		return p.Range.Masked().Addr()
	}
	return p.Subnet.Masked().Addr().Next()
}

// networkOf returns a network as the daemon tells of it.
func networkOf(n api.Network) networkSpec {
	net := networkSpec{
		ID: n.ID, Name: n.Name, Driver: n.Driver, Options: n.Options, Labels: n.Labels,
		Internal: n.Internal, Attachable: n.Attachable, IPv6: n.EnableIPv6, IPAM: n.IPAM.Driver, IPAMWith: n.IPAM.Options,
	}
	for _, c := range n.IPAM.Config {
		net.Pools = append(net.Pools, pool{c.Subnet, c.Gateway, c.IPRange, c.AuxAddress})
	}
	return net
}

// from returns the network as it has to be, given as what it is, and lines that tell
// what differs. Of what isn't declared all stays as it is, but for what was: a note
// among its labels says so.
func (n *Network) from(was networkSpec) (want networkSpec, diff []string) {
	noted := notes(was.Labels)
	want = was
	want.ID = ""
	switch {
	case n.Driver != "":
		want.Driver = n.Driver
	case noted["driver"]:
		want.Driver = "bridge"
	}
	options := was.Options
	if want.Driver != was.Driver {
		diff = append(diff, fmt.Sprintf("driver: %s → %s", was.Driver, want.Driver))
		options = nil // these are another driver's
	}
	var lines []string
	want.Options, lines = merged("options", options, n.Options, noted, nil)
	diff = append(diff, lines...)
	want.Labels, lines = merged("labels", was.Labels, n.Labels, noted, nil)
	diff = append(diff, lines...)
	flag := func(name string, declared *bool, is *bool) {
		to := *is
		switch {
		case declared != nil:
			to = *declared
		case noted[name]:
			to = false
		}
		if to != *is {
			diff = append(diff, fmt.Sprintf("%s: %t → %t", name, *is, to))
			*is = to
		}
	}
	flag("internal", n.Internal, &want.Internal)
	flag("ipv6", n.six(), &want.IPv6)
	want.Pools, lines = n.pools(was, noted, want.IPv6)
	diff = append(diff, lines...)
	note(want.Labels, n.declared())
	return want, diff
}

// six is whether the network has to have IPv6; nil where nothing says so.
func (n *Network) six() *bool {
	subnets, _ := prefixes("subnet", n.Subnet)
	if slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		yes := true
		return &yes
	}
	return n.IPv6
}

// pools returns the subnets that the network has to have.
func (n *Network) pools(was networkSpec, noted map[string]bool, six bool) (list []pool, diff []string) {
	subnets, _ := prefixes("subnet", n.Subnet)
	for _, v6 := range []bool{false, true} {
		ofFamily := func(p netip.Prefix) bool { return p.Addr().Is6() == v6 }
		declared := slices.ContainsFunc(subnets, ofFamily)
		var before, after []string
		for _, p := range was.Pools {
			if !ofFamily(p.Subnet) {
				continue
			}
			before = append(before, p.Subnet.Masked().String())
			kept := !declared && !noted["subnet "+p.Subnet.Masked().String()] || slices.Contains(subnets, p.Subnet.Masked())
			if kept && (six || !v6) {
				after = append(after, p.Subnet.Masked().String())
				p, lines := n.pool(p, noted)
				list, diff = append(list, p), append(diff, lines...)
			}
		}
		for _, s := range subnets {
			if ofFamily(s) && !slices.Contains(before, s.String()) {
				after = append(after, s.String())
				p, _ := n.pool(pool{Subnet: s}, nil)
				list = append(list, p)
			}
		}
		slices.Sort(before)
		slices.Sort(after)
		if slices.Equal(before, after) || v6 && !six {
			continue
		}
		if after == nil {
			after = []string{"one that Docker chooses"}
		}
		diff = append(diff, fmt.Sprintf("subnet: %s → %s", strings.Join(before, ", "), strings.Join(after, ", ")))
	}
	return list, diff
}

// pool returns a subnet with the gateway and the range that are declared for it.
func (n *Network) pool(p pool, noted map[string]bool) (want pool, diff []string) {
	want = p
	ranges, _ := prefixes("ip_range", n.IPRange)
	for _, r := range ranges {
		if p.Subnet.Contains(r.Addr()) {
			want.Range = r
		}
	}
	if was := p.Range.Masked(); was.IsValid() && want.Range == p.Range && noted["ip_range "+was.String()] && !slices.Contains(ranges, was) {
		want.Range = netip.Prefix{}
	}
	if want.Range.Masked() != p.Range.Masked() {
		diff = append(diff, fmt.Sprintf("ip_range: %s → %s", or(p.Range, "all of "+p.Subnet.String()), or(want.Range, "all of "+p.Subnet.String())))
	}
	declared := false
	for _, text := range n.Gateway {
		if g, err := netip.ParseAddr(text); err == nil && p.Subnet.Contains(g) {
			want.Gateway, declared = g, true
		}
	}
	if !declared && p.Gateway.IsValid() && noted["gateway "+p.Gateway.String()] {
		want.Gateway, declared = netip.Addr{}, true
	}
	if declared && want.gateway() != p.gateway() {
		diff = append(diff, fmt.Sprintf("gateway: %s → %s", p.gateway(), want.gateway()))
	}
	return want, diff
}

func or(p netip.Prefix, otherwise string) string {
	if !p.IsValid() {
		return otherwise
	}
	return p.Masked().String()
}

// declared names what the task says of the network.
func (n *Network) declared() []string {
	var list []string
	for what, given := range map[string]bool{"driver": n.Driver != "", "internal": n.Internal != nil, "ipv6": n.six() != nil} {
		if given {
			list = append(list, what)
		}
	}
	for what, texts := range map[string][]string{"subnet": n.Subnet, "ip_range": n.IPRange} {
		all, _ := prefixes(what, texts)
		for _, p := range all {
			list = append(list, what+" "+p.String())
		}
	}
	for _, text := range n.Gateway {
		if g, err := netip.ParseAddr(text); err == nil {
			list = append(list, "gateway "+g.String())
		}
	}
	return append(append(list, keyed("options", n.Options)...), keyed("labels", n.Labels)...)
}

// lines tells what a network is made of.
func (n networkSpec) lines() []string {
	var list []string
	if n.Driver != "bridge" {
		list = append(list, "driver: "+n.Driver)
	}
	for _, p := range n.Pools {
		list = append(list, "subnet: "+p.Subnet.String())
		if p.Gateway.IsValid() {
			list = append(list, "gateway: "+p.Gateway.String())
		}
		if p.Range.IsValid() {
			list = append(list, "ip_range: "+p.Range.String())
		}
	}
	if n.Internal {
		list = append(list, "internal: true")
	}
	if n.IPv6 {
		list = append(list, "ipv6: true")
	}
	return append(append(list, added("options", n.Options)...), added("labels", n.Labels)...)
}

// isMadeOf reports whether the network is what another was made as.
func (n networkSpec) isMadeOf(o networkSpec) bool {
	if n.Driver != o.Driver || n.Internal != o.Internal || o.IPv6 && !n.IPv6 || !maps.Equal(n.Labels, o.Labels) {
		return false
	}
	for k, v := range o.Options {
		if n.Options[k] != v {
			return false
		}
	}
	return !slices.ContainsFunc(o.Pools, func(want pool) bool {
		return !slices.ContainsFunc(n.Pools, func(p pool) bool {
			return p.Subnet.Masked() == want.Subnet.Masked() && p.gateway() == want.gateway() && p.Range.Masked() == want.Range.Masked()
		})
	})
}
