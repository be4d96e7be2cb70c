package facts

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// network reads interfaces and addresses from the kernel, in one dump each.
func (r reader) network(f *Facts) {
	if r.root == "" {
		r.interfaces(f)
	}
	r.defaultRoute(f)
	for _, i := range sortedNames(f.Interfaces) {
		n := f.Interfaces[i]
		f.Addresses.IPv4 = appendHostAddresses(f.Addresses.IPv4, n.IPv4)
		f.Addresses.IPv6 = appendHostAddresses(f.Addresses.IPv6, n.IPv6)
	}
	first(f.Addresses.IPv4, f.Addresses.Default)
	first(f.Addresses.IPv6, f.Addresses.Default)
}

func sortedNames(m map[string]Interface) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// appendHostAddresses adds addresses that others could reach the host by.
func appendHostAddresses(list, prefixes []string) []string {
	for _, p := range prefixes {
		prefix, err := netip.ParsePrefix(p)
		if err != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() || len(list) >= maxAddresses {
			continue
		}
		if s := prefix.Addr().String(); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// first moves one address to the front.
func first(list []string, address string) {
	if i := slices.Index(list, address); i > 0 {
		copy(list[1:i+1], list[:i])
		list[0] = address
	}
}

func (r reader) interfaces(f *Facts) {
	links, err := net.Interfaces()
	if err != nil {
		return
	}
	names := map[int]string{}
	for _, l := range links {
		if len(f.Interfaces) == maxInterfaces {
			break
		}
		name := text(l.Name)
		names[l.Index] = name
		f.Interfaces[name] = Interface{MAC: l.HardwareAddr.String(), MTU: l.MTU, Up: l.Flags&net.FlagUp != 0, IPv4: []string{}, IPv6: []string{}}
	}
	for index, prefixes := range addressesByIndex() {
		name, ok := names[index]
		if !ok {
			continue
		}
		i := f.Interfaces[name]
		for _, p := range prefixes {
			if p.Addr().Is4() {
				i.IPv4 = append(i.IPv4, p.String())
			} else {
				i.IPv6 = append(i.IPv6, p.String())
			}
		}
		f.Interfaces[name] = i
	}
}

// defaultRoute finds the way to the internet in the kernel's tables, and the
// address it is taken with.
func (r reader) defaultRoute(f *Facts) {
	a := &f.Addresses
	best := int64(-1)
	r.lines("/proc/net/route", func(line string) bool {
		w := strings.Fields(line)
		if len(w) < 8 || w[1] != "00000000" || w[7] != "00000000" {
			return true
		}
		metric, err := strconv.ParseInt(w[6], 10, 64)
		gateway, err2 := strconv.ParseUint(w[2], 16, 32)
		if err != nil || err2 != nil || best >= 0 && metric >= best {
			return true
		}
		best, a.Interface, a.Gateway = metric, text(w[0]), ""
		if gateway != 0 { // in the machine's byte order
			var ip [4]byte
			binary.NativeEndian.PutUint32(ip[:], uint32(gateway))
			a.Gateway = netip.AddrFrom4(ip).String()
		}
		return true
	})
	network, far := "udp4", "192.0.2.1:9"
	if best < 0 {
		if !r.defaultRoute6(a) {
			return
		}
		network, far = "udp6", "[2001:db8::1]:9"
	}
	if r.root != "" {
		return
	}
	// Connecting a datagram socket sends nothing: the kernel only chooses the
	// source address by its routes.
	if c, err := net.Dial(network, far); err == nil {
		if local, ok := c.LocalAddr().(*net.UDPAddr); ok {
			a.Default = local.AddrPort().Addr().Unmap().WithZone("").String()
		}
		_ = c.Close()
	}
}

func (r reader) defaultRoute6(a *Addresses) (found bool) {
	const none = "00000000000000000000000000000000"
	r.lines("/proc/net/ipv6_route", func(line string) bool {
		w := strings.Fields(line)
		if len(w) < 10 || w[0] != none || w[1] != "00" || w[9] == "lo" {
			return true
		}
		found, a.Interface = true, text(w[9])
		if hop, ok := parseHex16(w[4]); ok && w[4] != none {
			a.Gateway = hop.String()
		}
		return false
	})
	return found
}

func parseHex16(s string) (netip.Addr, bool) {
	var b [16]byte
	if len(s) != 32 {
		return netip.Addr{}, false
	}
	for i := range b {
		n, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom16(b), true
}
