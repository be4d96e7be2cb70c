package wireguard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// A route of the interface's may lead away what another interface leads to by now: the
// kernel takes the longest prefix. That cuts hosts off, without a word of the kernel's. So
// routes that come are held against those that there are.

// route is one of the host's main table that another interface has.
type route struct {
	To      netip.Prefix
	Device  string     // "" where it leads nowhere: a blackhole
	Gateway netip.Addr // invalid where the network is connected
}

// String is as errors call a route: "10.0.1.0/24 of eth1".
func (r route) String() string {
	to := r.To.String()
	if r.To.Bits() == 0 {
		to = "everything else"
	}
	if r.Device == "" {
		return to + ", which is dropped"
	}
	return to + " of " + r.Device
}

// readTable reads what "ip -j route show table main" prints.
func readTable(data []byte, every netip.Prefix) ([]route, error) {
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil, nil
	}
	type hop struct {
		Dev     string     `json:"dev"`
		Gateway netip.Addr `json:"gateway"`
		Via     struct {
			Host netip.Addr `json:"host"`
		} `json:"via"`
	}
	var shown []struct {
		Dst string `json:"dst"`
		hop
		Hops []hop `json:"nexthops"`
	}
	if err := json.Unmarshal(data, &shown); err != nil {
		return nil, fmt.Errorf("reading the host's routes: %w", err)
	}
	var table []route
	for _, r := range shown {
		to, err := network(r.Dst)
		if r.Dst == "default" {
			to, err = every, nil
		}
		if err != nil || to.Addr().IsMulticast() || to.Addr().Is6() && to.Addr().IsLinkLocalUnicast() {
			continue
		}
		hops := r.Hops
		if len(hops) == 0 {
			hops = []hop{r.hop}
		}
		for _, h := range hops {
			gateway := h.Gateway
			if h.Via.Host.IsValid() {
				gateway = h.Via.Host
			}
			table = append(table, route{to, h.Dev, gateway})
		}
	}
	return table, nil
}

// elsewhere returns the routes of the host's other interfaces, as earlier tasks leave them.
func (s *state) elsewhere(ctx context.Context, v *host.View) ([]route, error) {
	var table []route
	for flag, every := range map[string]string{"-4": "0.0.0.0/0", "-6": "::/0"} {
		c := host.Command{Argv: []string{"ip", "-j", flag, "route", "show", "table", "main"}}
		out, err := v.Query(ctx, c, host.Key{Space: "routes", Name: "main"})
		if err == nil && out.ExitCode != 0 {
			err = &host.ExitError{Argv: c.Argv, Output: out}
		}
		if err != nil {
			return nil, err
		}
		part, err := readTable(out.Stdout, netip.MustParsePrefix(every))
		if err != nil {
			return nil, err
		}
		table = append(table, part...)
	}
	for _, name := range v.Laid(deviceKey("").Space) {
		other, err := host.Read(v, deviceKey(name), func() (*device, error) { return nil, errUnlaid })
		if errors.Is(err, errUnlaid) {
			continue
		}
		if err != nil {
			return nil, err
		}
		table = slices.DeleteFunc(table, func(r route) bool { return r.Device == name })
		if other != nil {
			for _, n := range other.Routes {
				table = append(table, route{To: netip.MustParsePrefix(n), Device: name})
			}
		}
	}
	table = slices.DeleteFunc(table, func(r route) bool { return r.Device == s.name || r.Device == "lo" })
	slices.SortStableFunc(table, func(a, b route) int { return strings.Compare(a.String(), b.String()) })
	return table, nil
}

// errUnlaid is a device that earlier tasks only may alter.
var errUnlaid = errors.New("no earlier task leaves it so")

// towards returns the route that leads to an address: the one of the longest prefix.
func towards(table []route, to netip.Addr) (found route, ok bool) {
	for _, r := range table {
		if r.To.Contains(to) && (!ok || r.To.Bits() > found.To.Bits()) {
			found, ok = r, true
		}
	}
	return found, ok
}

// taken is what a route would lead away from where it leads by now.
type taken struct {
	from route
	what string // "" for a connected network, else what of it counts: "the gateway 192.0.2.1"
	same bool   // the host has a route to just that network: there can't be another
}

// takes returns what a new route would take; nil where nothing is harmed: everybody's
// network behind a default route may be a peer's. operator is where whoever has logged in
// comes from, invalid where that isn't known.
func takes(n netip.Prefix, table []route, operator netip.Addr) *taken {
	for _, r := range table {
		if r.To == n {
			return &taken{from: r, same: true}
		}
	}
	within := func(r route) bool {
		return r.To.Bits() > 0 && r.To.Bits() < n.Bits() && r.To.Contains(n.Addr())
	}
	for _, r := range table {
		if r.Device != "" && !r.Gateway.IsValid() && within(r) {
			return &taken{from: r}
		}
	}
	loses := func(a netip.Addr, what string) *taken {
		if r, ok := towards(table, a); ok && n.Contains(a) && r.To.Bits() < n.Bits() {
			return &taken{from: r, what: what + " " + a.String()}
		}
		return nil
	}
	for _, r := range table {
		if r.Gateway.IsValid() {
			if t := loses(r.Gateway, "the gateway"); t != nil {
				return t
			}
		}
	}
	if operator.IsValid() {
		return loses(operator, "the way to whoever has logged in from")
	}
	return nil
}

// String says what is taken.
func (t *taken) String() string {
	if t.what != "" {
		return t.what + ", which " + t.from.String() + " leads to"
	}
	return t.from.String()
}

// routed returns what wg-quick makes of a configuration's text, and what is up.
func routed(c *conf, up *device) []string {
	list := c.wants(func(string) string { return "" }).Routes
	if up != nil {
		list = append(list, up.Routes...)
	}
	return sorted(list)
}

// ways holds the routes that come against those of other interfaces. was is the interface
// as it was found, blame finds the arguments that a network comes from, and whether they
// say that it may lead elsewhere than before. What was to be made at the next boot anyway
// isn't new.
func (e *editing) ways(ctx context.Context, was *device, blame func(n string) (at modules.ArgError, may bool)) error {
	had := routed(parse(e.name, e.text), was)
	var fresh []string
	for _, n := range routed(e.conf, e.device) {
		if !slices.Contains(had, n) {
			fresh = append(fresh, n)
		}
	}
	operator := e.v.Origin()
	if len(fresh) == 0 && !operator.IsValid() {
		return nil
	}
	table, err := e.elsewhere(ctx, e.v)
	if err != nil {
		return err
	}
	for _, n := range fresh {
		t := takes(netip.MustParsePrefix(n), table, operator)
		if t == nil {
			continue
		}
		at, may := blame(n)
		at.Summary = "It takes over what is reached already"
		switch {
		case t.same:
			at.Detail = fmt.Sprintf("%s can't lead to %s: this host has the route %s, and takes no second one.", n, e.name, t.from)
			return at
		case !may:
			at.Detail = fmt.Sprintf("The route %s to %s would lead away from %s.", n, e.name, t)
			if at.Arg != "address" {
				at.Detail += " If that is meant, say so with reroute = true."
			}
			return at
		}
		e.risk = true
		if e.moved == nil {
			e.moved = map[string]string{}
		}
		e.moved[n] = "leads away from " + t.String()
	}
	// Whoever comes through the interface may be cut off by any change of it.
	if operator.IsValid() && was != nil {
		all := table
		for _, n := range was.Routes {
			all = append(all, route{To: netip.MustParsePrefix(n), Device: e.name})
		}
		r, ok := towards(all, operator)
		e.risk = e.risk || ok && r.Device == e.name || (!ok || r.To.Bits() == 0) && len(was.Everything) > 0
	}
	return nil
}
