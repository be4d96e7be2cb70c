package docker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"muster/modules"
)

// Check refuses names, subnets and addresses that can't be, and contradictions.
func (n *Network) Check(unknown func(string) bool) []modules.ArgError {
	c := &argErrors{unknown: unknown}
	c.name("network", n.Name)
	if slices.Contains([]string{"bridge", "host", "none", "default"}, n.Name) {
		c.fail("name", "", "Wrong value", "", "The network %s is Docker's own: it can be neither made nor removed. What it is like is set by the kind docker_engine.", n.Name)
	}
	if slices.Contains([]string{"host", "null"}, n.Driver) {
		c.fail("driver", "", "Wrong value", "", "There is only one network of the driver %s, Docker's own.", n.Driver)
	}
	c.keys("options", n.Options)
	c.keys("labels", n.Labels)
	if n.State == "absent" {
		c.absent("network", map[string]bool{
			"driver": n.Driver != "", "options": n.Options != nil, "labels": n.Labels != nil, "subnet": n.Subnet != nil, "gateway": n.Gateway != nil,
			"ip_range": n.IPRange != nil, "internal": n.Internal != nil, "ipv6": n.IPv6 != nil,
		})
	}
	subnets, errs := prefixes("subnet", n.Subnet)
	c.list("subnet", errs)
	n.checkSubnets(c, subnets)
	if !unknown("subnet") {
		c.list("gateway", n.checkGateways(subnets))
		ranges, errs := prefixes("ip_range", n.IPRange)
		c.list("ip_range", append(errs, within(ranges, subnets)...))
	}
	return c.errs
}

// checkSubnets refuses subnets that don't go together.
func (n *Network) checkSubnets(c *argErrors, subnets []netip.Prefix) {
	count := map[bool]int{}
	for i, s := range subnets {
		if !s.IsValid() {
			continue
		}
		count[s.Addr().Is6()]++
		if a := s.Addr(); a.IsLoopback() || a.IsMulticast() || s.Bits() == 0 {
			c.fail("subnet", at(n.Subnet, i), "Wrong value", "", "%s isn't for networks: take one of the private ones, such as 10.20.0.0/24 or fd00:20::/64.", s)
		}
		for j, other := range subnets[:i] {
			if other.IsValid() && s.Overlaps(other) {
				c.fail("subnet", at(n.Subnet, i), "Conflicting arguments", "", "%s overlaps with %s, subnet[%d].", s, other, j)
			}
		}
	}
	if (n.Driver == "" || n.Driver == "bridge") && !c.unknown("driver") && (count[false] > 1 || count[true] > 1) {
		c.fail("subnet", "", "Wrong value", "", "A network of the driver bridge has one subnet of IPv4, one of IPv6, or both.")
	}
	if n.IPv6 != nil && !*n.IPv6 && count[true] > 0 {
		c.fail("ipv6", "", "Conflicting arguments", "", "One of the subnets is IPv6: leave out ipv6, or the subnet.")
	}
}

// checkGateways refuses gateways that are no address in one of the subnets.
func (n *Network) checkGateways(subnets []netip.Prefix) (errs []modules.ArgError) {
	in := map[netip.Prefix]string{}
	for i, text := range n.Gateway {
		fail := func(format string, args ...any) {
			errs = append(errs, modules.ArgError{Arg: "gateway", Path: at(n.Gateway, i), Summary: "Wrong value", Detail: fmt.Sprintf(format, args...)})
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			fail("%q is no IP address, such as 10.20.0.1.", text)
			continue
		}
		s := holds(subnets, addr)
		switch {
		case !s.IsValid():
			fail("%s lies in none of the network's subnets: %s.", addr, given(n.Subnet))
		case addr == s.Addr() && s.Bits() < s.Addr().BitLen()-1:
			fail("%s is the address of the subnet %s itself: the first one that can be used is %s.", addr, s, addr.Next())
		case in[s] != "":
			fail("The subnet %s has the gateway %s already.", s, in[s])
		}
		in[s] = text
	}
	return errs
}

// within refuses ranges that lie in none of the subnets.
func within(ranges, subnets []netip.Prefix) (errs []modules.ArgError) {
	for i, r := range ranges {
		if s := holds(subnets, r.Addr()); r.IsValid() && (!s.IsValid() || s.Bits() > r.Bits()) {
			errs = append(errs, modules.ArgError{Arg: "ip_range", Path: fmt.Sprintf("[%d]", i), Summary: "Wrong value", Detail: fmt.Sprintf("%s lies in none of the network's subnets, which have to be given too.", r)})
		}
	}
	return errs
}

// holds returns the prefix that an address lies in; the zero Prefix where none does.
func holds(list []netip.Prefix, addr netip.Addr) netip.Prefix {
	for _, p := range list {
		if p.IsValid() && p.Contains(addr) {
			return p
		}
	}
	return netip.Prefix{}
}

func given(list []string) string {
	if len(list) == 0 {
		return "give it a subnet too"
	}
	return strings.Join(list, ", ")
}

// at is where in an argument that may be one or a list its i-th value stands.
func at(list []string, i int) string {
	if len(list) == 1 {
		return ""
	}
	return fmt.Sprintf("[%d]", i)
}

// prefixes parses subnets. In the place of a wrong one there is the zero Prefix.
func prefixes(arg string, list []string) (all []netip.Prefix, errs []modules.ArgError) {
	for i, text := range list {
		e := modules.ArgError{Arg: arg, Path: at(list, i), Summary: "Wrong value"}
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil && strings.Contains(text, "/"):
			e.Detail = fmt.Sprintf("%q is no subnet, such as 10.20.0.0/24.", text)
		case err != nil:
			e.Detail = fmt.Sprintf("%q is no subnet: it needs the length of its prefix, as in 10.20.0.0/24.", text)
		case p != p.Masked():
			e.Detail = fmt.Sprintf("%s is an address in the subnet %s, and no subnet.", text, p.Masked())
			e.Hint = fmt.Sprintf("%s = %q", arg, p.Masked())
		case p.Addr().Is4In6():
			e.Detail = fmt.Sprintf("%q is an IPv4 subnet written as IPv6: write it as IPv4.", text)
		}
		if e.Detail != "" {
			errs, p = append(errs, e), netip.Prefix{}
		}
		all = append(all, p)
	}
	return all, errs
}

// argErrors gathers what is wrong with arguments that are known.
type argErrors struct {
	unknown func(string) bool
	errs    []modules.ArgError
}

func (c *argErrors) fail(arg, path, summary, hint, format string, args ...any) {
	c.list(arg, []modules.ArgError{{Arg: arg, Path: path, Summary: summary, Hint: hint, Detail: fmt.Sprintf(format, args...)}})
}

// list adds what is wrong with an argument.
func (c *argErrors) list(arg string, errs []modules.ArgError) {
	if !c.unknown(arg) {
		c.errs = append(c.errs, errs...)
	}
}

// absent refuses what is said of something that is to be absent.
func (c *argErrors) absent(what string, given map[string]bool) {
	for _, arg := range sortedKeys(given) {
		if given[arg] {
			c.fail(arg, "", "Conflicting arguments", "", "A %s that is to be absent has no %s.", what, arg)
		}
	}
}

// name refuses what Docker doesn't take for a name.
func (c *argErrors) name(what, name string) {
	if !nameForm.MatchString(name) {
		c.fail("name", "", "Wrong value", "", "%q is no name for a %s: it has two or more letters, digits, dots, hyphens and underscores, and begins with a letter or a digit.", name, what)
	}
}

// keys refuses names of options or labels that can't be.
func (c *argErrors) keys(arg string, m map[string]string) {
	for _, k := range sortedKeys(m) {
		path := fmt.Sprintf("[%q]", k)
		switch {
		case strings.TrimSpace(k) == "":
			c.fail(arg, path, "Empty value", "", "What %q lists needs a name.", arg)
		case arg == "labels" && strings.HasPrefix(k, "muster."):
			c.fail(arg, path, "Wrong value", "", "Labels that begin with \"muster.\" are muster's own.")
		}
	}
}
