package wireguard

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

const shownRoutes = `[
 {"dst":"default","gateway":"203.0.113.1","dev":"eth0","flags":[]},
 {"dst":"10.0.1.0/24","dev":"eth1","protocol":"kernel","scope":"link","prefsrc":"10.0.1.1","flags":[]},
 {"dst":"10.0.2.0/24","gateway":"10.0.1.254","dev":"eth1","flags":[]},
 {"dst":"10.0.3.0/24","nexthops":[{"via":{"family":"inet6","host":"fe80::1"},"dev":"eth2"},{"gateway":"10.0.1.9","dev":"eth1"}]},
 {"type":"blackhole","dst":"10.0.0.0/8","flags":[]},
 {"dst":"203.0.113.0/28","dev":"eth0","scope":"link","flags":[]},
 {"dst":"fe80::/64","dev":"eth0","flags":[]}]`

func TestNoRouteLeadsAwayFromWhatIsReached(t *testing.T) {
	table, err := readTable([]byte(shownRoutes), netip.MustParsePrefix("0.0.0.0/0"))
	if err != nil {
		t.Fatal(err)
	}
	operator := netip.MustParseAddr("198.51.100.7")
	for n, want := range map[string]string{
		"10.0.1.0/24":     "10.0.1.0/24 of eth1",
		"10.0.1.33/32":    "10.0.1.0/24 of eth1",
		"10.0.2.0/24":     "10.0.2.0/24 of eth1",
		"10.0.3.0/24":     "10.0.3.0/24 of eth2",
		"10.0.0.0/8":      "10.0.0.0/8, which is dropped",
		"203.0.113.1/32":  "203.0.113.0/28 of eth0",
		"198.51.100.0/24": "the way to whoever has logged in from 198.51.100.7, which everything else of eth0 leads to",
		"198.51.100.7/32": "the way to whoever has logged in from 198.51.100.7, which everything else of eth0 leads to",
		"128.0.0.0/1":     "the way to whoever has logged in from 198.51.100.7, which everything else of eth0 leads to",
		// What is left as it is: what is wider, what isn't connected, what nothing leads to.
		"10.0.0.0/16":  "",
		"10.0.2.33/32": "",
		"10.9.0.0/24":  "",
		"192.0.2.0/24": "",
		"fd00::/64":    "",
	} {
		got := ""
		if taken := takes(netip.MustParsePrefix(n), table, operator); taken != nil {
			got = taken.String()
		}
		if got != want {
			t.Errorf("%s takes %q, want %q", n, got, want)
		}
	}
	if taken := takes(netip.MustParsePrefix("198.51.100.0/24"), table, netip.Addr{}); taken != nil {
		t.Errorf("nobody has logged in: %s", taken)
	}
}

func TestEverythingLeadsToAnInterfaceWhereWgQuickHasMadeItSo(t *testing.T) {
	shown := `[{"dst":"default","dev":"wg0","table":"51820"},{"dst":"default","dev":"wg0","table":"200"},{"dst":"10.9.0.0/24","dev":"wg0"},{"type":"local","dst":"10.9.0.1","dev":"wg0","table":"local"}]`
	for mark, want := range map[string]string{"0xca6c": "0.0.0.0/0", "off": "", "0x1": ""} {
		d := &device{mark: mark}
		if err := d.readRoutes([]byte(shown), "0.0.0.0/0"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.Everything, " "); got != want || strings.Join(d.Routes, " ") != "10.9.0.0/24" {
			t.Errorf("marked %s: %q, routes %q", mark, got, d.Routes)
		}
	}
}

// routedHost is a host with these routes, and none of IPv6.
type routedHost struct{}

func (routedHost) Run(_ context.Context, c host.Command) (host.Output, error) {
	if slices.Contains(c.Argv, "-4") {
		return host.Output{Stdout: []byte(shownRoutes)}, nil
	}
	return host.Output{}, nil
}

func TestWhoComesThroughTheInterfaceChangesItOnProbation(t *testing.T) {
	for from, want := range map[string]bool{"10.9.0.2": true, "203.0.113.2": false, "198.51.100.7": false, "": false} {
		h := &host.Host{Runner: routedHost{}}
		if from != "" {
			h.Origin = netip.MustParseAddr(from)
		}
		up := &device{Routes: []string{"10.9.0.0/24"}}
		e := &editing{state: &state{name: "wg0", conf: parse("wg0", theirs), text: theirs, device: up}, v: host.NewView(h, nil)}
		err := e.ways(t.Context(), up, func(string) (modules.ArgError, bool) { return modules.ArgError{}, false })
		if err != nil || e.risk != want {
			t.Errorf("from %q: %v, at risk %t", from, err, e.risk)
		}
	}
}
