package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"muster/host"
	"muster/modules/loaded"
)

// files are those that a container has loaded, as its task names them.
type files struct {
	Restart []string `json:"restart,omitempty"`
	Reload  []string `json:"reload,omitempty"`
}

// stamp is what a container has loaded since it was started: sums by the names in a
// task. It dies with the boot, as the container's processes do.
type stamp struct {
	Started string            `json:"started"`
	Restart map[string]string `json:"restart,omitempty"`
	Reload  map[string]string `json:"reload,omitempty"`
}

const stampsDir = "/run/muster/stamps"

func stampPath(name string) string { return filepath.Join(stampsDir, "container-"+name) }

func readStamp(name string) *stamp {
	s := &stamp{}
	if data, err := os.ReadFile(stampPath(name)); err != nil || host.Unmarshal(data, s) != nil {
		return &stamp{}
	}
	return s
}

// sums are those of the files as they are, read before they are loaded: what changes in
// between is seen the next time.
func (f files) sums() (*stamp, error) {
	restart, err := loaded.Load(f.Restart)
	if err != nil {
		return nil, err
	}
	reload, err := loaded.Load(f.Reload)
	return &stamp{Restart: restart, Reload: reload}, err
}

func (s *stamp) write(name, started string) error {
	if len(s.Restart)+len(s.Reload) == 0 {
		return nil
	}
	s.Started = started
	d, err := host.MakeDirs(stampsDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(s)
	if err != nil {
		return err
	}
	return host.Put(stampPath(name), data, 0o600)
}

// What is done to a container that is as declared.
const (
	doStart   = "start"
	doStop    = "stop"
	doRestart = "restart"
	doSignal  = "signal"
	doResume  = "resume"
	doAwait   = "await"
)

// act plans what makes a container run as declared. secrets: some get new values.
func (p *planner) act(ctx context.Context, c container.Summary, secrets bool) ([]host.Change, error) {
	a := &Act{Name: p.Name, ID: c.ID, Wait: p.waits(), Files: p.files(), After: p.standing(), Signal: p.signal()}
	do := func(what, why string) ([]host.Change, error) {
		a.Do, a.Why = what, why
		return []host.Change{a}, nil
	}
	running := c.State == container.StateRunning || c.State == container.StateRestarting
	switch {
	case p.State == "stopped" && (running || c.State == container.StatePaused):
		return do(doStop, "")
	case p.State == "stopped":
		return nil, nil
	case c.State == container.StatePaused:
		return do(doResume, "it was paused")
	case !running:
		return do(doStart, "")
	}
	if secrets {
		if p.ReloadSignal != "" {
			return do(doSignal, "its secrets change")
		}
		return do(doRestart, "its secrets change")
	}
	if len(p.RestartOn)+len(p.ReloadOn) > 0 {
		have, err := p.inspected(ctx, c)
		if err != nil {
			return nil, err
		}
		was := readStamp(p.Name)
		if was.Started != have.State.StartedAt {
			was = &stamp{}
		}
		stale, err := loaded.Changed(p.v, p.RestartOn, was.Restart, started(have))
		if err != nil {
			return nil, err
		}
		if len(stale) > 0 {
			return do(doRestart, strings.Join(stale, ", ")+" changed")
		}
		if stale, err = loaded.Changed(p.v, p.ReloadOn, was.Reload, started(have)); err != nil {
			return nil, err
		}
		if len(stale) > 0 {
			return do(doSignal, strings.Join(stale, ", ")+" changed")
		}
	}
	stale, err := p.replaced()
	if err != nil {
		return nil, err
	}
	if len(stale) > 0 {
		return do(doAwait, fmt.Sprintf("it keeps the old %s, which is mounted by itself, until it is made anew: mount its folder", strings.Join(stale, ", ")))
	}
	if health := healthOf(c); c.State == container.StateRestarting || health == string(container.Unhealthy) {
		return do(doAwait, "it is "+strings.TrimPrefix(health+" ", " ")+string(c.State))
	}
	return nil, nil
}

func (p *planner) signal() string {
	if p.ReloadSignal == "" {
		return "HUP"
	}
	return p.ReloadSignal
}

// Act starts, stops, restarts or signals a container, or waits until it is healthy.
type Act struct {
	Name   string        `json:"name"`
	ID     string        `json:"id"`
	Do     string        `json:"do"`
	Signal string        `json:"signal,omitempty"`
	Why    string        `json:"why,omitempty"`
	Wait   time.Duration `json:"wait"`
	Files  files         `json:"files"`
	After  standing      `json:"after"`
}

// Type is "docker.container.act/1".
func (*Act) Type() string { return "docker.container.act/1" }

// Want is what is done.
func (a *Act) Want() any { return Act{Name: a.Name, Do: a.Do, Signal: a.Signal} }

// Describe says what is done and why.
func (a *Act) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: "container " + a.Name, Impact: a.Why}
	switch a.Do {
	case doStart:
		d.Diff = "state: stopped → running"
	case doStop:
		d.Diff = "state: running → stopped"
	case doResume:
		d.Diff = "state: paused → running"
	case doRestart:
		d.Action = host.Restart
	case doSignal:
		d.Action = host.Reload
		d.Impact = strings.TrimPrefix(d.Impact+"; signal "+a.Signal, "; ")
	case doAwait:
		d.Action = host.Check
	}
	return d
}

// Effects is the container, and the note of what it has loaded.
func (a *Act) Effects() []host.Effect {
	list := []host.Effect{host.Is(host.Key{Space: containers, Name: a.Name}, a.After)}
	return append(list, a.Files.effects(a.Name)...)
}

// effects is the note of what a container has loaded.
func (f files) effects(name string) []host.Effect {
	if len(f.Restart)+len(f.Reload) == 0 {
		return nil
	}
	return []host.Effect{host.Open(host.Files, stampPath(name))}
}

// Apply does it, and looks whether the container stays up.
func (a *Act) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := inspect(ctx, c, a.ID)
	if errdefs.IsNotFound(err) {
		return host.Result{}, fmt.Errorf("container %s: %w", a.Name, host.ErrMoved)
	} else if err != nil {
		return host.Result{}, unanswered(err)
	}
	note, err := a.Files.sums()
	if err != nil {
		return host.Result{}, err
	}
	if a.Do != doAwait {
		if err := h.Begin(a.undo(now.State.Running)); err != nil {
			return host.Result{}, err
		}
	}
	switch a.Do {
	case doStart:
		_, err = c.ContainerStart(ctx, a.ID, client.ContainerStartOptions{})
	case doStop:
		if _, err = c.ContainerStop(ctx, a.ID, client.ContainerStopOptions{}); err == nil {
			return host.Result{}, h.At("stopped the container")
		}
	case doRestart:
		_, err = c.ContainerRestart(ctx, a.ID, client.ContainerRestartOptions{})
	case doSignal:
		_, err = c.ContainerKill(ctx, a.ID, client.ContainerKillOptions{Signal: a.Signal})
	case doResume:
		_, err = c.ContainerUnpause(ctx, a.ID, client.ContainerUnpauseOptions{})
	}
	if err != nil {
		return host.Result{}, fmt.Errorf("container %s: %w", a.Name, said(err))
	}
	if err := h.At("told Docker to " + a.Do); err != nil {
		return host.Result{}, err
	}
	if err := awaitRunning(ctx, c, a.ID, a.Wait); err != nil {
		return host.Result{}, fmt.Errorf("container %s: %w", a.Name, err)
	}
	if now, err = inspect(ctx, c, a.ID); err != nil {
		return host.Result{}, err
	}
	if a.Do == doSignal {
		note.Restart = loaded.Merged(note.Restart, readStamp(a.Name).Restart) // these weren't loaded anew
	}
	return host.Result{}, note.write(a.Name, now.State.StartedAt)
}

// undo takes it back: what was started is stopped; what was restarted or signalled is
// that again, once its secrets are restored.
func (a *Act) undo(running bool) host.Undo {
	again := *a
	again.Why = ""
	switch a.Do {
	case doStart:
		again.Do = doStop
	case doStop:
		again.Do = doStart
	case doRestart, doSignal:
		return host.Undo{After: []host.Change{&again}}
	default:
		return host.Undo{}
	}
	if running == (a.Do == doStart) {
		again.Do = a.Do // it was so before
	}
	return host.Undo{Changes: []host.Change{&again}}
}

// said is a daemon's error without what the client puts before it.
func said(err error) error {
	if strings.Contains(err.Error(), "port is already allocated") {
		return fmt.Errorf("%w. Where nothing on the host has that port, Docker holds it for a container that was cut off with the host: systemctl restart docker frees it", plainly(err))
	}
	return plainly(err)
}

func plainly(err error) error {
	if _, text, ok := strings.Cut(err.Error(), "Error response from daemon: "); ok {
		return errors.New(text)
	}
	return err
}
