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
	if _, text, ok := strings.Cut(err.Error(), "Error response from daemon: "); ok {
		return errors.New(text)
	}
	return err
}

// limits are what Docker alters without making a container anew.
type limits struct {
	Restart  string `json:"restart"`
	Memory   int64  `json:"memory"`
	NanoCPUs int64  `json:"nano_cpus"`
}

func limitsOf(s spec) limits { return limits{s.Restart, s.Memory, s.NanoCPUs} }

// over are the limits with those of have where they don't differ.
func (l limits) over(have limits, differ []difference) limits {
	for _, d := range differ {
		switch d.field {
		case "restart":
			have.Restart = l.Restart
		case "memory":
			have.Memory = l.Memory
		case "cpus":
			have.NanoCPUs = l.NanoCPUs
		}
	}
	return have
}

// update sets the limits of a container.
func (l limits) update(ctx context.Context, c *client.Client, id string) error {
	name, times, err := parseRestart(l.Restart)
	if err != nil {
		return err
	}
	opts := client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyMode(name), MaximumRetryCount: times}}
	if l.Memory > 0 || l.NanoCPUs > 0 {
		opts.Resources = &container.Resources{Memory: l.Memory, NanoCPUs: l.NanoCPUs}
		if l.Memory > 0 {
			opts.Resources.MemorySwap = 2 * l.Memory // as Docker has it for a new container
		}
	}
	_, err = c.ContainerUpdate(ctx, id, opts)
	return err
}

// UpdateContainer sets a container's restart policy and limits.
type UpdateContainer struct {
	Name  string   `json:"name"`
	ID    string   `json:"id"`
	From  limits   `json:"from"`
	To    limits   `json:"to"`
	Diff  string   `json:"-"`
	After standing `json:"after"`
}

// Type is "docker.container.update/1".
func (*UpdateContainer) Type() string { return "docker.container.update/1" }

// Want is the limits.
func (u *UpdateContainer) Want() any { return UpdateContainer{Name: u.Name, To: u.To} }

// Describe shows what becomes of them.
func (u *UpdateContainer) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "container " + u.Name, Diff: u.Diff}
}

// Effects is the container.
func (u *UpdateContainer) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: containers, Name: u.Name}, u.After)}
}

// Apply sets them.
func (u *UpdateContainer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := inspect(ctx, c, u.ID)
	if errdefs.IsNotFound(err) || err == nil && limitsOf(specOf(now)) != u.From && limitsOf(specOf(now)) != u.To {
		return host.Result{}, fmt.Errorf("container %s: %w", u.Name, host.ErrMoved)
	} else if err != nil {
		return host.Result{}, unanswered(err)
	}
	back := *u
	back.From, back.To = u.To, u.From
	if err := h.Begin(host.Undo{Changes: []host.Change{&back}}); err != nil {
		return host.Result{}, err
	}
	if err := u.To.update(ctx, c, u.ID); err != nil {
		return host.Result{}, fmt.Errorf("container %s: %w", u.Name, said(err))
	}
	return host.Result{}, nil
}

// RemoveContainer removes a container. Its volumes stay.
type RemoveContainer struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	Running bool   `json:"running,omitempty"`
	Secrets string `json:"secrets,omitempty"`
	Left    bool   `json:"left,omitempty"` // another one has taken its place
}

// Type is "docker.container.remove/1".
func (*RemoveContainer) Type() string { return "docker.container.remove/1" }

// Describe names it.
func (r *RemoveContainer) Describe() host.Description {
	d := host.Description{Action: host.Delete, Target: "container " + r.Name}
	switch {
	case r.Left:
		d.Impact = "the old one"
	case r.Running:
		d.Impact = "it is stopped; its volumes stay"
	}
	return d
}

// Effects is the container, and its secrets.
func (r *RemoveContainer) Effects() []host.Effect {
	return []host.Effect{host.Gone(host.Key{Space: containers, Name: r.Name}), host.Open(host.Files, secretsDir(strings.TrimSuffix(strings.TrimSuffix(r.Name, newSuffix), oldSuffix)))}
}

// Apply stops it in its own time, and removes it. Nothing takes that back.
func (r *RemoveContainer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := inspect(ctx, c, r.Name)
	switch {
	case errdefs.IsNotFound(err):
		return host.Result{}, removeSecrets(r.Secrets)
	case err != nil:
		return host.Result{}, unanswered(err)
	case now.ID != r.ID:
		return host.Result{}, fmt.Errorf("container %s: %w", r.Name, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, errors.Join(removeOne(ctx, c, r.ID), removeSecrets(r.Secrets))
}

// removeOne stops a container and removes it; one that is gone is removed.
func removeOne(ctx context.Context, c *client.Client, id string) error {
	if _, err := c.ContainerStop(ctx, id, client.ContainerStopOptions{}); err != nil && !errdefs.IsNotFound(err) {
		return said(err)
	}
	_, err := c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	if errdefs.IsNotFound(err) || err != nil && strings.Contains(err.Error(), "is already in progress") {
		return nil
	}
	return err
}

// removeSecrets removes a folder of secrets, and the one around it with the last.
func removeSecrets(dir string) error {
	if dir == "" || !strings.HasPrefix(dir, secretsRoot+"/") || filepath.Clean(dir) != dir {
		return nil
	}
	d, name, err := host.OpenParent(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer d.Close()
	if err := d.RemoveAll(name); err != nil {
		return err
	}
	if parent, last, err := host.OpenParent(filepath.Dir(dir)); err == nil {
		_ = parent.Remove(last) // it may hold another's
		parent.Close()
	}
	return nil
}
