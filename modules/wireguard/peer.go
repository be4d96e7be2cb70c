package wireguard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Peer is one end that an interface talks to. What isn't given stays.
type Peer struct {
	// Its public key. Another one than before takes the old one's place.
	PublicKey string `arg:"public_key,required"`
	// The addresses that it may send from and that are sent to it, all of them:
	// "10.9.0.2/32". A network has no bits behind its length.
	AllowedIPs modules.OneOrMore `arg:"allowed_ips,required"`
	// Where it is first looked for: "vpn.example.com:51820". Where it has moved to since
	// counts more; that is no difference.
	Endpoint string `arg:"endpoint"`
	// After how many seconds without traffic a packet is sent, so that a NAT on the way
	// remembers the connection; 0 for never.
	Keepalive *int `arg:"keepalive"`
	// A key that both ends share besides, as wg genpsk makes it. It stands in a file of
	// its own.
	PresharedKey string `arg:"preshared_key,sensitive,single"`
	// Whether its addresses may be some that are reached another way by now: those of another
	// interface's network, a gateway, or where muster's login comes from. Else that is an error.
	Reroute bool `arg:"reroute"`
}

// PeerTask is a peer of an interface of WireGuard's; the interface's others are left alone. It
// is known at once, and at boot; nobody else's session is disturbed.
//
// Two peers with one key, or with one network among their allowed_ips, are an error: the
// kernel would take it from one and give it to the other.
type PeerTask struct {
	// The peer's name, which only the configuration's comment holds.
	Name string `arg:"name,key,required"`
	// The interface, which a task of the kind wireguard makes.
	Interface string `arg:"interface" default:"wg0"`
	// Its public key. Another one than before takes the old one's place.
	PublicKey string `arg:"public_key"`
	// The addresses that it may send from and that are sent to it, all of them:
	// "10.9.0.2/32". A network has no bits behind its length.
	AllowedIPs modules.OneOrMore `arg:"allowed_ips"`
	// Where it is first looked for: "vpn.example.com:51820". Where it has moved to since
	// counts more; that is no difference.
	Endpoint string `arg:"endpoint"`
	// After how many seconds without traffic a packet is sent, so that a NAT on the way
	// remembers the connection; 0 for never.
	Keepalive *int `arg:"keepalive"`
	// A key that both ends share besides, as wg genpsk makes it. It stands in a file of
	// its own.
	PresharedKey string `arg:"preshared_key,sensitive,single"`
	// Whether its addresses may be some that are reached another way by now: those of another
	// interface's network, a gateway, or where muster's login comes from. Else that is an error.
	Reroute bool `arg:"reroute"`
	// "absent" ends the peer's session and forgets it.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

func (p *PeerTask) peer() Peer {
	return Peer{p.PublicKey, p.AllowedIPs, p.Endpoint, p.Keepalive, p.PresharedKey, p.Reroute}
}

// Check refuses what WireGuard wouldn't take.
func (p *PeerTask) Check(unknown func(string) bool) []modules.ArgError {
	var found problems
	if !unknown("interface") {
		found.name("interface", p.Interface)
	}
	name := p.Name
	if unknown("name") {
		name = "unknown"
	}
	found.peer(name, p.peer(), func(arg string) (string, string) { return arg, "" })
	missing := func(arg, detail string) {
		found = append(found, modules.ArgError{Arg: arg, Summary: "Missing argument", Detail: detail})
	}
	if p.State != "absent" && !unknown("state") {
		if p.PublicKey == "" && !unknown("public_key") {
			missing("public_key", "A peer needs its public_key.")
		}
		if len(p.AllowedIPs) == 0 && !unknown("allowed_ips") {
			missing("allowed_ips", "A peer needs the addresses that are its own: allowed_ips.")
		}
	}
	return found
}

// May is the interface and its files.
func (p *PeerTask) May() []host.Effect {
	if p.Interface == "" || p.Name == "" {
		return []host.Effect{host.Open("wireguard", p.Interface), host.Open(host.Files, "")}
	}
	return []host.Effect{host.Open("wireguard", p.Interface), host.Open(host.Files, confPath(p.Interface)), host.Open(host.Files, pskPath(p.Interface, p.Name)),
		host.Open(host.Units, unitOf(p.Interface)), host.Open(host.Files, socketPath(p.Interface)), host.Begins(host.Files, "/run/wireguard")}
}

// Withhold shows the diffs: what is sensitive is in none.
func (p *PeerTask) Withhold(diff string, sensitive []string) (string, bool) {
	return withhold(diff, sensitive)
}

// withhold knows that diffs hold no preshared key. Of what else is sensitive nothing is
// told.
func withhold(diff string, sensitive []string) (string, bool) {
	for _, arg := range sensitive {
		if arg != "preshared_key" {
			return "", false
		}
	}
	return diff, true
}

// Plan compares the peer in the interface and in what is read at boot.
func (p *PeerTask) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if err := tools(v); err != nil {
		return plan, err
	}
	now, err := load(ctx, v, p.Interface)
	if err != nil {
		return plan, err
	}
	if !now.there {
		if p.State == "absent" {
			return plan, nil
		}
		return plan, fmt.Errorf(`there is no interface %[1]s: make it in an earlier task, task "wireguard" %[1]q`, p.Interface)
	}
	e, was := &editing{state: now, v: v}, now.device
	if p.State == "absent" {
		if s := now.conf.byName(p.Name); s != nil {
			err = e.remove(s)
		} else if s := now.conf.byKey(p.PublicKey); s != nil && p.PublicKey != "" {
			err = e.remove(s)
		} else if p.PublicKey != "" {
			e.forget(p.PublicKey)
		}
	} else {
		err = e.put(ctx, p.Name, p.peer(), func(arg string) (string, string) { return arg, "" })
	}
	if err != nil {
		return plan, err
	}
	return e.made(ctx, was, func(n string) (modules.ArgError, bool) {
		if slices.Contains(networks(p.AllowedIPs), n) {
			return modules.ArgError{Arg: "allowed_ips"}, p.Reroute
		}
		return modules.ArgError{}, false
	})
}

// changedPeer are the lines that tell two states of a peer apart.
func changedPeer(old, want peer) (lines []string) {
	line := func(name, old, want string) {
		if old != want {
			lines = append(lines, name+": "+old+" → "+want)
		}
	}
	list := func(l []string) string {
		if len(l) == 0 {
			return "none"
		}
		return strings.Join(l, ", ")
	}
	line("allowed_ips", list(old.AllowedIPs), list(want.AllowedIPs))
	line("keepalive", strconv.Itoa(old.Keepalive), strconv.Itoa(want.Keepalive))
	if old.Shared != want.Shared {
		lines = append(lines, "preshared_key: set")
	}
	return lines
}
