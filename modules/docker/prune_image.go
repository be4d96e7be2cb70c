package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"muster/host"
)

// PruneImage removes an image that nothing uses, with all its names.
type PruneImage struct {
	ID   string   `json:"id"`
	Refs []string `json:"refs,omitempty"` // its names as the daemon lists them, tags first
	Size int64    `json:"size"`
	// Freed is the size of this and of those that the plan has before it.
	Freed int64 `json:"-"`
}

// Type is "docker.image.prune/1".
func (*PruneImage) Type() string { return "docker.image.prune/1" }

// Describe names it, with its size.
func (p *PruneImage) Describe() host.Description {
	d := host.Description{Action: host.Delete, Target: "image " + short(p.ID), Impact: bytesOf(p.Size)}
	if len(p.Refs) == 0 {
		d.Impact += ", without a tag"
		return d
	}
	name, digest, byDigest := strings.Cut(p.Refs[0], "@")
	d.Target = "image " + p.Refs[0]
	if byDigest {
		d.Target = "image " + name + "@sha256:" + short(digest)
	}
	d.Impact += ", " + short(p.ID)
	if also := slices.DeleteFunc(slices.Clone(p.Refs[1:]), func(r string) bool { return strings.Contains(r, "@") }); len(also) > 0 {
		d.Impact += ", also " + strings.Join(also, ", ")
	}
	return d
}

// Effects is what stands at its names.
func (p *PruneImage) Effects() []host.Effect {
	list := []host.Effect{host.Gone(host.Key{Space: images, Name: p.ID})}
	for _, name := range p.Refs {
		if r, err := parseRef(name); err == nil {
			list = append(list, host.Gone(host.Key{Space: images, Name: r.String()}))
		}
	}
	return list
}

// Apply removes one name after the other: the image goes with the last one. Nothing takes
// that back: the registry may no longer have it.
func (p *PruneImage) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	output, err := json.Marshal(PruneOutput{Freed: p.Freed})
	if err != nil {
		return host.Result{}, err
	}
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	left, err := p.left(ctx, c)
	switch {
	case err != nil:
		return host.Result{}, err
	case left == nil:
		return host.Result{Output: output}, nil
	}
	if users, err := holding(ctx, c, func(s container.Summary) bool { return s.ImageID == p.ID }); err != nil {
		return host.Result{}, err
	} else if len(users) > 0 {
		return host.Result{}, fmt.Errorf("containers use the image %s by now, %s: %w", p.Describe().Target[len("image "):], strings.Join(users, ", "), host.ErrMoved)
	}
	if slices.ContainsFunc(left.refs(), func(name string) bool { return !slices.Contains(p.Refs, name) }) {
		return host.Result{}, fmt.Errorf("the image %s has got another name: %w", short(p.ID), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	for left != nil {
		next := p.ID
		if refs := left.refs(); len(refs) > 0 {
			next = refs[0]
		}
		// Without force: what a container has come to use meanwhile is refused.
		if _, err := c.ImageRemove(ctx, next, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !errdefs.IsNotFound(err) {
			return host.Result{}, fmt.Errorf("removing the image %s: %w", next, inWords(err))
		}
		if err := h.At("removed " + next); err != nil {
			return host.Result{}, err
		}
		was := len(left.names)
		if left, err = p.left(ctx, c); err != nil {
			return host.Result{}, err
		}
		if left != nil && (next == p.ID || len(left.names) >= was) {
			return host.Result{}, fmt.Errorf("the image %s is still there without %s: %w", short(p.ID), next, host.ErrMoved)
		}
	}
	return host.Result{Output: output}, nil
}

// left is what there still is of the image, nil where it is gone.
func (p *PruneImage) left(ctx context.Context, c *client.Client) (*heldImage, error) {
	now, err := c.ImageInspect(ctx, p.ID)
	if errdefs.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, unanswered(err)
	}
	return heldOf(image.Summary{ID: now.ID, RepoTags: now.RepoTags, RepoDigests: now.RepoDigests}), nil
}
