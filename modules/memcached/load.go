package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// verb is what is done to Memcached.
type verb string

const (
	verbStart   verb = "start"
	verbRestart verb = "restart"
	verbSet     verb = "set" // while it runs
	verbStop    verb = "stop"
)

// startTime is how long it may take to answer after a start.
const startTime = 15 * time.Second

// Load has Memcached run with its file, and asks it whether it does.
type Load struct {
	Verb      verb              `json:"verb"`
	Text      string            `json:"text"` // of the file
	Auth      string            `json:"auth,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
	Addresses []string          `json:"addresses,omitempty"`
	Port      int               `json:"port,omitempty"`
	Where     place             `json:"where"` // where it is asked before
	Memory    string            `json:"memory,omitempty"`
	Was       string            `json:"was,omitempty"`
	Reads     bool              `json:"reads,omitempty"` // it reads anew who is let in
	For       []string          `json:"for,omitempty"`
	Items     int               `json:"items,omitempty"` // that a restart loses
	// Restored marks one that has the file loaded that stood there before.
	Restored bool `json:"restored,omitempty"`

	shows []string
}

// Type is "memcached.load/1".
func (*Load) Type() string { return "memcached.load/1" }

// Describe says what is done, and what is lost.
func (l *Load) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: unit, Diff: strings.Join(l.shows, "\n")}
	var says []string
	switch l.Verb {
	case verbStart:
		d.Diff = "state: stopped → running"
	case verbStop:
		d.Diff = "state: running → stopped"
	case verbRestart:
		d.Action = host.Restart
		if len(l.For) > 0 {
			says = append(says, "for "+strings.Join(l.For, ", "))
		}
		if says = append(says, "ends its connections"); l.Items > 0 {
			says = append(says, "loses its "+host.Counted(l.Items, "item", "items"))
		}
	case verbSet:
		if says = append(says, "while it runs: its items stay"); l.Reads {
			says = append(says, "reads anew who is let in")
		}
	}
	if l.Restored {
		says = append(says, "with the file that stood there before")
	}
	d.Impact = strings.Join(says, "; ")
	return d
}

// Effects is what it runs with.
func (l *Load) Effects() []host.Effect {
	if l.Restored {
		return []host.Effect{host.Open(serverKey.Space, serverKey.Name), host.Open(host.Units, unit)}
	}
	list := []host.Effect{host.Is(serverKey, running{Where: l.Where, Text: l.Text, Auth: l.Auth})}
	if l.Verb == verbStart {
		list = append(list, host.Open(host.Units, unit))
	}
	return list
}

// Want is the file that it runs with.
func (l *Load) Want() any { return Load{Text: l.Text, Auth: l.Auth, Restored: l.Restored} }

// Apply has Memcached load its file.
func (l *Load) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if l.Restored {
		return host.Result{}, l.restore(ctx, h)
	}
	text, err := os.ReadFile(configPath)
	if err != nil || string(text) != l.Text {
		return host.Result{}, fmt.Errorf("%s: %w", configPath, host.ErrMoved)
	}
	undo := &Load{Verb: l.Verb, Where: l.Where, Memory: l.Was, Reads: l.Reads, Restored: true}
	if l.Verb == verbStart {
		undo.Verb = verbStop
	}
	if err := h.Begin(host.Undo{After: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	if l.Verb == verbSet {
		err = l.set(ctx, h)
	} else {
		err = restarted(ctx, h, placeOf(l.Text))
	}
	if err == nil {
		err = l.verify(ctx, h)
	}
	if err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("asked what Memcached runs with")
}

// set changes the running Memcached.
func (l *Load) set(ctx context.Context, h *host.Host) error {
	if l.Reads {
		if err := readAgain(ctx, h); err != nil {
			return err
		}
		if err := h.At("read who is let in"); err != nil {
			return err
		}
	}
	if l.Memory == "" {
		return nil
	}
	bytes, err := strconv.ParseUint(l.Memory, 10, 64)
	if err != nil {
		return err
	}
	c, err := reached(ctx, h, l.Where)
	if err != nil {
		return unanswered(err)
	}
	defer c.Close()
	if err := c.limit(ctx, bytes>>20); err != nil {
		return err
	}
	return h.At("set the memory")
}

// reached connects to a Memcached that is about to answer, unless it has ended.
func reached(ctx context.Context, h *host.Host, p place) (*conn, error) {
	ctx, stop := context.WithTimeout(ctx, startTime)
	defer stop()
	t, look := time.NewTicker(50*time.Millisecond), time.NewTicker(300*time.Millisecond)
	defer t.Stop()
	defer look.Stop()
	for {
		auth, err := p.authOf(ctx, onHost)
		if err != nil {
			return nil, err
		}
		c, err := p.dial(ctx, h.Dial, auth)
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-look.C:
			if err := ended(ctx, h); err != nil {
				return nil, err
			}
		case <-t.C:
		}
	}
}

// restarted restarts Memcached, or starts it, and waits until it answers.
func restarted(ctx context.Context, h *host.Host, p place) error {
	_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
	since := time.Now()
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "restart", "--", unit}}); err != nil {
		return withLog(ctx, h, since, err)
	}
	if err := h.At("restarted"); err != nil {
		return err
	}
	c, err := reached(ctx, h, p)
	if errors.Is(err, errEnded) {
		return withLog(ctx, h, since, err)
	} else if err != nil {
		return withLog(ctx, h, since, fmt.Errorf("the server doesn't answer after its start: %w", err))
	}
	return c.Close()
}

// verify asks Memcached for what it runs with, and whether it answers on each address.
func (l *Load) verify(ctx context.Context, h *host.Host) error {
	p := placeOf(l.Text)
	c, err := reached(ctx, h, p)
	if err != nil {
		return unanswered(err)
	}
	defer c.Close()
	now, err := c.live(ctx)
	if err != nil {
		return unanswered(err)
	}
	if l.Settings != nil { // else what it runs with is planned once it can be asked
		runs := Load{Text: l.Text, Settings: l.Settings}
		if runs.differs(now) {
			return fmt.Errorf("the server was to run with its file, and doesn't:\n%s", strings.Join(append(runs.shows, runs.For...), "\n"))
		}
	}
	for _, a := range l.Addresses {
		if a == "0.0.0.0" || a == "::" {
			continue
		}
		raw, err := h.Dial(ctx, "tcp:"+net.JoinHostPort(a, strconv.Itoa(l.Port)))
		if err != nil {
			return fmt.Errorf("the server was to listen on %s, and doesn't: %w", a, err)
		}
		raw.Close()
	}
	return nil
}

// restore has Memcached run with the files that were put back.
func (l *Load) restore(ctx context.Context, h *host.Host) error {
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	switch l.Verb {
	case verbStop:
		_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "stop", "--", unit}})
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
		return err
	case verbSet:
		if err := l.set(ctx, h); err != nil {
			return err
		}
	default:
		text, err := os.ReadFile(configPath)
		if err != nil {
			return err
		}
		if err := restarted(ctx, h, placeOf(string(text))); err != nil {
			return err
		}
	}
	return h.At("restored")
}

// withLog adds to an error what Memcached has said since it was started.
func withLog(ctx context.Context, h *host.Host, since time.Time, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-o", "cat", "--unit=" + unit, "--since=@" + strconv.FormatInt(since.Unix(), 10)}, OutputLimit: 16 << 10})
	var said []string
	for line := range strings.Lines(string(out.Stdout)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, unit) && !strings.HasPrefix(line, "Started") && !strings.HasPrefix(line, "Stopp") && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	if lerr != nil || len(said) == 0 {
		return err
	}
	text := strings.Join(said[max(0, len(said)-6):], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: "what it said:\n" + text}
}
