package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// The bits of srv_admin_state, srv_check_state and srv_agent_state (management guide,
// "show servers state").
const (
	forcedMaint     = 0x01
	inheritedMaint  = 0x02
	configuredMaint = 0x04
	forcedDrain     = 0x08
	inheritedDrain  = 0x10
	unresolvedMaint = 0x20
	checkConfigured = 0x02
	checkEnabled    = 0x04
	anyMaint        = forcedMaint | inheritedMaint | unresolvedMaint
	anyDrain        = forcedDrain | inheritedDrain
	opStopped       = 0
	opRunning       = 2
	opStopping      = 3
	statesHeader    = "be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state"
	statsHeader     = "pxname svname qcur scur bck check_rise check_fall check_health last_chk last_agt status"
)

// row is a server as HAProxy answers about it.
type row struct {
	BackendID     string
	Backend, Name string
	Op, Admin     int
	Weight        int // uweight
	Initial       int // of the configuration
	Check, Agent  int // the states of its checks
	Sessions      int // that it has, or that wait for it
	Backup        bool
	Healthy       bool // its last check has passed
	Says          string
}

func (r *row) name() string { return r.Backend + "/" + r.Name }

// forced is the state that somebody has given the very server: ready, drain or maint.
func (r *row) forced() string {
	switch {
	case r.Admin&forcedMaint != 0:
		return maint
	case r.Admin&forcedDrain != 0:
		return drain
	}
	return ready
}

// state is the one that it is in, for people.
func (r *row) state() string {
	switch {
	case r.Admin&anyMaint != 0:
		return maint
	case r.Admin&anyDrain != 0:
		return drain
	case r.Op == opStopped:
		return "down"
	case r.Op == opStopping:
		return "stopping"
	}
	return ready
}

// serves reports whether it may be given requests of new clients.
func (r *row) serves() bool { return r.state() == ready && r.Weight > 0 }

func (r *row) agentOn() bool  { return r.Agent&checkEnabled != 0 }
func (r *row) hasAgent() bool { return r.Agent&checkConfigured != 0 }
func (r *row) checked() bool  { return r.Check&checkEnabled != 0 }

// farm is all servers of a host's HAProxy.
type farm struct {
	daemon *daemon
	rows   []row
	config *parsed
	kept   bool // states outlive a restart of HAProxy
}

func (f *farm) find(backend, name string) *row {
	at := slices.IndexFunc(f.rows, func(r row) bool { return r.Backend == backend && r.Name == name })
	if at < 0 {
		return nil
	}
	return &f.rows[at]
}

// readFarm asks for all servers, once for all tasks of a host: two questions.
func readFarm(ctx context.Context, v *host.View) (*farm, error) {
	for _, k := range append(slices.Clone(daemonKeys), loadedKey) {
		if _, laid, _, err := v.Look(k); err != nil {
			return nil, err
		} else if laid {
			return nil, host.NotYet(k)
		}
	}
	return host.Once(v, "haproxy servers", func() (*farm, error) {
		d, err := findDaemon(ctx, v)
		switch {
		case err != nil:
			return nil, err
		case d == nil:
			return nil, errors.New(`there is no HAProxy on this host: install it and set it up in an earlier task, task "haproxy" "haproxy" { … }`)
		}
		config := d.text(viewFiles{ctx, v})
		s, err := d.worker(func(ctx context.Context, address string) (net.Conn, error) {
			return v.Dial(ctx, address, append(slices.Clone(daemonKeys), loadedKey)...)
		}, []byte(config))
		if err != nil {
			return nil, err
		}
		f := &farm{daemon: d, config: parse(config), kept: loadsStates(config)}
		if f.rows, err = s.servers(ctx, ""); err != nil {
			return nil, unanswered(err)
		}
		return f, nil
	})
}

// servers asks for the servers of a backend, "" for all. What a server is set to and what
// it does are two questions: where the answers aren't about the same servers, HAProxy
// has been reloaded in between, or one was torn.
func (s socket) servers(ctx context.Context, backend string) (rows []row, err error) {
	const tries = 3
	for try := 1; try <= tries; try++ {
		if rows, err = s.serversOnce(ctx, backend, try == tries); !errors.Is(err, errTorn) {
			break
		}
	}
	return rows, err
}

// errTorn is an answer that isn't whole. Asking again helps.
var errTorn = errors.New("it is cut short")

func (s socket) serversOnce(ctx context.Context, backend string, partly bool) ([]row, error) {
	command := strings.TrimSuffix("show servers state "+backend, " ")
	answer, err := s.ask(ctx, command)
	if err != nil {
		return nil, err
	}
	rows, err := parseStates(answer)
	if err != nil {
		return nil, fmt.Errorf("the answer to %q: %w", command, err)
	}
	id := "-1"
	if backend != "" && len(rows) > 0 {
		id = rows[0].BackendID
	}
	command = "show stat " + id + " 4 -1" // of servers only
	if answer, err = s.ask(ctx, command); err != nil {
		return nil, err
	}
	if rows, err = addStats(rows, answer, partly); err != nil {
		return nil, fmt.Errorf("the answer to %q: %w", command, err)
	}
	return rows, nil
}

// weightOf is the weight that the configuration gives a server, which HAProxy itself
// doesn't know where it was told another one since.
func (p *parsed) weightOf(r *row) int {
	if s := p.server(r.Backend, r.Name); s != nil {
		if w, err := strconv.Atoi(s.weight); err == nil {
			return w
		}
	}
	return r.Initial
}
