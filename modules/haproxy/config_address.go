package haproxy

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// endpoint is where a socket is, as HAProxy writes it: the manual's section 11 of 3.0, or
// "bind" and "server" in older ones.
type endpoint struct {
	family string // "quic4@", "ipv6@": with "@"; "" for none
	host   string // without brackets
	port   string // a number, a range, or an offset; "" for none
	other  bool   // no internet address: a path, a descriptor, or something to be expanded
}

var portForm = regexp.MustCompile(`^[+-]?[0-9]{1,5}(-[0-9]{1,5})?$`)

// endpointOf reads an address as HAProxy does: what stands behind the last colon is the port.
func endpointOf(text string) endpoint {
	family, rest, ok := strings.Cut(text, "@")
	if !ok {
		family, rest = "", text
	} else {
		family += "@"
	}
	inet := slices.Contains([]string{"", "ipv4@", "ipv6@", "ip@", "tcp@", "tcp4@", "tcp6@", "udp@", "udp4@", "udp6@", "quic4@", "quic6@"}, family)
	if !inet || strings.ContainsAny(rest, "$/") {
		return endpoint{family: family, host: rest, other: true}
	}
	a := endpoint{family: family, host: rest}
	if i := strings.LastIndex(rest, ":"); i >= 0 && !strings.HasSuffix(rest, "]") {
		a.host, a.port = rest[:i], rest[i+1:]
	}
	if inner, ok := strings.CutPrefix(a.host, "["); ok {
		a.host = strings.TrimSuffix(inner, "]")
	}
	return a
}

// wrong says why an address can't be; "" where it can. What names something is a host's name,
// which only the host can look up.
func (a endpoint) wrong(text string) string {
	v6, err := netip.ParseAddr(text)
	switch {
	case a.other:
		return ""
	case strings.Contains(a.host, ":") && !isIPv6(a.host):
		if err == nil && v6.Is6() {
			return fmt.Sprintf("%q is an IPv6 address without a port: write \"[%s]:80\".", text, text)
		}
		return fmt.Sprintf("%q is no address: an IPv6 address is written \"[fd00::1]:80\".", text)
	case a.port != "" && !portForm.MatchString(a.port):
		if err == nil && v6.Is6() {
			return fmt.Sprintf("%q is an IPv6 address without a port: write \"[%s]:80\".", text, text)
		}
		return fmt.Sprintf("%q is no port: it is a number behind the last colon.", a.port)
	case strings.ContainsAny(a.host, " \t,"):
		return fmt.Sprintf("%q is no address.", text)
	}
	return ""
}

func isIPv6(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is6()
}

// keys has one in common with those of an address that can't be bound at the same time: one for
// each port. TCP and QUIC have ports of their own.
func (a endpoint) keys() []string {
	kind := "tcp"
	if strings.HasPrefix(a.family, "quic") || strings.HasPrefix(a.family, "udp") {
		kind = "udp"
	}
	host := a.host
	switch addr, err := netip.ParseAddr(host); {
	case a.other:
		return []string{a.family + host}
	case strings.HasSuffix(a.family, "6@") && (host == "" || host == "*"):
		host = "::"
	case host == "" || host == "*":
		host = "0.0.0.0"
	case err == nil:
		host = addr.String()
	}
	var first, last int
	if n, _ := fmt.Sscanf(a.port, "%d-%d", &first, &last); n < 2 {
		last = first
	}
	var keys []string
	for port := first; port <= min(last, 65535); port++ {
		keys = append(keys, fmt.Sprintf("%s [%s]:%d", kind, host, port))
	}
	return keys
}

// binds refuses addresses without a port, and those that are bound twice: each would get a
// part of the connections.
func (k *checker) binds(p proxy) {
	for i, b := range p.Bind {
		path := fmt.Sprintf("%s.bind[%d].address", p.path, i)
		for one := range strings.SplitSeq(b.Address, ",") {
			if b.Address == "" {
				break // not known, or refused already
			}
			a := endpointOf(one)
			if why := a.wrong(one); why != "" {
				k.fail(path, "Wrong value", "", "%s", why)
				continue
			}
			if !a.other && a.port == "" {
				k.fail(path, "Wrong value", "", "%q has no port: write \"%s:80\".", one, strings.TrimSuffix(one, ":"))
				continue
			}
			for _, key := range a.keys() {
				key += " " + b.Interface
				if first := k.bound[key]; first != "" && b.Params == "" {
					k.fail(path, "Conflicting arguments", "", "%s is bound already, by %s: each would get a part of the connections.", one, first)
					break
				}
				k.bound[key] = path
			}
		}
	}
}

// servers refuses addresses that can't be, and in HTTP those without a port.
func (k *checker) servers(p proxy) {
	for _, name := range slices.Sorted(maps.Keys(p.Servers)) {
		s, path := p.Servers[name], fmt.Sprintf("%s.servers[%q].address", p.path, name)
		a := endpointOf(s.Address)
		switch why := a.wrong(s.Address); {
		case s.Address == "": // not known, or refused already
		case why != "":
			k.fail(path, "Wrong value", "", "%s", why)
		case !a.other && a.port == "" && k.mode(p) == "http":
			k.fail(path, "Wrong value", "", "%q has no port: write \"%[2]s:8080\", or \"%[2]s:+0\" for the port that the client came to.", s.Address, strings.TrimSuffix(s.Address, ":"))
		}
	}
}
