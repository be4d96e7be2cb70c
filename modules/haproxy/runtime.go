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
		list = append(list, toldAddress(to, net.JoinHostPort(s.host, s.port)))
	}
	if s.weight != to.weight {
		if defaults && (s.weight == "" || to.weight == "") || slices.Contains(to.rest, "agent-check") {
			return nil, false // an agent's percentage is of the weight that HAProxy was started with
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

// toldAddress is the command that has a server at its address.
func toldAddress(to server, from string) told {
	name := to.proxy + "/" + to.name
	return told{fmt.Sprintf("set server %s addr %s port %s", name, to.host, to.port), fmt.Sprintf("%s: address %s → %s", name, from, net.JoinHostPort(to.host, to.port))}
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

// setBy tells what somebody has set of a server through a socket: not by the configuration
// was that is loaded, whose weights and disabled servers may have been told while it ran.
func (r stateRow) setBy(was *parsed) (state, weight bool) {
	admin, _ := strconv.Atoi(r[colAdmin])
	s := was.server(r[colProxy], r[colName])
	state = admin&(forcedMaint|forcedDrain) != 0 && admin&configuredMaint == 0
	if s != nil && s.disabled && admin&forcedDrain == 0 {
		state = false
	}
	configured := r[colInitial]
	if s != nil && s.weight != "" {
		configured = s.weight
	}
	return state, r[colWeight] != configured
}

// word is the state that is set of a server.
func (r stateRow) word() string {
	switch admin, _ := strconv.Atoi(r[colAdmin]); {
	case admin&(forcedMaint|configuredMaint) != 0:
		return maint
	case admin&forcedDrain != 0:
		return drain
	}
	return ready
}

// kept is the file from which a reload takes up what was set through sockets, of those
// servers alone. Their ports are as the configuration has them (with the former port the
// row would win over it), and their addresses are left to it; so are the weights and states
// that nobody has set. A weight that the configuration changes is the configuration's.
//
// Tried is what HAProxy was told in vain, and is taken back: nobody has set that.
func kept(answer string, was, want, tried *parsed) (file string, servers map[string]bool) {
	list, header := rows(answer)
	servers = map[string]bool{}
	b := &strings.Builder{}
	b.WriteString(emptyState(header))
	for _, r := range list {
		s, old := want.server(r[colProxy], r[colName]), was.server(r[colProxy], r[colName])
		state, weight := r.setBy(was)
		if tried.server(r[colProxy], r[colName]) != nil {
			again, anew := r.setBy(tried)
			state, weight = state && again, weight && anew
		}
		if s == nil || !state && !weight {
			continue
		}
		r = slices.Clone(r)
		r[colAddress] = "-"
		r[colPort] = s.port
		if _, err := strconv.Atoi(s.port); err != nil {
			r[colPort] = "0"
		}
		changes := old != nil && old.weight != s.weight || old == nil && s.weight != "" && s.weight != r[colInitial]
		switch {
		case !weight || changes:
			if s.weight != "" {
				r[colWeight], r[colInitial] = s.weight, s.weight
			} else {
				r[colWeight] = r[colInitial]
			}
		case s.weight != "":
			r[colInitial] = s.weight
		}
		if !state {
			admin, _ := strconv.Atoi(r[colAdmin])
			r[colAdmin], r[colOper] = strconv.Itoa(admin&^(forcedMaint|forcedDrain|configuredMaint)), strconv.Itoa(opRunning)
		}
		b.WriteString(strings.Join(r, " ") + "\n")
		servers[r[colProxy]+"/"+r[colName]] = true
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
