package docker

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"muster/host"
)

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
	// Fields are those of what is altered so that a task declares, with what was
	// noted of them before.
	Fields declaredSince `json:"fields"`
	Noted  declaredSince `json:"noted"`
}

// declaredSince is what a container was declared with after it was made: its labels can't be
// altered.
type declaredSince struct {
	ID     string   `json:"id,omitempty"` // of the container; "" for none
	Fields []string `json:"fields,omitempty"`
}

func notePath(name string) string { return filepath.Join(state, "declared-"+name) }

// noted is what is noted of a container.
func noted(ctx context.Context, v *host.View, name, id string) declaredSince {
	var n declaredSince
	data, err := v.ReadFile(ctx, notePath(name), 4096)
	if err != nil || host.Unmarshal(data, &n) != nil || n.ID != id {
		return declaredSince{}
	}
	return n
}

// write keeps the note, or removes it.
func (n declaredSince) write(name string) error {
	if n.ID == "" {
		return host.Drop(notePath(name))
	}
	d, err := host.MakeDirs(state, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(n)
	if err != nil {
		return err
	}
	return host.Put(notePath(name), data, 0o600)
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
	return []host.Effect{host.Is(host.Key{Space: containers, Name: u.Name}, u.After), host.Open(host.Files, notePath(u.Name)), {Key: host.File(state), State: host.Possible}}
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
	back.From, back.To, back.Fields, back.Noted = u.To, u.From, u.Noted, u.Fields
	if err := h.Begin(host.Undo{Changes: []host.Change{&back}}); err != nil {
		return host.Result{}, err
	}
	if err := u.To.update(ctx, c, u.ID); err != nil {
		return host.Result{}, fmt.Errorf("container %s: %w", u.Name, said(err))
	}
	return host.Result{}, u.Fields.write(u.Name)
}
