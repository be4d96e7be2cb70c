package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"muster/host"
	"muster/modules"
)

// Link is a symbolic link, or a hard one.
type Link struct {
	// Absolute path of the link on the host.
	Path string `arg:"path,key,path,required"`
	// What the link leads to, kept as it is written: a relative target counts
	// from the link's directory. It need not exist, unless the link is hard.
	Target string `arg:"target"`
	// Make a second name of the target's file instead of a symbolic link.
	Hard bool `arg:"hard" default:"false"`
	// Replace a file, or a directory with all that is in it. Without it, only
	// another link or an empty directory is replaced.
	Force bool `arg:"force" default:"false"`
	// Whether the link is there at all. Only a link is removed; with hard, a
	// file that has this name.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// May is the path.
func (l *Link) May() []host.Effect { return []host.Effect{host.Open(host.Files, l.Path)} }

// Check refuses contradictions.
func (l *Link) Check(unknown func(string) bool) []modules.ArgError {
	errs := CheckPath("path", l.Path, unknown)
	switch {
	case unknown("target"), l.State == "absent":
	case l.Target == "":
		errs = append(errs, modules.ArgError{Arg: "target", Summary: "Missing argument", Detail: `A link needs a "target".`})
	case l.Hard && !filepath.IsAbs(l.Target):
		errs = append(errs, modules.ArgError{Arg: "target", Summary: "Wrong value", Detail: "The target of a hard link is an absolute path on the host."})
	}
	return errs
}

// Plan compares the link with what stands there.
func (l *Link) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	plan, err := l.plan(v)
	return wanting(plan, err, l.Path, l.Target, l.Hard, l.Force, l.State)
}

func (l *Link) plan(v *host.View) (modules.Plan, error) {
	if l.State == "absent" {
		types := []host.FileType{host.Symlink}
		if l.Hard {
			types = []host.FileType{host.Regular, host.Symlink}
		}
		return planAbsent(v, l.Path, types...)
	}
	path, err := v.Place(l.Path, false)
	if err != nil {
		return modules.Plan{}, err
	}
	dir, err := parent(v, path)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	if err != nil && !errors.Is(err, host.ErrNotYet) {
		return modules.Plan{}, err
	}
	if before.Type == host.Regular {
		if before.Sum, err = v.Sum(path); err != nil && !errors.Is(err, host.ErrNotYet) {
			return modules.Plan{}, err
		}
	}
	m := &host.MakeLink{Path: path, Target: l.Target, Hard: l.Hard, Before: before}
	if l.Hard {
		done, err := l.hard(v, m)
		if err != nil || done {
			return modules.Plan{}, err
		}
	} else {
		if before.Type == host.Symlink && before.Target == l.Target {
			return modules.Plan{}, nil
		}
		m.After = fresh(host.Symlink, 0, dir)
		m.After.Target = l.Target
	}
	if err := l.replaces(v, path, before); err != nil {
		return modules.Plan{}, err
	}
	return modules.Plan{Changes: []host.Change{m}}, nil
}

// hard completes the change to a hard link, or says that it is made.
func (l *Link) hard(v *host.View, m *host.MakeLink) (done bool, err error) {
	if m.Target, err = v.Place(l.Target, true); err != nil {
		return false, err
	}
	if m.After, err = v.Lstat(m.Target); err != nil {
		return false, err
	}
	switch {
	case !m.After.Exists():
		return false, fmt.Errorf("%s doesn't exist: a hard link needs its file first", m.Target)
	case m.After.Type != host.Regular:
		return false, fmt.Errorf("%s is a %s: only a file can have a second name", m.Target, m.After.Type)
	case m.Target == m.Path:
		return false, fmt.Errorf("%s would be a hard link to itself", m.Path)
	}
	m.After.Linked = m.Target
	if m.After.Sum, err = v.Sum(m.Target); err != nil {
		return false, err
	}
	if m.Before.Linked == m.Target {
		// Planned so already: it is one file, unless the target is written anew after.
		return m.Before.Sum == m.After.Sum, nil
	}
	real := v.With(nil)
	a, errA := real.Lstat(m.Target)
	b, errB := real.Lstat(m.Path)
	if errA != nil || errB != nil || !a.Same(b) {
		return false, nil
	}
	// One file now; still one unless either name is to be written.
	return !rewritten(v, m.Target) && !rewritten(v, m.Path), nil
}

// rewritten reports whether a pending change puts another file at path.
func rewritten(v *host.View, path string) bool {
	value, ok, _, err := v.Look(host.File(path))
	if err != nil || !ok {
		return err != nil
	}
	if value == nil {
		return true
	}
	planned, err := v.Sum(path)
	if err != nil {
		return true
	}
	real, err := v.With(nil).Sum(path)
	return err != nil || planned != real
}

// replaces refuses to lose anything but a link without having been asked to.
func (l *Link) replaces(v *host.View, path string, before host.FileInfo) error {
	switch before.Type {
	case host.NoFile, host.Symlink:
		return nil
	case host.Regular:
		if l.Force {
			return nil
		}
		return fmt.Errorf("%s is a file: force = true replaces it by a link", path)
	case host.Directory:
		names, err := v.ReadDir(path)
		if err != nil {
			return err
		}
		if len(names) > 0 && !l.Force {
			return fmt.Errorf("%s is a directory that isn't empty: force = true removes it with all that is in it", path)
		}
		if at := host.MountedBelow(path); at != "" {
			return fmt.Errorf("%s is a directory, and something is mounted at %s: unmount it first", path, at)
		}
		return nil
	}
	return fmt.Errorf("%s is a %s: muster doesn't replace it by a link", path, before.Type)
}
