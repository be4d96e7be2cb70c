package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"muster/host"
)

// PullImage makes a reference stand for an image of a registry. It is pulled by its
// digest, so that it is the one that was planned, and tagged then.
type PullImage struct {
	Ref      string `json:"ref"`
	Digest   string `json:"digest"`
	Platform string `json:"platform,omitempty"`
	Former   string `json:"former,omitempty"` // the image that the tag stands for
	Here     bool   `json:"here,omitempty"`   // the image is on the host; only the tag isn't
}

// Type is "docker.image.pull/1".
func (*PullImage) Type() string { return "docker.image.pull/1" }

// Want is the image.
func (p *PullImage) Want() any { return PullImage{Ref: p.Ref, Digest: p.Digest, Platform: p.Platform} }

// Interruptible: a pull that is ended leaves nothing.
func (*PullImage) Interruptible() {}

// Describe names the image and what it becomes.
func (p *PullImage) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: "image " + familiar(p.Ref)}
	if p.Former != "" {
		d.Action = host.Update
		d.Diff = fmt.Sprintf("image: %s → %s", short(p.Former), short(p.Digest))
	} else if !strings.Contains(p.Ref, "@") {
		d.Diff = "digest: " + p.Digest
	}
	if p.Here {
		d.Impact = "is on the host under another name"
	}
	return d
}

// short is the beginning of a digest, as docker shows it.
func short(digest string) string {
	return strings.TrimPrefix(digest, "sha256:")[:min(12, len(strings.TrimPrefix(digest, "sha256:")))]
}

// Effects is what stands at the reference.
func (p *PullImage) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: images, Name: p.Ref}, kept{Digest: p.Digest})}
}

// Apply pulls and tags it.
func (p *PullImage) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	r, err := parseRef(p.Ref)
	if err != nil {
		return host.Result{}, err
	}
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := idOf(ctx, c, p.Ref)
	if err != nil {
		return host.Result{}, unanswered(err)
	}
	here, err := idOf(ctx, c, r.at(p.Digest))
	switch {
	case err != nil:
		return host.Result{}, err
	case now != p.Former && (now != here || here == ""):
		return host.Result{}, fmt.Errorf("the image %s: %w", r.short(), host.ErrMoved)
	}
	back := &UntagImage{Ref: p.Ref, Digest: p.Digest, Former: p.Former, Keep: here != ""}
	if err := h.Begin(host.Undo{Changes: []host.Change{back}}); err != nil {
		return host.Result{}, err
	}
	if here == "" {
		if err := p.pull(ctx, h, c, r); err != nil {
			return host.Result{}, err
		}
		if err := h.At("pulled the image"); err != nil {
			return host.Result{}, err
		}
	}
	if r.digest == "" {
		if _, err := c.ImageTag(ctx, client.ImageTagOptions{Source: r.at(p.Digest), Target: p.Ref}); err != nil {
			return host.Result{}, err
		}
	}
	return host.Result{}, nil
}

func (p *PullImage) pull(ctx context.Context, h *host.Host, c *client.Client, r ref) error {
	auth, err := credentials(ctx, host.NewView(h, nil), r.registry())
	if err != nil {
		return err
	}
	opts := client.ImagePullOptions{RegistryAuth: auth}
	if os, rest, ok := strings.Cut(p.Platform, "/"); ok {
		arch, variant, _ := strings.Cut(rest, "/")
		opts.Platforms = []ocispec.Platform{{OS: os, Architecture: arch, Variant: variant}}
	}
	resp, err := c.ImagePull(ctx, r.at(p.Digest), opts)
	if err != nil {
		return refused(r, err)
	}
	defer resp.Close()
	done, total := map[string]int64{}, map[string]int64{}
	for m, err := range resp.JSONMessages(ctx) {
		switch {
		case err != nil:
			return refused(r, err)
		case m.Error != nil:
			return refused(r, errors.New(m.Error.Message))
		case m.Progress != nil && m.Status == "Downloading" && h.Report != nil:
			done[m.ID], total[m.ID] = m.Progress.Current, m.Progress.Total
			h.Report(fmt.Sprintf("pulling %s: %d of %d MB", r.short(), sum(done)>>20, sum(total)>>20))
		}
	}
	return nil
}

func sum(m map[string]int64) (n int64) {
	for _, k := range m {
		n += k
	}
	return n
}

// idOf returns the image that a reference stands for on the host, "" where there is none.
func idOf(ctx context.Context, c *client.Client, reference string) (string, error) {
	i, err := c.ImageInspect(ctx, reference)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	return i.ID, err
}

// UntagImage takes a pull back: the tag stands for what it stood for.
type UntagImage struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"`
	Former string `json:"former,omitempty"`
	Keep   bool   `json:"keep,omitempty"` // the image was on the host before
}

// Type is "docker.image.untag/1".
func (*UntagImage) Type() string { return "docker.image.untag/1" }

// Describe names the image.
func (u *UntagImage) Describe() host.Description {
	if u.Former == "" {
		return host.Description{Action: host.Delete, Target: "image " + familiar(u.Ref)}
	}
	return host.Description{Action: host.Update, Target: "image " + familiar(u.Ref), Diff: fmt.Sprintf("image: %s → %s", short(u.Digest), short(u.Former))}
}

// Effects is what stands at the reference.
func (u *UntagImage) Effects() []host.Effect { return []host.Effect{host.Open(images, u.Ref)} }

// Apply gives the tag back, and removes what was pulled where nothing uses it.
func (u *UntagImage) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	r, err := parseRef(u.Ref)
	if err != nil {
		return host.Result{}, err
	}
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := idOf(ctx, c, u.Ref)
	if err != nil {
		return host.Result{}, unanswered(err)
	}
	pulled, err := idOf(ctx, c, r.at(u.Digest))
	switch {
	case err != nil:
		return host.Result{}, err
	case now != u.Former && now != pulled:
		return host.Result{}, fmt.Errorf("the image %s: %w", r.short(), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if now != u.Former && u.Former != "" {
		_, err = c.ImageTag(ctx, client.ImageTagOptions{Source: u.Former, Target: u.Ref})
	} else if now != u.Former && r.digest == "" {
		_, err = c.ImageRemove(ctx, u.Ref, client.ImageRemoveOptions{})
	}
	if err == nil && pulled != "" && !u.Keep {
		_, err = c.ImageRemove(ctx, r.at(u.Digest), client.ImageRemoveOptions{PruneChildren: true})
	}
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		err = nil // a container uses it, or it went with its tag
	}
	return host.Result{}, err
}

// RemoveImage removes a reference, and the image where it was its only one.
type RemoveImage struct {
	Ref  string `json:"ref"`
	ID   string `json:"id"`
	Size int64  `json:"-"`
}

// Type is "docker.image.remove/1".
func (*RemoveImage) Type() string { return "docker.image.remove/1" }

// Describe names the image.
func (r *RemoveImage) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: "image " + familiar(r.Ref), Impact: fmt.Sprintf("%s, %d MB", short(r.ID), r.Size>>20)}
}

// Effects is what stands at the reference.
func (r *RemoveImage) Effects() []host.Effect {
	return []host.Effect{host.Gone(host.Key{Space: images, Name: r.Ref})}
}

// Apply removes it. Nothing takes that back: the registry may no longer have it.
func (r *RemoveImage) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := acting(h)
	if err != nil {
		return host.Result{}, err
	}
	now, err := idOf(ctx, c, r.Ref)
	switch {
	case err != nil:
		return host.Result{}, unanswered(err)
	case now == "":
		return host.Result{}, nil
	case now != r.ID:
		return host.Result{}, fmt.Errorf("the image %s: %w", familiar(r.Ref), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	_, err = c.ImageRemove(ctx, r.Ref, client.ImageRemoveOptions{PruneChildren: true})
	return host.Result{}, err
}
