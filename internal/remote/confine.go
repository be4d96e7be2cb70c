package remote

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/wire"
)

// A worker runs as its user, who may have taken it over. What it says counts as far
// as the user could have made it true:
//
//   - an effect lies within what this process finds the task may alter at most;
//   - what a file effect leaves stands where the user may put it, and is theirs;
//   - accounts, packages and kernel parameters aren't a user's to alter.
//
// Anything else ends the worker. What only leaves something open claims nothing: a
// program may do more than its user (sudo, polkit). Behind a program that may have
// let the user do anything, a claim is taken for that much.

// confine returns the effects of a worker's task as they count.
func (s *server) confine(ctx context.Context, d *delegate, wt wire.Task, effects []host.Effect) ([]host.Effect, error) {
	if len(effects) == 0 {
		return nil, nil
	}
	t := &task{Task: wt}
	if t.module, _ = s.session.Kinds.Decode(wt.Kind, wt.Args); t.module == nil {
		return nil, fmt.Errorf("something, by a task of no kind")
	}
	bound := append(s.session.bound(t), t.may()...)
	preview := s.session.preview.Clone()
	p := &placer{id: s.session.identity(ctx, d.user), view: s.session.real.With(preview), dirs: map[string]error{}}
	c := confiner{server: s, d: d, task: t, placer: p, preview: preview, anything: covers(bound, host.Key{Space: host.All, Name: host.All})}
	for _, e := range effects {
		if !covers(bound, e.Key) {
			return nil, c.foreign(e)
		}
	}
	counted := make([]host.Effect, len(effects))
	for _, i := range directoriesFirst(effects) {
		e, err := c.effect(effects[i])
		if err != nil {
			return nil, err
		}
		counted[i] = e
		preview.Lay([]host.Effect{e})
		if e.Key.Space == host.Files {
			delete(p.dirs, e.Key.Name)
		}
	}
	return counted, nil
}

// directoriesFirst orders effects so that a directory comes before what is in it.
func directoriesFirst(effects []host.Effect) []int {
	var dirs, rest []int
	for i, e := range effects {
		var info host.FileInfo
		if e.Key.Space == host.Files && e.State == host.Present && host.Unmarshal(e.Value, &info) == nil && info.Type == host.Directory {
			dirs = append(dirs, i)
		} else {
			rest = append(rest, i)
		}
	}
	slices.SortStableFunc(dirs, func(a, b int) int { return strings.Compare(effects[a].Key.Name, effects[b].Key.Name) })
	return append(dirs, rest...)
}

type confiner struct {
	*server
	d        *delegate
	task     *task
	placer   *placer
	preview  *host.Preview
	anything bool // the task runs a program of which nobody can tell what it does
}

func (c *confiner) foreign(e host.Effect) error {
	return fmt.Errorf("%s, which %s may not alter", e.Key, c.d.user)
}

// effect returns one effect as it counts.
func (c *confiner) effect(e host.Effect) (host.Effect, error) {
	switch {
	case e.State == host.Unknown, e.State == host.Possible:
		e.Value = nil
		return e, nil
	case e.State != host.Present && e.State != host.Absent, e.Key.Name == host.All, e.Key.Space == host.All:
		return e, c.foreign(e)
	}
	switch e.Key.Space {
	case host.Files:
		return c.file(e)
	case host.Units: // polkit may let the user; only the host can tell
		return host.Open(e.Key.Space, e.Key.Name), nil
	}
	if onlyRoots(e.Key) && !c.placer.id.Root {
		return e, c.foreign(e)
	}
	return e, nil
}

// onlyRoots reports whether a key is of a space that no user but root can alter.
func onlyRoots(key host.Key) bool {
	return slices.Contains([]string{host.Users, host.Groups, host.Packages, host.Kernel}, key.Space)
}

// file returns a file effect as it counts.
func (c *confiner) file(e host.Effect) (host.Effect, error) {
	path := e.Key.Name
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return e, c.foreign(e)
	}
	old, err := c.placer.view.Lstat(path)
	if err != nil {
		// What can't be told here, the worker can't tell either; or it is on a file
		// system that root has no access to.
		return host.Open(host.Files, path), nil
	}
	err = c.placer.free(path)
	switch {
	case errors.Is(err, errForeign) && e.State == host.Present && c.placer.id.Owners[old.Owner] && old.Exists():
		// Theirs to alter, though not to replace.
		return c.altered(e, old, true)
	case errors.Is(err, errForeign) && e.State == host.Present && old.Type == host.Regular && c.placer.id.Perhaps(old, host.MayWrite):
		return c.altered(e, old, true)
	case errors.Is(err, errForeign) && (c.session.preview.Tainted() || c.session.loosened(filepath.Dir(path)) || c.anything && c.named(path)):
		// A program before it may let the user, or a unit mount what is theirs; or a
		// program with other rights than its user's makes or removes it.
		return host.Open(host.Files, path), nil
	case errors.Is(err, errForeign):
		return e, c.foreign(e)
	case err != nil:
		return host.Open(host.Files, path), nil
	case e.State == host.Absent:
		return host.Gone(e.Key), nil
	}
	return c.altered(e, old, false)
}

// named reports whether a path is among the task's arguments.
func (c *confiner) named(path string) bool {
	return slices.ContainsFunc(c.task.paths(), func(arg string) bool { return arg == path || c.session.resolved(arg) == path })
}

// altered returns a file that a user leaves as it counts: theirs, or whose it was,
// with content that their tasks brought, or that isn't told. With kept, what stands
// there stays the same thing.
func (c *confiner) altered(e host.Effect, old host.FileInfo, kept bool) (host.Effect, error) {
	var info host.FileInfo
	if err := host.Unmarshal(e.Value, &info); err != nil || !info.Exists() || kept && info.Type != old.Type {
		return e, c.foreign(e)
	}
	theirs := c.placer.id.Root || c.placer.id.Owners[info.Owner] || info.Owner == ""
	if !theirs && info.Linked != "" { // a second name of what may be somebody else's
		if named, err := c.placer.view.Lstat(info.Linked); err == nil && named.Type == info.Type {
			theirs = info.Owner == named.Owner
		}
	}
	if !theirs && (info.Owner != old.Owner || info.Type != old.Type) {
		return e, fmt.Errorf("%s, which %s may not give to %s", e.Key, c.d.user, info.Owner)
	}
	if info.Type == host.Symlink && !c.placer.id.Root && info.Target != old.Target {
		info.Owner = c.d.user // whatever it says: root follows links of root's
	}
	if info.Sum != "" {
		if content, ok := c.content(c.d, info.Sum); ok {
			info.Size, info.Sensitive = content.Size, content.Sensitive || info.Sensitive
		} else {
			info.Sum, info.Size, info.Withheld = "", 0, true
		}
	}
	return host.Is(e.Key, info), nil
}
