package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"muster/host"
)

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
