package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster/host"
	"muster/modules/loaded"
)

// verb is what is done to a unit, as systemctl calls it.
type verb string

const (
	start  verb = "start"
	stop   verb = "stop"
	again  verb = "restart"
	reload verb = "reload"
)

// Act starts, stops, restarts or reloads a unit, and notes what it has loaded.
type Act struct {
	Unit    string   `json:"unit"`
	Target  string   `json:"target"` // the unit as the task names it
	Verb    verb     `json:"verb"`
	Why     string   `json:"why,omitempty"`
	Restart []string `json:"restart,omitempty"` // what a start loads
	Reload  []string `json:"reload,omitempty"`  // what a reload loads too
	User    bool     `json:"user,omitempty"`

	was   string
	after Unit
}

// Type is "unit.act/1".
func (*Act) Type() string { return "unit.act/1" }

// Describe says what is done and why.
func (a *Act) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: a.Target, Impact: a.Why}
	switch a.Verb {
	case start:
		d.Diff = "state: stopped → running"
	case stop:
		d.Diff = "state: running → stopped"
	case again:
		d.Action = host.Restart
	case reload:
		d.Action = host.Reload
	}
	return d
}

// Effects is the unit as it will be, and what a mount brings into sight.
func (a *Act) Effects() []host.Effect {
	list := effectsOf(manager{a.User}, a.Target, a.after)
	if a.Verb == start {
		list = append(list, manager{a.User}.mounts(a.Unit)...)
	}
	return list
}

// Apply tells systemd, and looks whether the unit stays up.
func (a *Act) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	m := manager{a.User}
	// What is read before the act has been loaded after it. What changes in
	// between is seen the next time.
	restart, err := loaded.Load(a.Restart)
	if err != nil {
		return host.Result{}, err
	}
	reloads, err := loaded.Load(a.Reload)
	if err != nil {
		return host.Result{}, err
	}
	old := m.readStamp(a.Unit)
	if err := h.Begin(a.undo()); err != nil {
		return host.Result{}, err
	}
	if _, err := h.Run(ctx, host.Command{Argv: m.argv(string(a.Verb), "--", a.Unit), Env: m.env()}); err != nil {
		return host.Result{}, m.withLog(ctx, h, a.Unit, err)
	}
	if err := h.At("told systemd to " + string(a.Verb)); err != nil {
		return host.Result{}, err
	}
	if a.Verb == stop {
		return host.Result{}, nil
	}
	u, err := m.settle(ctx, h, a.Unit, a.Verb)
	if err != nil {
		return host.Result{}, err
	}
	s := &stamp{Invocation: u.Invocation, Restart: restart, Reload: reloads}
	if a.Verb == reload && old != nil && old.Invocation == u.Invocation {
		s.Restart = loaded.Merged(restart, old.Restart) // these weren't loaded anew
	}
	if err := m.writeStamp(a.Unit, s); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("noted what was loaded")
}

// undo takes it back in an atomic plan: what was started is stopped; what
// was restarted or reloaded is that again, once its files are restored.
func (a *Act) undo() host.Undo {
	m := manager{a.User}
	does := host.Description{Action: host.Update, Target: a.Target}
	program := func(verb verb) []host.Change {
		return []host.Change{&host.RunProgram{Argv: m.argv(string(verb), "--", a.Unit), Env: m.env(), Does: does}}
	}
	switch a.Verb {
	case start:
		return host.Undo{Changes: program(stop)}
	case stop:
		return host.Undo{Changes: program(start)}
	}
	return host.Undo{After: program(a.Verb)}
}

// How long a unit that was started is watched, and how often it is looked at.
// One that tells systemd when it is ready has shown more by then than one that
// is only forked.
const (
	watchForked = 1000 * time.Millisecond
	watchReady  = 300 * time.Millisecond
	lookAgain   = 100 * time.Millisecond
)

// settle watches a unit for a short time after a start or reload: systemd
// calls a start done that dies a moment later, and one that restarts again
// and again "active".
func (m manager) settle(ctx context.Context, h *host.Host, unit string, did verb) (*Unit, error) {
	first, err := m.look(ctx, h, unit)
	if err != nil {
		return nil, err
	}
	window := watchReady
	if first.Type == "simple" || first.Type == "exec" || first.Type == "idle" {
		window = watchForked
	}
	if !strings.HasSuffix(unit, ".service") || did == reload {
		window = 0
	}
	u := first
	for end := time.Now().Add(window); ; {
		if why := died(first, u); why != "" {
			return nil, m.withLog(ctx, h, unit, fmt.Errorf("%s was told to %s, and then %s", unit, did, why))
		}
		if u.ends() || time.Now().After(end) {
			return u, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lookAgain):
		}
		if u, err = m.look(ctx, h, unit); err != nil {
			return nil, err
		}
	}
}

// died says what became of a unit that doesn't run, "" for one that does.
func died(first, now *Unit) string {
	switch {
	case now.Active == "failed":
		return fmt.Sprintf("failed (%s)", now.Result)
	case now.Sub == "auto-restart" || now.Sub == "auto-restart-queued":
		return fmt.Sprintf("ended at once (%s); systemd starts it again and again", now.Result)
	case now.Active == "inactive" && !now.ends():
		return "ended at once"
	case now.Invocation != first.Invocation || now.Restarts > first.Restarts:
		return fmt.Sprintf("ended and was started again by systemd (%s)", now.Result)
	}
	return ""
}

func (m manager) look(ctx context.Context, h *host.Host, unit string) (*Unit, error) {
	list, err := parseShow(m.ask([]string{unit}, func(c host.Command) (host.Output, error) { return h.Runner.Run(ctx, c) }))
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("systemd has no unit %s: %w", unit, host.ErrMoved)
	}
	return list[0], nil
}

// withLog adds the last lines of a unit's log to an error.
func (m manager) withLog(ctx context.Context, h *host.Host, unit string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	which := "--unit=" + unit
	if m.user {
		which = "--user-unit=" + unit
	}
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-b", "-n", "15", "-o", "short", which}, OutputLimit: 16 << 10})
	text := strings.TrimSpace(string(out.Stdout))
	if lerr != nil || text == "" {
		return err
	}
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return fmt.Errorf("%w\nthe last lines of its log:\n%s", err, text)
}
