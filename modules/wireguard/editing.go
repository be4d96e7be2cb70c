package wireguard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// state is an interface as a plan finds it.
type state struct {
	name   string
	there  bool   // it has a configuration, or is up
	text   string // the configuration's
	conf   *conf
	public string  // its public key, "" while that isn't known
	device *device // nil: it isn't up
}

// load reads an interface.
func load(ctx context.Context, v *host.View, name string) (*state, error) {
	s := &state{name: name}
	data, err := v.ReadFile(ctx, confPath(name), 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.text = string(data)
	s.conf = parse(name, s.text)
	if err := s.conf.foreign(); err != nil {
		return nil, err
	}
	if s.public, err = public(ctx, v, name); err != nil {
		return nil, err
	}
	if s.device, err = live(ctx, v, name, s.public); err != nil {
		return nil, err
	}
	s.there = s.text != "" || s.device != nil
	return s, nil
}

// editing plans what becomes of an interface. The interface that is up comes before its
// configuration: cut off between them, the next plan finds the one that is left.
type editing struct {
	*state
	v       *host.View
	before  []host.Change     // files of preshared keys that are to be read
	live    []host.Change     // what is done to the interface that is up
	after   []host.Change     // files that nothing reads any more
	restart bool              // wg-quick has to make the interface anew
	why     []string          // what for
	risk    bool              // who has logged in, or a host behind this one, may be cut off by it
	moved   map[string]string // new routes, with what is said of where they lead away from
	sums    map[string]string // of preshared keys that are given, by their files
}

// put plans that a peer is known as it is wanted. place is where its arguments stand.
func (e *editing) put(ctx context.Context, name string, w Peer, place func(string) (string, string)) error {
	if err := e.collides(name, w, place); err != nil {
		return err
	}
	var old string
	if s := e.conf.byName(name); s != nil {
		old = s.key()
	}
	e.conf.put(name, w)
	s := e.conf.byName(name)
	if w.PresharedKey != "" {
		changes, err := keep(ctx, e.v, pskPath(e.name, name), w.PresharedKey)
		if err != nil {
			return err
		}
		e.before = append(e.before, changes...)
		if e.sums == nil {
			e.sums = map[string]string{}
		}
		e.sums[pskPath(e.name, name)] = sumOf(w.PresharedKey)
	}
	if e.device == nil {
		return nil
	}
	if old != "" && old != w.PublicKey {
		e.forget(old)
	}
	want := e.conf.wants(func(path string) string { return e.shared(ctx, path) }).Peers[s.key()]
	now, known := e.device.Peers[w.PublicKey]
	if w.PresharedKey == "" && e.conf.shared(w.PublicKey) == "" {
		want.Shared = now.Shared
	}
	if w.Keepalive == nil && s.first("PersistentKeepalive") == "" {
		want.Keepalive = now.Keepalive
	}
	e.set(name, s, now, want, known)
	return nil
}

// shared is the sum of the preshared key in a file, as it will be.
func (e *editing) shared(ctx context.Context, path string) string {
	if sum, given := e.sums[path]; given {
		return sum
	}
	data, err := e.v.ReadFile(ctx, path, 4096)
	if err != nil {
		return ""
	}
	return sumOf(string(data))
}

// set plans that the interface that is up knows a peer.
func (e *editing) set(name string, s *section, now, want peer, known bool) {
	endpoint := s.first("Endpoint")
	// Where the peer is found by now counts more than where it was first looked for,
	// unless that is changed.
	move := endpoint != "" && (!now.Endpoint || endpoint != e.stood(s.key()))
	lines := changedPeer(now, want)
	gone := e.leftover(now, want, s.key())
	routes := e.missing(want, gone)
	want.Endpoint = now.Endpoint || endpoint != ""
	if move {
		lines = append(lines, "endpoint: "+endpoint)
	}
	if known && len(lines) == 0 && len(routes) == 0 {
		return
	}
	argv := []string{wg, "set", e.name, "peer", s.key(), "allowed-ips", strings.Join(want.AllowedIPs, ",")}
	argv = append(argv, "persistent-keepalive", strconv.Itoa(want.Keepalive))
	if move {
		argv = append(argv, "endpoint", endpoint)
	}
	if path := e.conf.shared(s.key()); path != "" && now.Shared != want.Shared {
		argv = append(argv, "preshared-key", path)
	}
	action := host.Create
	if known {
		action = host.Update
	}
	e.unroute(gone, s.key())
	e.device = e.device.clone()
	e.device.Peers[s.key()] = want
	if !known || len(lines) > 0 {
		e.run(host.Description{Action: action, Target: "peer " + name + " of " + e.name, Diff: strings.Join(lines, "\n")}, argv...)
	}
	e.route(routes)
}

// route plans routes to the interface, and to no network that the host has a route to: that
// one would be another's.
func (e *editing) route(list []string) {
	for _, n := range list {
		e.device = e.device.clone()
		e.device.Routes = sorted(append(e.device.Routes, n))
		e.run(host.Description{Action: host.Create, Target: e.routeTo(n)}, "ip", "route", "add", n, "dev", e.name)
	}
}

// routeTo is what plans call a route of the interface's.
func (e *editing) routeTo(n string) string { return "route " + n + " to " + e.name }

// stood is the endpoint that the configuration gave a peer before.
func (e *editing) stood(key string) string {
	if s := parse(e.name, e.text).byKey(key); s != nil {
		return s.first("Endpoint")
	}
	return ""
}

// missing are the networks of a peer that no route of the interface leads to, once those in
// gone aren't there, as wg-quick would make them.
func (e *editing) missing(p peer, gone []string) (list []string) {
	if e.conf.off() {
		return nil
	}
	left := e.device.clone()
	left.Routes = slices.DeleteFunc(left.Routes, func(r string) bool { return slices.Contains(gone, r) })
	for _, n := range p.AllowedIPs {
		if !strings.HasSuffix(n, "/0") && !left.reaches(n) {
			list = append(list, n)
		}
	}
	return list
}

// leftover are the routes that were made for networks that a peer is to lose.
func (e *editing) leftover(now, want peer, key string) (list []string) {
	if e.conf.off() {
		return nil
	}
	for _, n := range now.AllowedIPs {
		if slices.Contains(want.AllowedIPs, n) || !slices.Contains(e.device.Routes, n) || slices.Contains(networks(e.device.Addresses), n) {
			continue
		}
		others := false
		for k, p := range e.device.Peers {
			others = others || k != key && slices.Contains(p.AllowedIPs, n)
		}
		if !others {
			list = append(list, n)
		}
	}
	return list
}

// unroute plans that routes of a peer go. The peer goes after them: cut off between the two,
// the next plan finds it. What other peers have been reached by them for gets routes of its own
// first.
func (e *editing) unroute(list []string, key string) {
	for _, other := range sortedKeys(e.device.Peers) {
		if other != key && len(list) > 0 {
			e.route(e.missing(e.device.Peers[other], list))
		}
	}
	for _, n := range list {
		e.device = e.device.clone()
		e.device.Routes = slices.DeleteFunc(e.device.Routes, func(r string) bool { return r == n })
		e.run(host.Description{Action: host.Delete, Target: e.routeTo(n)}, "ip", "route", "delete", n, "dev", e.name)
	}
}

// remove plans that a peer is forgotten.
func (e *editing) remove(s *section) error {
	e.forget(s.key())
	if path := e.conf.shared(s.key()); path != "" {
		gone, err := drop(e.v, path)
		if err != nil {
			return err
		}
		e.after = append(e.after, gone...)
	}
	e.conf.remove(s)
	return nil
}

// forget plans that the interface that is up doesn't know a key.
func (e *editing) forget(key string) {
	if e.device == nil {
		return
	}
	now, known := e.device.Peers[key]
	if !known {
		return
	}
	called := key
	if s := parse(e.name, e.text).byKey(key); s != nil && s.title() != "" {
		called = s.title() + " (" + key + ")"
	}
	d := host.Description{Action: host.Delete, Target: "peer " + called + " of " + e.name}
	if now.spoken {
		d.Impact = "ends its session"
	}
	gone := e.leftover(now, peer{}, key)
	e.unroute(gone, key)
	e.device = e.device.clone()
	delete(e.device.Peers, key)
	e.run(d, wg, "set", e.name, "peer", key, "remove")
}

// run plans a program that brings the interface to e.device.
func (e *editing) run(does host.Description, argv ...string) {
	e.live = append(e.live, &host.RunProgram{Argv: argv, Does: does, Leaves: []host.Effect{host.Is(deviceKey(e.name), e.device)}})
}

// written plans the configuration.
func (e *editing) written(ctx context.Context) ([]host.Change, error) {
	return rewrite(ctx, e.v, e.name, func(string) (string, error) { return e.conf.String(), nil })
}

// collides finds another peer with the same key, or one of the same networks.
func (e *editing) collides(name string, w Peer, place func(string) (string, string)) error {
	clash := func(arg, format string, a ...any) error {
		at, path := place(arg)
		return modules.ArgError{Arg: at, Path: path, Summary: "Duplicate of another peer", Detail: fmt.Sprintf(format, a...)}
	}
	if w.PublicKey == e.public && e.public != "" {
		return clash("public_key", "%s is the public key of %s itself: give the one of the other end.", w.PublicKey, e.name)
	}
	mine := ""
	if s := e.conf.byName(name); s != nil {
		mine = s.key()
	}
	seen := map[string]bool{w.PublicKey: true, mine: true}
	for _, s := range e.conf.peers() {
		if s.key() == w.PublicKey && s.title() != name && s.title() != "" {
			return clash("public_key", "The key %s is the one of %s: take that out in an earlier task, with state = \"absent\", or give the key of another.", w.PublicKey, s.called())
		}
		if s.title() == name || s.key() == w.PublicKey {
			continue
		}
		seen[s.key()] = true
		if n := common(s.get("AllowedIPs"), w.AllowedIPs); n != "" {
			return clash("allowed_ips", "%s belongs to %s of %s already: a network leads to one peer alone. Take it from that one in an earlier task.", n, s.called(), e.name)
		}
	}
	if e.device == nil {
		return nil
	}
	for _, key := range sortedKeys(e.device.Peers) {
		if n := common(e.device.Peers[key].AllowedIPs, w.AllowedIPs); n != "" && !seen[key] {
			return clash("allowed_ips", "%s belongs to the peer %s, which %s knows and its configuration doesn't: a network leads to one peer alone. Remove that peer first: wg set %s peer %s remove.", n, key, e.name, e.name, key)
		}
	}
	return nil
}

// common is a network that stands in both lists, "" for none.
func common(a, b []string) string {
	have := networks(a)
	for _, n := range networks(b) {
		if slices.Contains(have, n) {
			return n
		}
	}
	return ""
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
