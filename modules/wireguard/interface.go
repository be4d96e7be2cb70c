package wireguard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/systemd"
)

// Interface is an interface of WireGuard's, an end of a VPN, up and brought up at boot by
// wg-quick. The kernel's WireGuard is used, or wireguard-go where the kernel has none.
//
// Its private key is made on the host, in /etc/wireguard/NAME.key, and never leaves it; the
// output tells the public one. What can be changed in the interface that is up is changed
// there, so that no session ends. Where it has to be made anew the plan says so; that
// stands only if a new login to the host succeeds then, through the tunnel too, where
// that is the way.
type Interface struct {
	// The interface: "wg0".
	Name string `arg:"name,key,required"`
	// Its own addresses with their lengths: "10.9.0.1/24".
	Address modules.OneOrMore `arg:"address"`
	// The UDP port that it listens on.
	Listen *int `arg:"listen" means:"one that is free"`
	// The size of the largest packet, in bytes.
	MTU *int `arg:"mtu" means:"what wg-quick finds out"`
	// Its peers, all of them, by name: others go. Not given, they are left alone, for tasks
	// of the kind wireguard_peer.
	Peers map[string]Peer `arg:"peers"`
	// "absent" ends it and removes its configuration and its keys.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// InterfaceOutput is what a task of an interface offers.
type InterfaceOutput struct {
	// Its public key, which the other ends need.
	PublicKey string `json:"public_key"`
	// The port that it listens on.
	Port int `json:"port"`
}

// Check refuses what WireGuard wouldn't take.
func (w *Interface) Check(unknown func(string) bool) []modules.ArgError {
	var found problems
	if !unknown("name") {
		found.name("name", w.Name)
	}
	for i, a := range w.Address {
		if _, err := netip.ParsePrefix(a); err != nil && !unknown("address") {
			found.wrong("address", fmt.Sprintf("[%d]", i), `%q is no address of an interface: it takes one with its length, such as "10.9.0.1/24".`, a)
		}
	}
	if w.Listen != nil && (*w.Listen < 1 || *w.Listen > 65535) {
		found.wrong("listen", "", "%d is no port: it takes 1 to 65535.", *w.Listen)
	}
	if w.MTU != nil && (*w.MTU < 576 || *w.MTU > 65535) {
		found.wrong("mtu", "", "%d is out of range: it takes 576 to 65535 bytes.", *w.MTU)
	}
	keys, nets := map[string]string{}, map[string]string{}
	for _, name := range sortedKeys(w.Peers) {
		p := w.Peers[name]
		found.peer(name, p, placed(name))
		if other, taken := keys[p.PublicKey]; taken && p.PublicKey != "" {
			found.wrong("peers", fmt.Sprintf("[%q].public_key", name), "It is the key of the peer %s, too: each end has its own.", other)
		}
		keys[p.PublicKey] = name
		for _, n := range networks(p.AllowedIPs) {
			if other, taken := nets[n]; taken {
				found.wrong("peers", fmt.Sprintf("[%q].allowed_ips", name), "%s belongs to the peer %s, too: a network leads to one peer alone.", n, other)
			}
			nets[n] = name
		}
	}
	if w.State == "absent" && (len(w.Address) > 0 || len(w.Peers) > 0) {
		found = append(found, modules.ArgError{Arg: "state", Summary: "Conflicting arguments", Detail: "An interface that is to be absent has neither addresses nor peers."})
	}
	return found
}

// placed is where an argument of one of peers stands.
func placed(name string) func(string) (string, string) {
	return func(arg string) (string, string) { return "peers", fmt.Sprintf("[%q].%s", name, arg) }
}

// May is the interface, its files and its unit.
func (w *Interface) May() []host.Effect {
	if w.Name == "" {
		return []host.Effect{host.Open("wireguard", ""), host.Open(host.Files, ""), host.Open(host.Units, "")}
	}
	effects := []host.Effect{host.Open("wireguard", w.Name), host.Open(host.Files, folder), host.Open(host.Files, confPath(w.Name)), host.Open(host.Files, keyPath(w.Name)), host.Open(host.Units, unitOf(w.Name)), host.Open(host.Files, socketPath(w.Name)), host.Begins(host.Files, "/run/wireguard")}
	for _, name := range sortedKeys(w.Peers) {
		effects = append(effects, host.Open(host.Files, pskPath(w.Name, name)))
	}
	return effects
}

// Withhold shows the diffs: what is sensitive is in none.
func (w *Interface) Withhold(diff string, sensitive []string) (string, bool) {
	if w.Peers != nil {
		sensitive = slices.DeleteFunc(slices.Clone(sensitive), func(arg string) bool { return arg == "peers" })
	}
	return withhold(diff, sensitive)
}

// Plan compares the interface that is up, and what makes it at boot.
func (w *Interface) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if w.State == "absent" {
		return w.remove(ctx, v)
	}
	if err := tools(v); err != nil {
		return plan, err
	}
	now, err := load(ctx, v, w.Name)
	if err != nil {
		return plan, err
	}
	e, was := &editing{state: now, v: v}, now.device
	made, err := w.key(v)
	if err != nil {
		return plan, err
	}
	w.own(e)
	if err := w.peers(ctx, e); err != nil {
		return plan, err
	}
	e.restart = e.restart || was == nil
	if plan, err = e.made(ctx, was, w.blame); err != nil {
		return modules.Plan{}, err
	}
	if plan.Probation != nil {
		plan.Probation.Changes += len(made)
	}
	plan.Changes = slices.Concat(made, plan.Changes)
	enable, err := systemd.Enable(ctx, v, unitOf(w.Name))
	if err != nil {
		return modules.Plan{}, fmt.Errorf("%s can't be enabled, so that nothing would bring %s up at boot: %w", unitOf(w.Name), w.Name, err)
	}
	plan.Changes = append(plan.Changes, enable...)
	if len(plan.Changes) == 0 {
		plan.Output, err = json.Marshal(InterfaceOutput{PublicKey: now.public, Port: now.device.Port})
	}
	return plan, err
}

// blame is where a network stands among the arguments.
func (w *Interface) blame(n string) (modules.ArgError, bool) {
	for i, a := range w.Address {
		if slices.Contains(networks([]string{a}), n) {
			return modules.ArgError{Arg: "address", Path: fmt.Sprintf("[%d]", i)}, false
		}
	}
	for _, name := range sortedKeys(w.Peers) {
		if slices.Contains(networks(w.Peers[name].AllowedIPs), n) {
			arg, path := placed(name)("allowed_ips")
			return modules.ArgError{Arg: arg, Path: path}, w.Peers[name].Reroute
		}
	}
	return modules.ArgError{}, false
}

// key plans the private key's file.
func (w *Interface) key(v *host.View) ([]host.Change, error) {
	var changes []host.Change
	in, err := v.Stat(folder)
	if err != nil {
		return nil, err
	}
	if !in.Exists() {
		mode := host.Mode(0o700)
		changes = append(changes, &host.MakeDir{Path: folder, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
	}
	path := keyPath(w.Name)
	info, err := v.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Exists():
		return append(changes, &MakeKey{Path: path}), nil
	case info.Type != host.Regular:
		return nil, fmt.Errorf("%s is a %s, and has to be a file with the private key: remove it", path, info.Type)
	case info.Mode&0o077 != 0:
		after, mode := info, info.Mode&0o600
		after.Mode = mode
		changes = append(changes, &host.SetAttr{Path: path, Attr: host.Attr{Mode: &mode}, Before: info, After: after})
	}
	return changes, nil
}

// own plans what is the interface's own.
func (w *Interface) own(e *editing) {
	s := e.conf.own()
	anew := func(format string, a ...any) {
		if e.device != nil {
			e.restart, e.why = true, append(e.why, fmt.Sprintf(format, a...))
		}
	}
	if w.Address != nil {
		var list []string
		for _, a := range w.Address {
			list = append(list, address(a))
		}
		s.set("Address", list...)
		if e.device != nil && !slices.Equal(e.device.Addresses, sorted(list)) {
			anew("its addresses are %s → %s", strings.Join(e.device.Addresses, ", "), strings.Join(sorted(list), ", "))
		}
	}
	if w.MTU != nil {
		s.set("MTU", strconv.Itoa(*w.MTU))
		if e.device != nil && e.device.MTU != *w.MTU {
			anew("its MTU is %d → %d", e.device.MTU, *w.MTU)
		}
	}
	if w.Listen != nil {
		s.set("ListenPort", strconv.Itoa(*w.Listen))
	}
	if !slices.ContainsFunc(s.lines, func(line string) bool { return strings.TrimSpace(line) == keyHook(e.name) }) {
		s.lines = slices.Insert(s.lines, s.end(), keyHook(e.name))
	}
	if e.device == nil || e.restart {
		return
	}
	if !e.device.Keyed {
		e.device = e.device.clone()
		e.device.Keyed = true
		e.run(host.Description{Action: host.Update, Target: e.name, Diff: "private_key: as " + keyPath(e.name) + " has it", Impact: "peers that know its former public key are cut off"},
			wg, "set", e.name, "private-key", keyPath(e.name))
	}
	if w.Listen != nil && e.device.Port != *w.Listen {
		d := host.Description{Action: host.Update, Target: e.name, Diff: fmt.Sprintf("listen: %d → %d", e.device.Port, *w.Listen), Impact: "peers that look for it at the old port find it once it sends to them"}
		e.device = e.device.clone()
		e.device.Port = *w.Listen
		e.run(d, wg, "set", e.name, "listen-port", strconv.Itoa(*w.Listen))
	}
}

// peers plans that the peers are these, if any are given.
func (w *Interface) peers(ctx context.Context, e *editing) error {
	if w.Peers == nil {
		return nil
	}
	names := sortedKeys(w.Peers)
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[w.Peers[name].PublicKey] = true
	}
	// Those that go first: what is theirs may be another's by then.
	for _, s := range e.conf.peers() {
		if _, stays := w.Peers[s.title()]; !stays && (s.title() != "" || !wanted[s.key()]) {
			if err := e.remove(s); err != nil {
				return err
			}
		}
	}
	if e.device != nil {
		for _, key := range sortedKeys(e.device.Peers) {
			if !wanted[key] {
				e.forget(key)
			}
		}
	}
	// A network that goes from one peer to the other is free first.
	for _, name := range names {
		if s := e.conf.byName(name); s != nil {
			stays := slices.DeleteFunc(networks(s.get("AllowedIPs")), func(n string) bool { return !slices.Contains(networks(w.Peers[name].AllowedIPs), n) })
			s.set("AllowedIPs", stays...)
		}
	}
	for _, name := range names {
		if err := e.put(ctx, name, w.Peers[name], placed(name)); err != nil {
			return err
		}
	}
	return nil
}
