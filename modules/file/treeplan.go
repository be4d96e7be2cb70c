package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// walker compares what is below a directory with what a task wants there.
type walker struct {
	d         *Directory
	v         *host.View
	root      string        // resolved
	before    host.FileInfo // what stands there, as far as that is known
	recursive bool
	copied    map[string]bool // what the source has, by relative path
}

// copy plans the change that makes the directory hold what the source does.
func (w *walker) copy(ctx context.Context, plan *modules.Plan, sum *string) error {
	c := &CopyTree{Path: w.root, From: w.d.FromHost}
	var m modules.Manifest
	var err error
	if c.From != "" {
		m, c.Manifest, err = w.d.theirs(w.v)
		*sum = c.Manifest.Sum
	} else {
		c.Manifest = *w.d.Source
		m, c.Cache, err = manifest(ctx, w.v, c.Manifest, w.d.cache)
	}
	if err != nil {
		return err
	}
	w.copied = make(map[string]bool, len(m.Entries))
	unforeseen, made := false, !w.before.Exists()
	dirs := map[string]host.FileInfo{".": w.before} // as they will stand
	if made {
		dirs["."] = plan.Changes[len(plan.Changes)-1].(*MakeDirectory).After
	}
	links := map[string]bool{} // paths at which something else than a directory stands, or below such
	for _, e := range m.Entries {
		w.copied[e.Path] = true
		at := filepath.Join(w.root, e.Path)
		lstat, sumOf := w.v.LstatBelow, w.v.SumBelow
		if links[filepath.Dir(e.Path)] {
			lstat, sumOf = w.v.Lstat, func(path string, _ host.FileInfo) (string, error) { return w.v.Sum(path) }
		}
		before, err := lstat(at)
		links[e.Path] = e.Type == host.Directory && (links[filepath.Dir(e.Path)] || before.Exists() && before.Type != host.Directory)
		if errors.Is(err, host.ErrNotYet) {
			unforeseen = true
		} else if err != nil {
			return err
		}
		if before.Type == host.Regular {
			before.Sum, err = sumOf(at, before)
			if err != nil {
				return err
			}
		}
		if err := w.clash(e, before); err != nil {
			return err
		}
		after := w.after(ctx, e, before, dirs[filepath.Dir(e.Path)])
		if e.Type == host.Directory {
			dirs[e.Path] = after
		}
		if before.Type == host.Regular && e.Type == host.Regular && before.Sum != e.Sum || !sameFile(before, after) {
			c.Items = append(c.Items, TreeItem{Path: e.Path, Before: before, After: after})
		}
	}
	if w.d.Purge {
		if c.Purge, err = w.foreign("", nil); err != nil {
			return err
		}
	}
	if len(c.Items) == 0 && len(c.Purge) == 0 {
		return nil
	}
	c.summarize(made)
	if unforeseen && !made {
		return fmt.Errorf("what an earlier task brings below %s is %w", w.root, host.ErrNotYet)
	}
	plan.Changes = append(plan.Changes, c)
	return nil
}

// clash refuses to put an entry in the place of something that would be lost
// without having been asked for.
func (w *walker) clash(e modules.Entry, before host.FileInfo) error {
	at := filepath.Join(w.root, e.Path)
	replaceable := !before.Exists() || before.Type == e.Type ||
		e.Type != host.Directory && (before.Type == host.Regular || before.Type == host.Symlink)
	switch {
	case replaceable, w.d.Purge && (before.Type == host.Directory || before.Type == host.Regular || before.Type == host.Symlink):
		return nil
	case before.Type == host.Directory:
		return fmt.Errorf("%s is a directory, where the source has a %s: purge = true removes it", at, e.Type)
	}
	return fmt.Errorf("%s is a %s, where the source has a %s", at, before.Type, e.Type)
}

// after is an entry as it will stand.
func (w *walker) after(ctx context.Context, e modules.Entry, before, dir host.FileInfo) host.FileInfo {
	after := before
	switch {
	case before.Type != e.Type:
		after = fresh(e.Type, e.Mode, dir)
	case e.Type == host.Regular && (before.Mode^e.Mode)&0o100 != 0, w.d.FromHost != "":
		after.Mode = e.Mode
	}
	if e.Type == host.Symlink {
		after.Mode = 0
	} else if w.recursive && w.d.Mode != nil {
		after.Mode = w.d.Mode.Apply(after.Mode, e.Type == host.Directory)
	}
	after.Sum, after.Size, after.Target = e.Sum, e.Size, e.Target
	after.Sensitive = w.d.Source != nil && w.d.Source.Sensitive && e.Type == host.Regular
	if after.Sensitive && before.Type != e.Type && !(w.recursive && w.d.Mode != nil) {
		after.Mode &^= 0o077
	}
	after.Owner, after.Group = ownership(ctx, w.v, w.d.Owner, w.d.Group, after)
	return after
}

func sameFile(a, b host.FileInfo) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.Owner == b.Owner && a.Group == b.Group && a.Target == b.Target
}

// foreign lists what stands in the directory and isn't in the source, the
// uppermost of each.
func (w *walker) foreign(rel string, list []string) ([]string, error) {
	names, err := w.v.ReadDir(filepath.Join(w.root, rel))
	if err != nil {
		if absent, statErr := w.v.Lstat(filepath.Join(w.root, rel)); statErr == nil && !absent.Exists() {
			return list, nil
		}
		return nil, err
	}
	for _, name := range names {
		at := filepath.Join(rel, name)
		info, err := w.v.Lstat(filepath.Join(w.root, at))
		switch {
		case err != nil:
			return nil, err
		case !info.Exists():
		case !w.copied[at]:
			if mounted := host.MountedBelow(filepath.Join(w.root, at)); mounted != "" {
				return nil, fmt.Errorf("%s isn't in the source and would be purged, but something is mounted there", mounted)
			}
			list = append(list, at)
		case info.Type == host.Directory:
			if list, err = w.foreign(at, list); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// below plans the change that gives everything in the directory its mode and
// owner, but for what the source has: copying looks after that.
func (w *walker) below(ctx context.Context, plan *modules.Plan) error {
	s := &SetTree{Path: w.root}
	if err := w.attributes(ctx, "", s); err != nil {
		return err
	}
	if len(s.Items) > 0 {
		s.summarize()
		plan.Changes = append(plan.Changes, s)
	}
	if _, _, open, err := w.v.Look(host.File(filepath.Join(w.root, "*"))); err == nil && open {
		plan.Then = append(plan.Then, w.forecast())
	}
	return nil
}

func (w *walker) forecast() host.Description {
	return host.Description{Action: host.Update, Target: w.root, Impact: "mode and owner of what earlier tasks bring"}
}

func (w *walker) attributes(ctx context.Context, rel string, s *SetTree) error {
	names, err := w.v.ReadDir(filepath.Join(w.root, rel))
	if err != nil {
		return err
	}
	for _, name := range names {
		at := filepath.Join(rel, name)
		if strings.HasPrefix(name, ".muster-") && strings.HasSuffix(name, ".tmp") {
			continue // host.Temporary: a killed run left it, and the copy takes it away
		}
		before, err := w.v.Lstat(filepath.Join(w.root, at))
		if err != nil {
			return err
		}
		if !w.copied[at] && before.Exists() && !(w.d.Purge && w.copied != nil) {
			after := before
			if w.d.Mode != nil && before.Type != host.Symlink {
				after.Mode = w.d.Mode.Apply(before.Mode, before.Type == host.Directory)
			}
			after.Owner, after.Group = ownership(ctx, w.v, w.d.Owner, w.d.Group, before)
			if after != before {
				s.Items = append(s.Items, TreeItem{Path: at, Before: before, After: after})
			}
		}
		if before.Type == host.Directory && !(w.d.Purge && w.copied != nil && !w.copied[at]) {
			if err := w.attributes(ctx, at, s); err != nil {
				return err
			}
		}
	}
	return nil
}
