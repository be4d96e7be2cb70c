package docker

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	api "github.com/moby/moby/api/types/network"

	"muster/host"
	"muster/modules"
)

// planned plans a module on a host on which effects are pending.
func planned(t *testing.T, h *host.Host, m modules.Module, effects ...host.Effect) (modules.Plan, error) {
	t.Helper()
	preview := &host.Preview{}
	preview.Lay(effects)
	return m.Plan(context.Background(), host.NewView(h, preview))
}

// mustPlan plans a module that has to have a plan.
func mustPlan(t *testing.T, h *host.Host, m modules.Module, effects ...host.Effect) []host.Change {
	t.Helper()
	p, err := planned(t, h, m, effects...)
	if err != nil {
		t.Fatal(err)
	}
	return p.Changes
}

// made makes changes.
func made(t *testing.T, h *host.Host, changes []host.Change) {
	t.Helper()
	for _, c := range changes {
		if _, err := c.Apply(context.Background(), h); err != nil {
			t.Fatalf("%s: %v", c.Describe().Target, err)
		}
	}
}

func shows(changes []host.Change) string {
	var list []string
	for _, c := range changes {
		d := c.Describe()
		list = append(list, string(d.Action)+" "+d.Target)
		if d.Diff != "" {
			list = append(list, d.Diff)
		}
	}
	return strings.Join(list, "\n")
}

func bridge(name, subnet, gateway string) api.Network {
	n := api.Network{Name: name, ID: name + "id", Driver: "bridge", IPAM: api.IPAM{Driver: "default"}}
	if subnet != "" {
		c := api.IPAMConfig{Subnet: netip.MustParsePrefix(subnet)}
		if gateway != "" {
			c.Gateway = netip.MustParseAddr(gateway)
		}
		n.IPAM.Config = append(n.IPAM.Config, c)
	}
	return n
}

func TestWhatANetworkIsComparedBy(t *testing.T) {
	yes, no := true, false
	declares := func(n Network) Network { n.Name = "app"; return n }
	full := declares(Network{
		Driver: "bridge", Options: map[string]string{"mtu": "1400"}, Labels: map[string]string{"team": "web"},
		Subnet: modules.OneOrMore{"10.20.0.0/24", "fd00:20::/64"}, Gateway: modules.OneOrMore{"10.20.0.9"}, IPRange: modules.OneOrMore{"10.20.0.128/25"}, Internal: &yes,
	})
	for name, c := range map[string]struct {
		first Network // as it was made
		alter func(*api.Network)
		then  Network
		diff  string
	}{
		"all of it is what it was":  {first: full, then: full},
		"nothing is declared of it": {first: declares(Network{}), then: declares(Network{})},
		"what was never declared stays": {first: declares(Network{}), alter: func(n *api.Network) {
			n.Labels["theirs"] = "x"
			n.Internal = true
			n.Options = map[string]string{"mtu": "9000"}
		}, then: declares(Network{})},
		"an option that is no longer declared goes": {first: full, then: func() Network { n := full; n.Options = nil; return n }(), diff: "options: - mtu = 1400"},
		"a label that is no longer declared goes":   {first: full, then: func() Network { n := full; n.Labels = map[string]string{}; return n }(), diff: "labels: - team = web"},
		"another value":                                {first: full, then: func() Network { n := full; n.Options = map[string]string{"mtu": "1500"}; return n }(), diff: "options: mtu = 1400 → 1500"},
		"internal is no longer declared":               {first: full, then: func() Network { n := full; n.Internal = nil; return n }(), diff: "internal: true → false"},
		"internal is false, as it was":                 {first: declares(Network{}), then: declares(Network{Internal: &no})},
		"IPv6 goes":                                    {first: full, then: func() Network { n := full; n.Subnet = n.Subnet[:1]; return n }(), diff: "ipv6: true → false"},
		"subnets in another order":                     {first: full, then: func() Network { n := full; n.Subnet = modules.OneOrMore{n.Subnet[1], n.Subnet[0]}; return n }()},
		"another subnet":                               {first: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}}), then: declares(Network{Subnet: modules.OneOrMore{"10.21.0.0/24"}}), diff: "subnet: 10.20.0.0/24 → 10.21.0.0/24"},
		"a subnet that is no longer declared":          {first: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}}), then: declares(Network{}), diff: "subnet: 10.20.0.0/24 → one that Docker chooses"},
		"a subnet that Docker has chosen":              {first: declares(Network{}), alter: func(n *api.Network) { n.IPAM.Config = bridge("", "172.18.0.0/16", "172.18.0.1").IPAM.Config }, then: declares(Network{})},
		"the gateway that there is without one":        {first: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}}), then: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}, Gateway: modules.OneOrMore{"10.20.0.1"}})},
		"addresses that are written in another way":    {first: declares(Network{Subnet: modules.OneOrMore{"FD00:20:0::/64"}, Gateway: modules.OneOrMore{"FD00:20::0009"}}), then: declares(Network{Subnet: modules.OneOrMore{"fd00:20::/64"}, Gateway: modules.OneOrMore{"fd00:20::9"}})},
		"a gateway of IPv6 that is no longer declared": {first: declares(Network{Subnet: modules.OneOrMore{"FD00:20:0::/64"}, Gateway: modules.OneOrMore{"FD00:20::0009"}}), then: declares(Network{Subnet: modules.OneOrMore{"fd00:20::/64"}}), diff: "gateway: fd00:20::9 → fd00:20::1"},
		"another gateway":                              {first: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}}), then: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}, Gateway: modules.OneOrMore{"10.20.0.254"}}), diff: "gateway: 10.20.0.1 → 10.20.0.254"},
		"a gateway that is no longer declared":         {first: full, then: func() Network { n := full; n.Gateway = nil; return n }(), diff: "gateway: 10.20.0.9 → 10.20.0.128"},
		"a range that is no longer declared":           {first: full, then: func() Network { n := full; n.IPRange = nil; return n }(), diff: "ip_range: 10.20.0.128/25 → all of 10.20.0.0/24"},
		"a subnet with bits of a host, by hand":        {first: declares(Network{}), alter: func(n *api.Network) { n.IPAM.Config = bridge("", "10.20.0.5/24", "").IPAM.Config }, then: declares(Network{Subnet: modules.OneOrMore{"10.20.0.0/24"}})},
		"another driver drops the options of this":     {first: declares(Network{Options: map[string]string{"mtu": "1400"}}), then: declares(Network{Driver: "macvlan", Options: map[string]string{"parent": "eth0"}}), diff: "driver: bridge → macvlan\noptions: + parent = eth0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &fakeDaemon{}
			h := fakeHost(t, d)
			made(t, h, mustPlan(t, h, &c.first))
			if c.alter != nil {
				c.alter(&d.networks[0])
			}
			changes := mustPlan(t, h, &c.then)
			want := ""
			if c.diff != "" {
				want = "delete network app\ncreate network app\n" + c.diff
			}
			if got := shows(changes); got != want {
				t.Fatalf("the plan is\n%s\nwant\n%s", got, want)
			}
			var effects []host.Effect
			for _, c := range changes {
				effects = append(effects, c.Effects()...)
			}
			if left := mustPlan(t, h, &c.then, effects...); len(left) > 0 {
				t.Errorf("on what its effects leave there is more to do:\n%s", shows(left))
			}
			made(t, h, changes)
			if left := mustPlan(t, h, &c.then); len(left) > 0 {
				t.Errorf("planned again there is more to do:\n%s", shows(left))
			}
		})
	}
}

func TestAllNetworksOfAHostAreOneRequest(t *testing.T) {
	d := &fakeDaemon{networks: []api.Network{bridge("one", "10.1.0.0/24", ""), bridge("two", "10.2.0.0/24", "")}}
	h := fakeHost(t, d)
	v := host.NewView(h, nil)
	for _, name := range []string{"one", "two", "one"} {
		if p, err := (&Network{Name: name, State: "present"}).Plan(context.Background(), v); err != nil || len(p.Changes) > 0 {
			t.Fatalf("%s: %v %v", name, p.Changes, err)
		}
	}
	if d.asked["GET /networks"] != 1 || d.asked["GET /containers/json"] != 0 {
		t.Errorf("three tasks that change nothing have asked %v", d.asked)
	}
}

func TestWhatANetworkIsRefusedFor(t *testing.T) {
	mine := bridge("app", "10.1.0.0/24", "")
	other := func(subnet string) *Network { return &Network{Name: "app", Subnet: modules.OneOrMore{subnet}} }
	for name, c := range map[string]struct {
		daemon  *fakeDaemon
		task    *Network
		effects []host.Effect
		says    string
	}{
		"removed while it is used":           {&fakeDaemon{networks: []api.Network{mine}, containers: []container.Summary{joined("web", "running", []string{"app"}), joined("old", "exited", []string{"app"}), joined("db", "running", []string{"bridge"})}}, &Network{Name: "app", State: "absent"}, nil, "can't be removed while containers belong to it: old (exited), web."},
		"made anew while it is used":         {&fakeDaemon{networks: []api.Network{mine}, containers: []container.Summary{joined("web", "running", []string{"app"})}}, other("10.9.0.0/24"), nil, "would have to be made anew (subnet: 10.1.0.0/24 → 10.9.0.0/24), since Docker can't alter one while containers belong to it: web."},
		"its subnet is in another":           {&fakeDaemon{networks: []api.Network{bridge("lan", "10.9.0.0/16", "")}}, other("10.9.7.0/24"), nil, "overlaps with 10.9.0.0/16 of the network lan"},
		"its subnet is around Docker's own":  {&fakeDaemon{networks: []api.Network{bridge("bridge", "172.17.0.0/16", "")}}, other("172.16.0.0/12"), nil, "overlaps with 172.17.0.0/16 of the network bridge"},
		"an earlier task takes the subnet":   {&fakeDaemon{}, other("10.9.7.0/24"), (&CreateNetwork{Network: networkSpec{Name: "new", Pools: []pool{{Subnet: netip.MustParsePrefix("10.9.0.0/16")}}}}).Effects(), "overlaps with 10.9.0.0/16 of the network new"},
		"there is no such driver":            {&fakeDaemon{}, &Network{Name: "app", Driver: "weave"}, nil, `the Docker daemon has no driver "weave" of networks`},
		"two have the name":                  {&fakeDaemon{networks: []api.Network{mine, mine}}, other("10.1.0.0/24"), nil, "there are two networks app"},
		"the daemon has no address left":     {&fakeDaemon{refuse: map[string]string{"GET /networks": "broken inside"}}, other("10.1.0.0/24"), nil, "asking Docker for its networks: broken inside"},
		"behind the engine":                  {&fakeDaemon{}, other("10.1.0.0/24"), []host.Effect{host.Open(host.Units, unit)}, host.ErrNotYet.Error()},
		"a container of it is made anew":     {&fakeDaemon{networks: []api.Network{mine}, containers: []container.Summary{joined("web", "running", []string{"app"})}}, &Network{Name: "app", State: "absent"}, []host.Effect{host.Open(containers, "web")}, host.ErrNotYet.Error()},
		"a container of it goes":             {&fakeDaemon{networks: []api.Network{mine}, containers: []container.Summary{joined("web", "running", []string{"app"})}}, &Network{Name: "app", State: "absent"}, []host.Effect{host.Gone(host.Key{Space: containers, Name: "web"})}, ""},
		"the other with that subnet goes":    {&fakeDaemon{networks: []api.Network{bridge("lan", "10.9.0.0/16", "")}}, other("10.9.7.0/24"), []host.Effect{host.Gone(host.Key{Space: networks, Name: "lan"})}, ""},
		"its own old subnet is a part of it": {&fakeDaemon{networks: []api.Network{mine}}, other("10.1.0.0/16"), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.task.State == "" {
				c.task.State = "present"
			}
			_, err := planned(t, fakeHost(t, c.daemon), c.task, c.effects...)
			if got := text(err); c.says == "" && err != nil || !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
		})
	}
}

// A subnet that the host is in, and one of a network of Docker's that it is in as well.
type routes struct{ list string }

func (r routes) Run(_ context.Context, c host.Command) (host.Output, error) {
	if c.Argv[0] != "ip" || c.Argv[1] == "-6" {
		return host.Output{Stdout: []byte("[]")}, nil
	}
	return host.Output{Stdout: []byte(r.list)}, nil
}

func TestANetworkDoesNotCutTheHostOff(t *testing.T) {
	for subnet, says := range map[string]string{
		"10.0.1.128/25": "overlaps with 10.0.1.0/24, which the host itself is in (eth0)",
		"10.0.0.0/8":    "overlaps with 10.0.1.0/24, which the host itself is in (eth0)",
		"10.9.0.0/24":   "", // its own, before it is made anew
		"192.0.2.0/24":  "", // behind a gateway
	} {
		h := fakeHost(t, &fakeDaemon{})
		h.Runner = routes{`[{"dst":"default","gateway":"10.0.1.1","dev":"eth0"},{"dst":"10.0.1.0/24","dev":"eth0"},{"dst":"10.9.0.0/24","dev":"br-1"},{"dst":"192.0.2.0/24","gateway":"10.0.1.1","dev":"eth0"}]`}
		task := &Network{Name: "app", State: "present", Subnet: modules.OneOrMore{subnet}}
		if _, err := planned(t, h, task); says == "" && err != nil || !strings.Contains(text(err), says) {
			t.Errorf("%s: %v, want %q", subnet, err, says)
		}
		task.Driver = "macvlan"
		if _, err := planned(t, h, task); err != nil {
			t.Errorf("%s by macvlan: %v", subnet, err)
		}
	}
}

func TestGatewaysThatDockerTellsWithAPrefix(t *testing.T) {
	h := fakeHost(t, &fakeDaemon{raw: map[string]string{"GET /networks": `[{"Name":"six","Id":"x","Driver":"bridge","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"fd00:9::/64","Gateway":"fd00:9::1/64"}]}}]`}})
	if left := mustPlan(t, h, &Network{Name: "six", State: "present", Gateway: nil, Subnet: modules.OneOrMore{"fd00:9::/64"}}); len(left) > 0 {
		t.Errorf("the plan is %s", shows(left))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestANetworkIsMadeOnceAndTakenBack(t *testing.T) {
	ctx := context.Background()
	d := &fakeDaemon{}
	h := fakeHost(t, d)
	var undo []host.Undo
	h.Undo = func(u host.Undo) error { undo = append(undo, u); return nil }
	task := &Network{Name: "app", State: "present", Subnet: modules.OneOrMore{"10.1.0.0/24"}, Labels: map[string]string{"a": "b"}}
	changes := mustPlan(t, h, task)
	made(t, h, changes)
	made(t, h, changes) // as after a cut
	if len(d.networks) != 1 || len(undo) != 1 {
		t.Fatalf("made twice: %v, %v", d.networks, undo)
	}
	undo = nil
	task.Labels = nil
	anew := mustPlan(t, h, task)
	made(t, h, anew[:1])
	d.refuse = map[string]string{"POST /networks/create": "Pool overlaps with other one on this address space"}
	if _, err := anew[1].Apply(ctx, h); err == nil || !strings.Contains(err.Error(), "another network has that subnet") {
		t.Errorf("the error is %v", err)
	}
	d.refuse = nil
	made(t, h, undo[0].Changes) // what takes the removal back
	if len(d.networks) != 1 || d.networks[0].Labels["a"] != "b" || d.networks[0].IPAM.Config[0].Subnet.String() != "10.1.0.0/24" {
		t.Errorf("what was put back is %+v", d.networks)
	}
	if _, err := anew[0].Apply(ctx, h); !errors.Is(err, host.ErrMoved) {
		t.Errorf("another network of the name is removed: %v", err)
	}
	if _, err := anew[1].Apply(ctx, h); !errors.Is(err, host.ErrMoved) {
		t.Errorf("a second network of the name is made: %v", err)
	}
	gone := mustPlan(t, h, &Network{Name: "app", State: "absent"})
	d.containers = []container.Summary{joined("web", "running", []string{"app"})}
	if _, err := gone[0].Apply(ctx, h); !errors.Is(err, host.ErrMoved) || !strings.Contains(err.Error(), "web") {
		t.Errorf("a container has joined meanwhile: %v", err)
	}
}

func TestArgumentsOfANetwork(t *testing.T) {
	no := false
	for want, n := range map[string]Network{
		"":                                      {Name: "app_1.x-y", Subnet: modules.OneOrMore{"10.1.0.0/24", "fd00::/64"}, Gateway: modules.OneOrMore{"10.1.0.1", "fd00::1"}, IPRange: modules.OneOrMore{"10.1.0.128/25"}},
		"name: Docker's own":                    {Name: "bridge"},
		"name: is no name":                      {Name: "a b"},
		"subnet: it needs the length":           {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0"}},
		"subnet[1]: is no subnet":               {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24", "10.300.0.0/24"}},
		"subnet: an address in the subnet":      {Name: "app", Subnet: modules.OneOrMore{"10.1.0.7/24"}},
		"subnet: has one subnet of IPv4":        {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24", "10.2.0.0/24"}},
		"subnet[1]: overlaps with":              {Name: "app", Driver: "macvlan", Subnet: modules.OneOrMore{"10.1.0.0/24", "10.1.0.0/16"}},
		"subnet: isn't for networks":            {Name: "app", Subnet: modules.OneOrMore{"127.0.0.0/8"}},
		"gateway: lies in none":                 {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24"}, Gateway: modules.OneOrMore{"10.2.0.1"}},
		"gateway: give it a subnet too":         {Name: "app", Gateway: modules.OneOrMore{"10.2.0.1"}},
		"gateway: the subnet 10.1.0.0/24 its":   {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24"}, Gateway: modules.OneOrMore{"10.1.0.0"}},
		"gateway[1]: has the gateway 10.1.0.1":  {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24"}, Gateway: modules.OneOrMore{"10.1.0.1", "10.1.0.2"}},
		"gateway: is no IP address":             {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24"}, Gateway: modules.OneOrMore{"10.1.0.1/24"}},
		"ip_range: lies in none":                {Name: "app", Subnet: modules.OneOrMore{"10.1.0.0/24"}, IPRange: modules.OneOrMore{"10.1.0.0/16"}},
		"ipv6: One of the subnets is IPv6":      {Name: "app", Subnet: modules.OneOrMore{"fd00::/64"}, IPv6: &no},
		`labels["muster.x"]: muster's own`:      {Name: "app", Labels: map[string]string{"muster.x": ""}},
		`options[""]: needs a name`:             {Name: "app", Options: map[string]string{"": "x"}},
		"driver: A network that is to be absen": {Name: "app", State: "absent", Driver: "bridge"},
		"driver: only one network":              {Name: "app", Driver: "host"},
	} {
		got := ""
		for _, e := range n.Check(func(string) bool { return false }) {
			got += e.Arg + e.Path + ": " + e.Detail + "\n"
		}
		at, part, _ := strings.Cut(want, ": ")
		if want == "" && got != "" || !strings.HasPrefix(got, at) || !strings.Contains(got, part) || strings.Count(got, "\n") > 1 {
			t.Errorf("%q says %q", want, got)
		}
	}
}
