// Package wireguard has the kinds that make a host an end of a VPN: interfaces of
// WireGuard and the peers that they know.
//
// An interface is what wg-quick(8) makes of /etc/wireguard/NAME.conf. Its private key is
// made on the host and stands in a file of its own, NAME.key, as preshared keys do; the
// configuration has wg read them. So it can be shown, and the private key is nowhere but
// there: no plan, journal or program's arguments hold it.
package wireguard

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "wireguard", Output: InterfaceOutput{}, New: func() modules.Module { return &Interface{} }},
		{Name: "wireguard_peer", New: func() modules.Module { return &PeerTask{} }},
	}
}

const (
	wg     = "/usr/bin/wg"
	quick  = "/usr/bin/wg-quick"
	folder = "/etc/wireguard"
)

// nameForm is what wg-quick takes for the name of an interface.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

func confPath(name string) string { return folder + "/" + name + ".conf" }
func keyPath(name string) string  { return folder + "/" + name + ".key" }

// pskPath is where the key that an interface shares with a peer stands.
func pskPath(name, peer string) string { return folder + "/" + name + ".psk-" + peer }

func unitOf(name string) string { return "wg-quick@" + name + ".service" }

// socketPath is where wireguard-go is talked to.
func socketPath(name string) string { return "/run/wireguard/" + name + ".sock" }

func deviceKey(name string) host.Key { return host.Key{Space: "wireguard", Name: name} }

// tools returns an error where the host has no WireGuard's tools.
func tools(v *host.View) error {
	if !host.IsRoot() {
		return errors.New(`only root can look at WireGuard's interfaces: give the task "become = true"`)
	}
	for _, path := range []string{wg, quick} {
		switch info, err := v.Stat(path); {
		case err != nil:
			return err
		case !info.Exists():
			return fmt.Errorf(`there is no %s on this host: install it in an earlier task, task "package" "wireguard-tools" {}`, path)
		}
	}
	return nil
}

// problems collects what Check finds.
type problems []modules.ArgError

func (p *problems) wrong(arg, path, format string, a ...any) {
	*p = append(*p, modules.ArgError{Arg: arg, Path: path, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)})
}

func (p *problems) name(arg, name string) {
	if !nameForm.MatchString(name) {
		p.wrong(arg, "", `%q can't be an interface: it takes 1 to 15 letters, digits and _=+.-, such as "wg0".`, name)
	}
}

// peerForm is what the file of a preshared key can be named after.
var peerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}$`)

// peer finds what is wrong with a peer; at is where in arg it stands.
func (p *problems) peer(name string, w Peer, place func(arg string) (string, string)) {
	wrong := func(arg, format string, a ...any) {
		at, path := place(arg)
		p.wrong(at, path, format, a...)
	}
	if !peerForm.MatchString(name) {
		wrong("name", `%q can't name a peer: it takes letters, digits and _.@+-, and 64 of them at most.`, name)
	}
	if w.PublicKey != "" && !keyForm(w.PublicKey) {
		wrong("public_key", "%q is no key: it takes what wg pubkey prints, 44 characters that end in \"=\".", w.PublicKey)
	}
	if w.PresharedKey != "" && !keyForm(w.PresharedKey) {
		wrong("preshared_key", `It is no key: it takes what "wg genpsk" prints, 44 characters that end in "=".`)
	}
	for _, a := range w.AllowedIPs {
		n, err := network(a)
		if err != nil {
			wrong("allowed_ips", `%q is no network: it takes an address, or one with its length, such as "10.9.0.2/32".`, a)
		} else if p, err := netip.ParsePrefix(a); err == nil && p != n {
			host := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			wrong("allowed_ips", `%q has bits behind its length: the network is "%s", and the one address "%s".`, a, n, host)
		}
	}
	if w.Endpoint != "" && !endpointForm.MatchString(w.Endpoint) {
		wrong("endpoint", `%q is no endpoint: it takes a host and a port, such as "vpn.example.com:51820" or "[2001:db8::1]:51820".`, w.Endpoint)
	}
	if w.Keepalive != nil && (*w.Keepalive < 0 || *w.Keepalive > 65535) {
		wrong("keepalive", "%d is out of range: it takes seconds, 0 (off) to 65535.", *w.Keepalive)
	}
}

var endpointForm = regexp.MustCompile(`^(\[[0-9a-fA-F:.%a-z]+\]|[A-Za-z0-9][A-Za-z0-9_.-]*):[0-9]{1,5}$`)

// network returns a network as WireGuard has it: without the bits behind its length.
func network(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// networks are those of a list in the order of their text, each once. What is none is
// left out.
func networks(list []string) []string {
	var all []string
	for _, text := range list {
		if p, err := network(text); err == nil {
			all = append(all, p.String())
		}
	}
	return sorted(all)
}

// rewrite plans the configuration; a new one is root's alone.
func rewrite(ctx context.Context, v *host.View, name string, edit func(old string) (string, error)) ([]host.Change, error) {
	changes, err := v.Rewrite(ctx, confPath(name), edit)
	for _, c := range changes {
		if w := c.(*host.WriteFile); !w.Before.Exists() {
			private(w)
		}
	}
	return changes, err
}

func private(w *host.WriteFile) {
	mode := host.Mode(0o600)
	w.Attr.Mode, w.After.Mode = &mode, mode
}

// keep plans that a preshared key stands in its file.
func keep(ctx context.Context, v *host.View, path, key string) ([]host.Change, error) {
	changes, err := v.Rewrite(ctx, path, func(string) (string, error) { return key + "\n", nil })
	for _, c := range changes {
		w := c.(*host.WriteFile)
		private(w)
		w.Content.Sensitive, w.After.Sensitive, w.Diff = true, true, "(sensitive content)"
	}
	return changes, err
}

// drop plans that nothing stands at path.
func drop(v *host.View, path string) ([]host.Change, error) {
	info, err := v.Lstat(path)
	if err != nil || !info.Exists() {
		return nil, err
	}
	return []host.Change{&host.Remove{Path: path, Before: info}}, nil
}
