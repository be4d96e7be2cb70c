package haproxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// told is what a running HAProxy is told instead of being reloaded.
type told struct {
	Command string `json:"command"`
	// Shows is the difference, for the plan.
	Shows string `json:"shows"`
}

// runtime returns what turns a running configuration into another one, and whether that
// can be done without a reload: where they differ in nothing but servers' weights,
// literal addresses, and whether they are disabled.
func runtime(was, want *parsed) (list []told, ok bool) {
	if len(was.lines) != len(want.lines) {
		return nil, false
	}
	for i, old := range was.lines {
		l := want.lines[i]
		if slices.Equal(old.words, l.words) {
			continue
		}
		if old.words[0] != "server" || l.words[0] != "server" || len(old.words) < 3 || len(l.words) < 3 || old.proxy != l.proxy || old.kind != l.kind || old.words[1] != l.words[1] {
			return nil, false
		}
		from, to := serverOf(old), serverOf(l)
		if !slices.Equal(from.rest, to.rest) {
			return nil, false
		}
		more, ok := from.becomes(to, want.defaults)
		if !ok {
			return nil, false
		}
		list = append(list, more...)
	}
	return list, true
}

// becomes returns the commands that turn a server into another one of its name.
func (s server) becomes(to server, defaults bool) (list []told, ok bool) {
	name := to.proxy + "/" + to.name
	if s.host != to.host || s.port != to.port {
		port, err := strconv.Atoi(to.port) // "+1" is an offset
		if net.ParseIP(s.host) == nil || net.ParseIP(to.host) == nil || err != nil || strings.HasPrefix(to.port, "+") || port < 1 {
			return nil, false
		}
		list = append(list, told{fmt.Sprintf("set server %s addr %s port %d", name, to.host, port), fmt.Sprintf("%s: address %s → %s", name, net.JoinHostPort(s.host, s.port), net.JoinHostPort(to.host, to.port))})
	}
	if s.weight != to.weight {
		if defaults && (s.weight == "" || to.weight == "") {
			return nil, false
		}
		from, weight := weightOr1(s.weight), weightOr1(to.weight)
		list = append(list, told{fmt.Sprintf("set server %s weight %s", name, weight), fmt.Sprintf("%s: weight %s → %s", name, from, weight)})
	}
	switch {
	case to.disabled && !s.disabled:
		list = append(list, told{fmt.Sprintf("set server %s state maint", name), name + ": disabled"})
	case s.disabled && !to.disabled:
		list = append(list, told{fmt.Sprintf("set server %s state ready", name), name + ": enabled"})
	}
	return list, true
}

func weightOr1(w string) string {
	if w == "" {
		return "1"
	}
	return w
}

// apply sends the commands. An address answers with what it was before.
func (s socket) apply(ctx context.Context, list []told) error {
	for _, t := range list {
		answer, err := s.ask(ctx, t.Command)
		if err != nil {
			return err
		}
		answer = strings.TrimSpace(answer)
		if answer != "" && !(strings.Contains(t.Command, " addr ") && strings.Contains(answer, "changed from")) && !strings.Contains(answer, "no need to change") {
			return fmt.Errorf("HAProxy refuses %q: %s", t.Command, answer)
		}
	}
	return nil
}

// row is a server's row of `show servers state`.
type stateRow []string

// The columns of a row, as the answer's second line names them.
const (
	colProxy   = 1
	colName    = 3
	colAddress = 4
	colOper    = 5
	colAdmin   = 6
	colWeight  = 7
	colInitial = 8
	colPort    = 18
)

// rows parses the answer to `show servers state`, and returns its second line besides.
func rows(answer string) (list []stateRow, header string) {
	for text := range strings.Lines(answer) {
		text = strings.TrimSpace(text)
		f := strings.Fields(text)
		switch {
		case strings.HasPrefix(text, "#"):
			header = text
		case len(f) > colPort:
			list = append(list, f)
		}
	}
	return list, header
}

// Bits of the administrative state (management guide, "show servers state").
const (
	adminMaint  = 0x01
	adminConfig = 0x04 // disabled in the configuration
	adminDrain  = 0x08
)

// set reports whether somebody has put the server into a state through a socket.
func (r stateRow) set() bool {
	admin, _ := strconv.Atoi(r[colAdmin])
	return admin&(adminMaint|adminDrain) != 0 && admin&adminConfig == 0 || r[colWeight] != r[colInitial]
}

// kept is the file from which a reload takes up what was set through sockets: of those
// servers alone, with their ports as the configuration has them (with the former port the
// row would win over it), and their addresses left to it.
func kept(answer string, want *parsed) (file string, servers []string) {
	list, header := rows(answer)
	b := &strings.Builder{}
	b.WriteString(emptyState(header))
	for _, r := range list {
		s := want.server(r[colProxy], r[colName])
		if !r.set() || s == nil {
			continue
		}
		r = slices.Clone(r)
		r[colAddress] = "-"
		r[colPort] = s.port
		if _, err := strconv.Atoi(s.port); err != nil {
			r[colPort] = "0"
		}
		if want := s.weight; want != "" && r[colWeight] == r[colInitial] {
			r[colWeight], r[colInitial] = want, want
		}
		b.WriteString(strings.Join(r, " ") + "\n")
		servers = append(servers, r[colProxy]+"/"+r[colName])
	}
	return b.String(), servers
}

const stateHeader = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"

// emptyState is a file with the state of no server.
func emptyState(header string) string {
	if header == "" {
		header = stateHeader
	}
	return "1\n" + header + "\n"
}
