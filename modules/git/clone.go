package git

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"muster/host"
)

// Clone makes a checkout where there is nothing.
type Clone struct {
	Path       string `json:"path"`
	Repository string `json:"repository"`
	Source
	Access
}

// Type is "git.clone/2".
func (*Clone) Type() string { return "git.clone/2" }

// Describe names the repository.
func (c *Clone) Describe() host.Description {
	return host.Description{Action: host.Create, Target: c.Path, Diff: fmt.Sprintf("%s, %s at %s%s", c.Repository, named(c.Branch), c.Commit[:12], depth(c.Depth))}
}

func depth(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of its commits", n)
}

func named(branch string) string {
	if branch == "" {
		return "no branch"
	}
	return "branch " + branch
}

// part is where the clone is made, before it gets its name.
func (c *Clone) part() string { return c.Path + ".muster-clone" }

// Effects is the checkout, and where it is made.
func (c *Clone) Effects() []host.Effect {
	return []host.Effect{host.Open(host.Files, c.Path), host.Begins(host.Files, c.Path+"/"), host.Begins(host.Files, c.part())}
}

// Interruptible: a clone that is cut off is made anew.
func (*Clone) Interruptible() {}

// Apply clones beside the path, and renames.
func (c *Clone) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	dir, err := host.OpenDir(filepath.Dir(c.Path))
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	name, part := filepath.Base(c.Path), filepath.Base(c.part())
	if info, err := dir.Lstat(name); err != nil || info.Exists() {
		return host.Result{}, errors.Join(err, fmt.Errorf("%s is there: %w", c.Path, host.ErrMoved))
	}
	undo := &host.RunProgram{Argv: []string{"rm", "-rf", "--", c.Path, c.part()}, Does: host.Description{Action: host.Delete, Target: c.Path}}
	if err := h.Begin(host.Undo{Changes: []host.Change{undo}}); err != nil {
		return host.Result{}, err
	}
	if err := dir.RemoveAll(part); err != nil {
		return host.Result{}, fmt.Errorf("removing what a clone that was cut off left: %w", err)
	}
	git, err := c.open(ctx, h.Bodies.Read)
	if err != nil {
		return host.Result{}, err
	}
	defer git.close()
	if err := c.room(dir, part); err != nil {
		return host.Result{}, err
	}
	if err := c.fill(ctx, h, git); err != nil {
		return host.Result{}, errors.Join(err, dir.RemoveAll(part))
	}
	if err := dir.RenameNew(part, name); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("cloned " + c.Path)
}

// room makes the folder for a user who may not make it there.
func (c *Clone) room(dir *host.Dir, part string) error {
	if c.As == nil {
		return nil
	}
	e, err := dir.MakeDir(part)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.Chmod(0o755); err != nil {
		return err
	}
	return e.Chown(c.As.UID, c.As.GID)
}

// fill makes the checkout, where it gets no name yet.
func (c *Clone) fill(ctx context.Context, h *host.Host, git *reach) error {
	steps := [][]string{{"clone", "--quiet", "--no-checkout", "--", c.Repository, c.part()}}
	if c.Depth > 0 { // git clone takes no depth for a commit
		steps = append([][]string{{"init", "--quiet", "--", c.part()}},
			in(c.part(), []string{"remote", "add", "--", "origin", c.Repository}, c.alone())...)
	}
	if err := git.run(ctx, h, steps); err != nil {
		return err
	}
	if err := c.complete(ctx, h, git, c.part()); err != nil {
		return err
	}
	steps = [][]string{{"checkout", "--quiet", "--detach", c.Commit}}
	if c.Branch != "" {
		steps = [][]string{{"checkout", "--quiet", "-B", c.Branch, "--track", "origin/" + c.Branch}, {"reset", "--quiet", "--hard", c.Commit}}
	}
	return git.run(ctx, h, in(c.part(), append(steps, c.submodules(false)...)...))
}
