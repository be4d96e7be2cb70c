package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/host"
)

// What a change of a server waits for.
const (
	awaitSessions = "sessions" // that there are none left
	awaitUp       = "up"       // that it is up
)

// SetServer sets a server's state, weight and agent check.
type SetServer struct {
	Backend string        `json:"backend"`
	Server  string        `json:"server"`
	From    standing      `json:"from"`
	To      standing      `json:"to"`
	Await   string        `json:"await,omitempty"`
	Wait    time.Duration `json:"wait,omitempty"`
	Force   bool          `json:"force,omitempty"`
	Why     string        `json:"why,omitempty"`
}

// Type is "haproxy.server.set/1".
func (*SetServer) Type() string { return "haproxy.server.set/1" }

// Want is what is set.
func (s *SetServer) Want() any {
	to := s.To
	to.Taken = nil
	return SetServer{Backend: s.Backend, Server: s.Server, To: to, Await: s.Await, Wait: s.Wait, Force: s.Force}
}

func (s *SetServer) name() string { return s.Backend + "/" + s.Server }

// Describe shows what is set, and what is waited for.
func (s *SetServer) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: "server " + s.name()}
	var lines []string
	if s.From.State != s.To.State {
		lines = append(lines, "state: "+s.From.State+" → "+s.To.State)
	}
	if s.From.Weight != s.To.Weight {
		lines = append(lines, fmt.Sprintf("weight: %d → %d", s.From.Weight, s.To.Weight))
	}
	if s.From.Agent != s.To.Agent {
		lines = append(lines, fmt.Sprintf("agent check: %s → %s", onOff(s.From.Agent), onOff(s.To.Agent)))
	}
	if d.Diff = strings.Join(lines, "\n"); d.Diff == "" {
		d.Action = host.Check
	}
	why := []string{s.Why}
	switch {
	case s.Await == awaitSessions && s.Force:
		why = append(why, fmt.Sprintf("its sessions have %s to end, and are ended then", s.Wait))
	case s.Await == awaitSessions:
		why = append(why, fmt.Sprintf("its sessions have %s to end", s.Wait))
	case s.Await == awaitUp:
		why = append(why, "waits until it is up")
	}
	d.Impact = strings.Join(slices.DeleteFunc(why, func(s string) bool { return s == "" }), "; ")
	return d
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Interruptible: what is waited for may take minutes.
func (*SetServer) Interruptible() {}

// Effects is the server, and what is noted of it.
func (s *SetServer) Effects() []host.Effect {
	to := s.To
	to.Taken = to.Taken.planned()
	return append(noteEffects(s.Backend, s.Server), host.Is(serverKey(s.Backend, s.Server), to))
}

// takesOut reports whether the change keeps a server from serving that serves.
func (s *SetServer) takesOut(r *row) bool {
	return r.serves() && (s.To.State != ready || s.To.Weight == 0)
}

// Apply notes how the server is, sets it, and waits.
func (s *SetServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	return s.apply(ctx, h, wall{})
}

func (s *SetServer) apply(ctx context.Context, h *host.Host, at clock) (host.Result, error) {
	c, err := takeControl(ctx, h, at, s.Backend, s.Server)
	if err != nil {
		return host.Result{}, err
	}
	if s, err = s.unmoved(ctx, c); err != nil {
		return host.Result{}, err
	}
	before := &PutServer{Backend: s.Backend, Server: s.Server, Set: s.To, Back: s.From}
	if err := h.Begin(host.Undo{Changes: []host.Change{before}}); err != nil {
		return host.Result{}, err
	}
	switch {
	case s.Await == awaitSessions:
		err = s.out(ctx, c)
	case s.Await == awaitUp || !s.To.Taken.same(s.From.Taken):
		err = s.in(ctx, c)
	default:
		err = c.set(ctx, s.To)
	}
	if err != nil {
		return host.Result{}, fmt.Errorf("server %s: %w", s.name(), err)
	}
	r, err := c.look(ctx)
	if err != nil {
		return host.Result{}, fmt.Errorf("server %s: %w", s.name(), err)
	}
	taken, err := lookNote(s.Backend, s.Server)
	if err != nil {
		return host.Result{}, err
	}
	output, err := host.Marshal(r.output(taken))
	return host.Result{Output: output}, err
}

// unmoved returns the change as it is to be made, where the server is as it was planned
// on. A weight that it doesn't set may have moved: agents do that all the time.
func (s *SetServer) unmoved(ctx context.Context, c *serverControl) (*SetServer, error) {
	rows, err := c.rows(ctx)
	if err != nil {
		return s, err
	}
	r := rowOf(rows, s.Backend, s.Server)
	if r == nil {
		return s, fmt.Errorf("server %s isn't there any more: %w", s.name(), host.ErrMoved)
	}
	taken, err := lookNote(s.Backend, s.Server)
	if err != nil {
		return s, err
	}
	if taken != nil && !taken.tells(r.forced(), c.daemon.Invocation, loadsStates(c.config)) {
		taken = nil
	}
	as := *s
	if s.From.Weight == s.To.Weight {
		as.From.Weight, as.To.Weight = r.Weight, r.Weight
		if n := s.To.Taken; n != nil && s.From.Taken == nil {
			as.To.Taken = n.planned()
			as.To.Taken.Weight = r.Weight
		}
	}
	if now := r.standing(); !now.sameSettings(as.From) || !taken.same(s.From.Taken) {
		return s, fmt.Errorf("server %s: %w", s.name(), host.ErrMoved)
	}
	if s.Force || !s.takesOut(r) {
		return &as, nil
	}
	others := slices.DeleteFunc(slices.Clone(rows), func(o row) bool { return o.Backend != s.Backend || o.Name == s.Server })
	if err := lastOf(*r, others); err != nil {
		return s, fmt.Errorf("%w by now: %w", host.ErrMoved, err)
	}
	return &as, nil
}

// out takes the server out, and waits until its sessions have ended.
func (s *SetServer) out(ctx context.Context, c *serverControl) error {
	n := *s.To.Taken
	n.Run, n.Passing, n.Invocation, n.Settled = c.host.RunName, c.host.Passing, c.daemon.Invocation, false
	if s.From.Taken != nil {
		n.Left = append(slices.Clone(n.Left), s.From.Taken.Left...)
		slices.Sort(n.Left)
		n.Left = slices.Compact(n.Left)
	}
	if err := n.write(); err != nil {
		return err
	}
	if err := c.host.At("noted the server"); err != nil {
		return err
	}
	if err := c.set(ctx, s.To); err != nil {
		return err
	}
	if err := c.host.At("took the server out"); err != nil {
		return err
	}
	if err := c.awaitOut(ctx, s); err != nil {
		return err
	}
	n.Left, n.Settled = s.To.Taken.Left, true
	return n.write()
}

// in puts the server back, and waits until it is up where it gets requests again.
func (s *SetServer) in(ctx context.Context, c *serverControl) error {
	until := c.clock.now().Add(s.Wait)
	if s.From.State == maint && s.To.State == ready {
		if err := s.probe(ctx, c, until); err != nil {
			return err
		}
	}
	if err := c.set(ctx, s.To); err != nil {
		return err
	}
	if err := c.host.At("put the server back"); err != nil {
		return err
	}
	if s.Await == awaitUp {
		if err := c.awaitUp(ctx, until, s.Wait); err != nil {
			return err
		}
	}
	return keepNote(nil, s.Backend, s.Server)
}

// probe has a server's check look at it before it gets requests: out of maintenance
// HAProxy takes a server for up until its check has failed. Drained it is checked.
func (s *SetServer) probe(ctx context.Context, c *serverControl, until time.Time) error {
	r, err := c.look(ctx)
	if err != nil || !r.checked() {
		return err
	}
	n := note{Backend: s.Backend, Server: s.Server, State: ready, Weight: s.From.Weight, Initial: parse(c.config).weightOf(r), Agent: s.From.Agent, Run: c.host.RunName, Passing: c.host.Passing, Invocation: c.daemon.Invocation}
	if s.From.Taken != nil {
		n = *s.From.Taken
	}
	n.Left = []string{drain, maint}
	if err := n.write(); err != nil {
		return err
	}
	between := s.From
	between.State = drain
	if err := c.set(ctx, between); err != nil {
		return err
	}
	if err := c.host.At("let the server be checked"); err != nil {
		return err
	}
	return c.awaitChecked(ctx, until)
}
