package account

import (
	"net/netip"
	"strconv"
	"strings"
)

// checkFrom reads the list of "from" as match_host_and_ip of OpenSSH does:
// addresses, networks as ADDRESS/BITS, and patterns with * and ?, each of which
// "!" excludes. One that it can't read makes sshd let nobody in; one that no
// host can match is refused, too, since it isn't what its author meant.
func checkFrom(list string) error {
	allows := false
	for _, entry := range strings.Split(list, ",") {
		name, excludes := strings.CutPrefix(entry, "!")
		switch {
		case name == "" && list == "":
			return wrongOption("the list is empty: sshd lets nobody in")
		case name == "":
			return wrongOption("%q has an empty entry: sshd then lets nobody in", list)
		case strings.ContainsAny(name, " \t"):
			return wrongOption("no host matches %q: leave out the spaces", entry)
		}
		if err := checkNetwork(name); err != nil {
			return err
		}
		allows = allows || !excludes
	}
	if !allows {
		return wrongOption(`%q only excludes: nobody gets in without an entry that lets them, such as "*"`, list)
	}
	return nil
}

// checkNetwork refuses an entry that looks like a network and is none.
func checkNetwork(entry string) error {
	address, mask, slash := strings.Cut(entry, "/")
	if !slash {
		return nil
	}
	bits, ok := number(mask, 1<<31-1)
	ip, numeric := numericAddress(address)
	if !ok || !numeric || len(entry) >= 64 {
		return wrongOption("%q is no network: ADDRESS/BITS, as 10.0.0.0/8", entry)
	}
	if bits > int64(ip.BitLen()) {
		return wrongOption("%q: such an address has %d bits, so that it matches none", entry, ip.BitLen())
	}
	if p := netip.PrefixFrom(ip, int(bits)).Masked(); p.Addr() != ip {
		return wrongOption("%q has bits set behind the first %d: sshd then lets nobody in; write %s", entry, bits, p)
	}
	return nil
}

// numericAddress reads an address as getaddrinfo does, which also takes the
// short and the octal forms of inet_aton(3). A zone is left out.
func numericAddress(s string) (netip.Addr, bool) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.WithZone(""), true
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var all uint32
	for i, part := range parts {
		width := 8
		if i == len(parts)-1 {
			width = 8 * (5 - len(parts))
		}
		base, digits := 10, part
		if hex, ok := strings.CutPrefix(strings.ToLower(part), "0x"); ok {
			base, digits = 16, hex
		} else if len(part) > 1 && part[0] == '0' {
			base = 8
		}
		n, err := strconv.ParseUint(digits, base, width)
		if err != nil {
			return netip.Addr{}, false
		}
		all = all<<width | uint32(n)
	}
	return netip.AddrFrom4([4]byte{byte(all >> 24), byte(all >> 16), byte(all >> 8), byte(all)}), true
}
