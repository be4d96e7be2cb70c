package mysql

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"muster/modules"
)

// Servers compare an account's host with a client's name and address as texts, or an IPv4
// address with a network (sql/auth: compare_hostname). What can't be any client's is taken
// by them without a word, and lets nobody in.

// wrongHost says why nobody can come from a host, and what may be meant; "" where somebody can.
func wrongHost(at string) (why, hint string) {
	if strings.ContainsAny(at, " '`@") {
		return fmt.Sprintf("%q is no host: it is a name, an address, or a pattern such as \"10.0.%%\".", at), ""
	}
	base, mask, isNet := strings.Cut(at, "/")
	if isNet {
		return wrongNetwork(at, base, mask)
	}
	if strings.ContainsAny(at, "%_") {
		return "", ""
	}
	if strings.Trim(at, "0123456789.") == "" && at != "" {
		if a, err := netip.ParseAddr(at); err != nil || !a.Is4() {
			if n := strings.Count(at, "."); strings.HasSuffix(at, ".") && n < 4 {
				hint = fmt.Sprintf("host = %q", at+"%")
			}
			return fmt.Sprintf("%q is no address, and lets nobody in: a pattern has %% or _ for other letters.", at), hint
		}
		return "", ""
	}
	if strings.Contains(at, ":") {
		a, err := netip.ParseAddr(at)
		switch {
		case err != nil || a.Zone() != "":
			return fmt.Sprintf("%q is no address.", at), ""
		case a.Unmap().String() != strings.ToLower(at):
			return fmt.Sprintf("The server knows who comes from %s as %s, by which it compares.", at, a.Unmap()), fmt.Sprintf("host = %q", a.Unmap())
		}
	}
	return "", ""
}

// wrongNetwork is wrongHost for "ADDRESS/MASK", the mask as an address or as a number of bits.
func wrongNetwork(at, base, mask string) (why, hint string) {
	const form = "a network is an IPv4 address with its mask, such as \"10.0.1.0/255.255.255.0\""
	a, err := netip.ParseAddr(base)
	if err != nil || !a.Is4() {
		return fmt.Sprintf("%q is no network that the server knows: %s.", at, form), ""
	}
	m, ok := maskOf(mask)
	if !ok {
		return fmt.Sprintf("%q has no mask behind its slash: %s.", at, form), ""
	}
	if m == 0 {
		return fmt.Sprintf("%q lets nobody in: all addresses are \"%%\".", at), `host = "%"`
	}
	ip := binary.BigEndian.Uint32(a.AsSlice())
	if ip&^m != 0 {
		return fmt.Sprintf("%q lets nobody in: its address has bits that its mask hasn't.", at), fmt.Sprintf("host = \"%s/%s\"", dotted(ip&m), mask)
	}
	return "", ""
}

// maskOf reads a mask: "255.255.255.0", "24".
func maskOf(text string) (uint32, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
		return binary.BigEndian.Uint32(a.AsSlice()), true
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n > 32 || strconv.FormatUint(n, 10) != text {
		return 0, false
	}
	return bits.Reverse32(uint32(1)<<n - 1), true
}

func dotted(ip uint32) string { return net.IP(binary.BigEndian.AppendUint32(nil, ip)).String() }

// takesBits returns an error where the server doesn't know a network by its number of bits.
func (a *about) takesBits(at string) error {
	base, mask, isNet := strings.Cut(at, "/")
	if !isNet || strings.Contains(mask, ".") || a.flavor == mysqlOwn && a.atLeast([3]int{8, 0, 23}) {
		return nil
	}
	m, _ := maskOf(mask)
	return modules.ArgError{Arg: "host", Summary: "Wrong value", Detail: fmt.Sprintf("%s %d.%d knows a network by its mask alone, and would let nobody in from %q.", a.flavor, a.version[0], a.version[1], at), Hint: fmt.Sprintf("host = \"%s/%s\"", base, dotted(m))}
}

// serversOwn says why an account isn't a task's: servers need it for themselves, or muster does.
func serversOwn(name, at, state string) string {
	if !strings.EqualFold(at, "localhost") {
		return ""
	}
	switch name {
	case "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema":
		return fmt.Sprintf("%s is the server's own account: its views and procedures run as it, and nobody can log in as it.", accountName(name, at))
	case "root":
		if state == "absent" {
			return "root@localhost is the account as which muster itself asks the server, by its socket: without it no task about the server could be made. Leave it, and give root no password: only the host's root is let in."
		}
	}
	return ""
}
