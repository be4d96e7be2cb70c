package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"muster/host"
)

// clock is the time, which tests move themselves.
type clock interface {
	now() time.Time
	sleep(ctx context.Context, d time.Duration) error
}

// wall is the time on the wall.
type wall struct{}

func (wall) now() time.Time { return time.Now() }

func (wall) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	pollTime = 200 * time.Millisecond // between two looks at a server
	// gapTime is how long HAProxy may be gone while a server is waited for: a reload takes
	// less.
	gapTime = 10 * time.Second
	// cutTime is how long sessions may take to be gone that HAProxy was told to end.
	cutTime = 5 * time.Second
	// mostLifts is how often somebody else may bring a server back that is taken out.
	mostLifts = 3
)

// serverControl is HAProxy, for a change of one server.
type serverControl struct {
	host            *host.Host
	clock           clock
	backend, server string
	daemon          *daemon
	config          string
	worker          socket
	told            []int // the old workers that know what is set
}

func takeControl(ctx context.Context, h *host.Host, at clock, backend, server string) (*serverControl, error) {
	d, err := lookDaemon(func(c host.Command) (host.Output, error) { return h.Runner.Run(ctx, c) }, os.ReadFile)
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, fmt.Errorf("there is no %s any more: %w", unit, host.ErrMoved)
	}
	c := &serverControl{host: h, clock: at, backend: backend, server: server, daemon: d, config: d.text(liveFiles{})}
	c.worker, err = d.worker(h.Dial, []byte(c.config))
	return c, err
}

// rows are all servers of the backend.
func (c *serverControl) rows(ctx context.Context) ([]row, error) {
	rows, err := c.worker.servers(ctx, c.backend)
	if err != nil {
		return nil, unanswered(err)
	}
	return rows, nil
}

// errNoServer: HAProxy doesn't have the server any more.
var errNoServer = errors.New("HAProxy doesn't have it any more")

// look reads the server anew.
func (c *serverControl) look(ctx context.Context) (*row, error) {
	rows, err := c.rows(ctx)
	if err != nil {
		return nil, err
	}
	if r := rowOf(rows, c.backend, c.server); r != nil {
		return r, nil
	}
	return nil, errNoServer
}

func rowOf(rows []row, backend, name string) *row { return (&farm{rows: rows}).find(backend, name) }

// set has the server be as s says. The agent goes first: it would lift a drain, and last
// where it comes back.
func (c *serverControl) set(ctx context.Context, s standing) error {
	r, err := c.look(ctx)
	if err != nil {
		return err
	}
	name := c.backend + "/" + c.server
	var commands []string
	if r.agentOn() && !s.Agent {
		commands = append(commands, "disable agent "+name)
	}
	if r.Weight != s.Weight {
		commands = append(commands, fmt.Sprintf("set weight %s %d", name, s.Weight))
	}
	if r.forced() != s.State {
		commands = append(commands, "set server "+name+" state "+s.State)
	}
	if !r.agentOn() && s.Agent {
		commands = append(commands, "enable agent "+name)
	}
	for _, command := range commands {
		if err := c.worker.do(ctx, command); err != nil {
			return err
		}
		if err := c.host.At(command); err != nil {
			return err
		}
	}
	c.told = nil
	c.tell(ctx, s.State)
	return nil
}

// old are the workers from before a reload: they end the connections that they have, and
// still choose servers for what comes in on these.
func (c *serverControl) old(ctx context.Context) (list []process) {
	if c.worker.prefix == "" {
		return nil
	}
	all, err := c.worker.processes(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(p process) bool { return p.Type != "worker" || !p.Old })
}

func (c *serverControl) of(p process) socket {
	s := c.worker
	s.prefix = fmt.Sprintf("@!%d ", p.PID)
	return s
}

// tell has the old workers know the server's state, too. One that doesn't know the server,
// or has ended meanwhile, is no error.
func (c *serverControl) tell(ctx context.Context, state string) {
	for _, p := range c.old(ctx) {
		if !slices.Contains(c.told, p.PID) {
			_ = c.of(p).do(ctx, fmt.Sprintf("set server %s/%s state %s", c.backend, c.server, state))
			c.told = append(c.told, p.PID)
		}
	}
}

// oldSessions counts the server's sessions in old workers.
func (c *serverControl) oldSessions(ctx context.Context) (count int) {
	for _, p := range c.old(ctx) {
		answer, err := c.of(p).ask(ctx, "show stat -1 4 -1")
		if err != nil {
			continue
		}
		if stats, err := parseStats(answer); err == nil {
			count += stats[c.backend+"/"+c.server].Sessions
		}
	}
	return count
}

// end has HAProxy end the server's sessions.
func (c *serverControl) end(ctx context.Context) error {
	command := fmt.Sprintf("shutdown sessions server %s/%s", c.backend, c.server)
	for _, p := range c.old(ctx) {
		_ = c.of(p).do(ctx, command)
	}
	return c.worker.do(ctx, command)
}
