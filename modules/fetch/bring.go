package fetch

import (
	"context"
	"fmt"

	"muster/host"
)

// bring replaces the copy in the project's folder. Nothing is altered on the host.
type bring struct {
	Path    string       `json:"path"` // on the host, without links
	To      string       `json:"to"`   // the copy
	Key     host.Key     `json:"key"`
	Content host.Content `json:"content"`
	Was     string       `json:"was,omitempty"` // the copy's sum before; "" where there was none

	diff string
}

// Type names the encoding.
func (*bring) Type() string { return "fetch.bring/1" }

// Interruptible: the old copy stands until the new one is whole.
func (*bring) Interruptible() {}

// Want is the copy of what the host has by then.
func (c *bring) Want() any { return []string{c.Path, c.To} }

// Describe shows the copy.
func (c *bring) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: c.To, Diff: c.diff}
	if c.Was != "" {
		d.Action = host.Update
	}
	return d
}

// Effects are the copy's.
func (c *bring) Effects() []host.Effect {
	return []host.Effect{host.Is(c.Key, host.Copy{Path: c.To, Sum: c.Content.Sum, Size: c.Content.Size})}
}

// Apply sends the file, if it and its copy are what they were.
func (c *bring) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	dir, name, err := host.OpenParent(c.Path)
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	e, err := dir.Entry(name)
	if err != nil {
		return host.Result{}, err
	}
	defer e.Close()
	if e.Type() != host.Regular {
		return host.Result{}, fmt.Errorf("%w: %s is a %s", host.ErrMoved, c.Path, e.Type())
	}
	if sum, err := e.Sum(); err != nil || sum != c.Content.Sum {
		return host.Result{}, cmpErr(err, c.Path)
	}
	if was, err := h.Copies.Copy(ctx); err != nil || was.Sum != c.Was {
		return host.Result{}, cmpErr(err, c.To)
	}
	f, err := e.Open()
	if err != nil {
		return host.Result{}, err
	}
	defer f.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.Bring(ctx, c.Content, f)
}

// cmpErr is the error of a comparison, or what it came to.
func cmpErr(err error, what string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", host.ErrMoved, what)
}
