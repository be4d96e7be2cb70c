package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"muster/modules"
)

// addresses returns an error where the server is to listen on an address that the host
// doesn't have: it wouldn't start. Behind pending changes, which may bring it, that is
// found out at its turn.
func (p *serverPlanner) addresses(ctx context.Context) error {
	var own []netip.Addr
	for i, text := range p.Listen {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.IsLoopback() || p.v.Pending() {
			continue
		}
		if own == nil {
			if own, err = p.ownAddresses(ctx); err != nil {
				return err
			}
		}
		if len(own) == 0 || slices.Contains(own, a.Unmap().WithZone("")) || p.bindsAnything(ctx, a) {
			continue
		}
		var list []string
		for _, o := range own {
			if !o.IsLoopback() && !o.IsLinkLocalUnicast() {
				list = append(list, o.String())
			}
		}
		return modules.ArgError{Arg: "listen", Path: fmt.Sprintf("[%d]", i), Summary: "No such address", Detail: fmt.Sprintf("This host has no address %s, so that the server couldn't listen there, and wouldn't start. It has %s.", text, strings.Join(list, ", "))}
	}
	return nil
}

const netLimit = 4 << 20

// ownAddresses are the host's, as its kernel tells them; none where it doesn't.
func (p *serverPlanner) ownAddresses(ctx context.Context) (list []netip.Addr, err error) {
	trie, err := p.v.ReadFile(ctx, "/proc/net/fib_trie", netLimit)
	if err != nil {
		return nil, nilIfGone(err)
	}
	six, err := p.v.ReadFile(ctx, "/proc/net/if_inet6", netLimit)
	if nilIfGone(err) != nil {
		return nil, err
	}
	return append(localAddresses(string(trie)), localAddresses6(string(six))...), nil
}

func nilIfGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

// localAddresses reads /proc/net/fib_trie: an address stands above what it is.
func localAddresses(trie string) (list []netip.Addr) {
	var last netip.Addr
	for line := range strings.Lines(trie) {
		if at, found := strings.CutPrefix(strings.TrimSpace(line), "|-- "); found {
			last, _ = netip.ParseAddr(strings.TrimSpace(at))
		} else if strings.Contains(line, "/32 host LOCAL") && last.IsValid() && !slices.Contains(list, last) {
			list = append(list, last)
		}
	}
	return list
}

// localAddresses6 reads /proc/net/if_inet6: 32 digits, and what else is known of each.
func localAddresses6(text string) (list []netip.Addr) {
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, " ")
		if raw, err := hex.DecodeString(digits); err == nil && len(raw) == 16 {
			list = append(list, netip.AddrFrom16([16]byte(raw)))
		}
	}
	return list
}

// bindsAnything reports whether programs of the host may listen on addresses that it is yet to
// get, as those that move between hosts.
func (p *serverPlanner) bindsAnything(ctx context.Context, a netip.Addr) bool {
	family := "ipv6"
	if a.Unmap().Is4() {
		family = "ipv4"
	}
	data, err := p.v.ReadFile(ctx, "/proc/sys/net/"+family+"/ip_nonlocal_bind", 16)
	return err == nil && strings.TrimSpace(string(data)) != "0"
}

// relayStays returns an error where a replica's relay log is to lie elsewhere than it does: it
// wouldn't find what it has received, and doesn't begin at all.
func (p *serverPlanner) relayStays(ctx context.Context) error {
	want, vars := p.want["relay_log"], p.now.vars
	has := vars["relay_log_basename"]
	if want == "" || has == "" || logPath(vars, want) == logPath(vars, has) {
		return nil
	}
	links, err := asking(ctx, p.v, func(s *server) ([]channel, error) { return s.channels(ctx) })
	if err != nil || len(links) == 0 {
		return err
	}
	arg, path := p.place("relay_log")
	return modules.ArgError{Arg: arg, Path: path, Summary: "The replica wouldn't begin", Detail: fmt.Sprintf("The server is a replica, and what it has received lies at %s: elsewhere it wouldn't find that, and wouldn't begin. Leave relay_log as it is, or end the replication first (mysql_replication with state = \"absent\").", has)}
}

// logStays returns an error where MariaDB's binary log is to lie elsewhere than it does: it
// keeps what it has logged beside that, and would begin anew, without the GTIDs that its
// replicas go on from.
func (p *serverPlanner) logStays() error {
	want, vars := p.want["log_bin"], p.now.vars
	if want == "" || p.flavor != mariadb || !on(vars["log_bin"]) || vars["gtid_binlog_state"] == "" {
		return nil
	}
	if has := vars["log_bin_basename"]; has != "" && logPath(vars, want) != logPath(vars, has) {
		arg, path := p.place("log_bin")
		return modules.ArgError{Arg: arg, Path: path, Summary: "The binary log would begin anew", Detail: fmt.Sprintf("The server's binary log lies at %s, with the GTIDs that its replicas go on from; elsewhere it would begin without them. Leave log_bin out, and the log stays where it is.", has)}
	}
	return nil
}
