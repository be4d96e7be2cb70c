package wireguard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// device is an interface that is up, as far as muster looks after it.
type device struct {
	Port      int      `json:"port,omitempty"`
	Keyed     bool     `json:"keyed"` // its private key is the one of the file
	MTU       int      `json:"mtu,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Routes    []string `json:"routes,omitempty"`
	// Everything are the families, "0.0.0.0/0" and "::/0", of which all addresses lead to it,
	// by rules that wg-quick makes.
	Everything []string        `json:"everything,omitempty"`
	Peers      map[string]peer `json:"peers,omitempty"` // by public key
	mark       string          // what its own packets are marked with, "off" for nothing
}

// peer is what a device knows of one.
type peer struct {
	AllowedIPs []string `json:"allowed_ips,omitempty"`
	Shared     string   `json:"shared,omitempty"` // the sum of the preshared key
	Keepalive  int      `json:"keepalive,omitempty"`
	Endpoint   bool     `json:"endpoint,omitempty"` // it has one, which it may have moved to
	spoken     bool     // there was a handshake
}

func (d *device) clone() *device {
	c := *d
	c.Peers = maps.Clone(d.Peers)
	if c.Peers == nil {
		c.Peers = map[string]peer{}
	}
	c.Routes = slices.Clone(d.Routes)
	return &c
}

// reaches reports whether packets to a network go through the device.
func (d *device) reaches(to string) bool {
	n := netip.MustParsePrefix(to)
	return slices.ContainsFunc(d.Routes, func(route string) bool {
		r, err := netip.ParsePrefix(route)
		return err == nil && r.Bits() <= n.Bits() && r.Contains(n.Addr())
	})
}

// sessions is how many peers it has spoken with.
func (d *device) sessions() (n int) {
	for _, p := range d.Peers {
		if p.spoken {
			n++
		}
	}
	return n
}

// live returns the device of a name, nil where none is up; own is its public key, "" where
// that isn't known.
func live(ctx context.Context, v *host.View, name, own string) (*device, error) {
	return host.Read(v, deviceKey(name), func() (*device, error) {
		run := func(argv ...string) (host.Output, error) { return v.Query(ctx, host.Command{Argv: argv}) }
		links, err := run("ip", "-j", "address", "show", "dev", name)
		switch {
		case err != nil:
			return nil, err
		case links.ExitCode != 0 && strings.Contains(string(links.Stderr), "does not exist"):
			return nil, nil
		case links.ExitCode != 0:
			return nil, fmt.Errorf("looking at %s: %s", name, strings.TrimSpace(string(links.Stderr)))
		}
		// Where the kernel has no WireGuard, wg says "Protocol not supported".
		dump, err := run(wg, "show", name, "dump")
		if err != nil {
			return nil, err
		}
		if dump.ExitCode != 0 {
			return nil, fmt.Errorf("%s is there, and wg doesn't take it for an interface of WireGuard's: choose another name, or remove it with ip link delete %s (wg says: %s)", name, name, strings.TrimSpace(string(dump.Stderr)))
		}
		d, err := readDump(string(dump.Stdout), own)
		if err == nil {
			err = d.readAddresses(links.Stdout)
		}
		for flag, every := range map[string]string{"-4": "0.0.0.0/0", "-6": "::/0"} {
			if err == nil {
				var shown host.Output
				if shown, err = run("ip", "-j", flag, "route", "show", "table", "all", "dev", name); err == nil {
					err = d.readRoutes(shown.Stdout, every)
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		}
		d.Addresses, d.Routes, d.Everything = sorted(d.Addresses), sorted(d.Routes), sorted(d.Everything)
		return d, nil
	})
}

// readDump reads what "wg show NAME dump" prints: wg(8). Nothing secret of it is kept.
func readDump(text, own string) (*device, error) {
	d := &device{Peers: map[string]peer{}}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Split(line, "\t")
		switch {
		case i == 0 && len(f) == 4:
			d.Keyed = own == "" || f[1] == own
			d.Port, _ = strconv.Atoi(f[2])
			d.mark = f[3]
		case i > 0 && len(f) == 8:
			p := peer{Shared: sumOf(f[1]), Endpoint: f[2] != "(none)", spoken: f[4] != "0"}
			if f[3] != "(none)" {
				p.AllowedIPs = networks(strings.Split(f[3], ","))
			}
			p.Keepalive, _ = strconv.Atoi(f[7]) // or "off"
			d.Peers[f[0]] = p
		default:
			return nil, fmt.Errorf("line %d of what wg shows has %d fields", i+1, len(f))
		}
	}
	return d, nil
}

func (d *device) readAddresses(data []byte) error {
	var links []struct {
		MTU   int `json:"mtu"`
		Addrs []struct {
			Local     string `json:"local"`
			PrefixLen int    `json:"prefixlen"`
			Scope     string `json:"scope"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal(data, &links); err != nil {
		return err
	}
	for _, l := range links {
		d.MTU = l.MTU
		for _, a := range l.Addrs {
			if a.Scope != "link" { // the kernel's own
				d.Addresses = append(d.Addresses, fmt.Sprintf("%s/%d", a.Local, a.PrefixLen))
			}
		}
	}
	return nil
}

// readRoutes reads what ip shows of the routes in all tables. Those to everything count in the
// table that wg-quick makes for them, whose number is the interface's mark.
func (d *device) readRoutes(data []byte, every string) error {
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	var routes []struct {
		Dst   string `json:"dst"`
		Table string `json:"table"` // "" for main
	}
	if err := json.Unmarshal(data, &routes); err != nil {
		return err
	}
	mark, _ := strconv.ParseUint(d.mark, 0, 32)
	for _, r := range routes {
		if r.Table != "" {
			if r.Dst == "default" && mark > 0 && r.Table == strconv.FormatUint(mark, 10) {
				d.Everything = append(d.Everything, every)
			}
			continue
		}
		if n, err := network(r.Dst); err == nil && !(n.Addr().Is6() && n.Addr().IsLinkLocalUnicast()) && !n.Addr().IsMulticast() {
			d.Routes = append(d.Routes, n.String())
		}
	}
	return nil
}
