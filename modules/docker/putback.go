package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"muster/host"
)

// PutBack takes back that a container was made: the old one runs again under its name,
// or there is none. It recognises every state that making one goes through.
type PutBack struct {
	Name string        `json:"name"`
	Old  *old          `json:"old,omitempty"`
	Wait time.Duration `json:"wait"`
}

// Type is "docker.container.back/1".
func (*PutBack) Type() string { return "docker.container.back/1" }

// Describe names the container.
func (p *PutBack) Describe() host.Description {
	if p.Old == nil {
		return host.Description{Action: host.Delete, Target: "container " + p.Name}
	}
	return host.Description{Action: host.Update, Target: "container " + p.Name, Impact: "the one that was there before"}
}

// Effects is the container, and its secrets.
func (p *PutBack) Effects() []host.Effect {
	return []host.Effect{host.Open(containers, p.Name), host.Begins(host.Files, secretsDir(p.Name))}
}

// Apply removes the new container, and has the old one as it was.
func (p *PutBack) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	if p.Old != nil {
		if _, err := inspect(ctx, c, p.Old.ID); errdefs.IsNotFound(err) {
			return host.Result{}, fmt.Errorf("the container that was %s before: %w", p.Name, host.ErrMoved)
		} else if err != nil {
			return host.Result{}, unanswered(err)
		}
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	for _, name := range []string{p.Name, p.Name + newSuffix} {
		now, err := inspect(ctx, c, name)
		switch {
		case errdefs.IsNotFound(err), err == nil && p.Old != nil && now.ID == p.Old.ID:
			continue
		case err != nil:
			return host.Result{}, unanswered(err)
		case now.Config.Labels[isOf] != p.Name:
			return host.Result{}, fmt.Errorf("container %s: %w", name, host.ErrMoved)
		}
		if err := errors.Join(removeOne(ctx, c, now.ID), removeSecrets(now.Config.Labels[secretly])); err != nil {
			return host.Result{}, err
		}
	}
	if p.Old == nil {
		return host.Result{}, nil
	}
	return host.Result{}, p.old(ctx, h, c)
}

// old has the old container as it was.
func (p *PutBack) old(ctx context.Context, h *host.Host, c *client.Client) error {
	now, err := inspect(ctx, c, p.Old.ID)
	if err != nil {
		return err
	}
	if now.Name != "/"+p.Name {
		if _, err := c.ContainerRename(ctx, p.Old.ID, client.ContainerRenameOptions{NewName: p.Name}); err != nil {
			return said(err)
		}
	}
	if specOf(now).Restart != p.Old.Restart {
		if err := (limits{Restart: p.Old.Restart}).update(ctx, c, p.Old.ID); err != nil {
			return said(err)
		}
	}
	if !p.Old.Running || now.State.Running {
		return nil
	}
	if _, err := c.ContainerStart(ctx, p.Old.ID, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting the container %s as it was: %w", p.Name, said(err))
	}
	if err := awaitRunning(ctx, c, p.Old.ID, p.Wait); err != nil {
		return fmt.Errorf("the container %s as it was doesn't run either: %w", p.Name, err)
	}
	return h.At("put the old container back")
}
