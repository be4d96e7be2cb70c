package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// Directory is a directory, and with source a whole tree.
//
// Its parent must exist, or be made by an earlier task, unless parents is set.
// Mode, owner and group are those of the directory itself; recurse extends them
// to everything below.
type Directory struct {
	// Absolute path on the host.
	Path string `arg:"path,key,path,required"`
	// Permissions, octal ("0755") or symbolic ("u=rwX,go=rX"). A new directory
	// has 0755.
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns it. A tree that is copied belongs to that user too. With
	// recurse, files below keep setuid and setgid, and lose capabilities.
	Owner string `arg:"owner"`
	// The group it belongs to. A tree that is copied belongs to it too.
	Group string `arg:"group"`
	// Give everything below the directory the mode and the owner too. With an
	// octal mode, files get the same bits as directories: "u=rwX,go=rX" tells
	// them apart. Links get the owner only, and aren't followed.
	Recurse bool `arg:"recurse" default:"false"`
	// Whether the directory is there at all. One that is to be absent is
	// removed with all that is in it.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// A folder of the project to copy, with its links as links. New files get
	// 0644, or 0755 where the project's file is executable; existing ones keep
	// their mode, but for that.
	Source *host.Content `arg:"source,tree"`
	// A host of the inventory to copy the tree from, in place of the project. New
	// files, and existing ones, get the permissions that they have there, without
	// setuid and setgid; owners are those of this task. The other host is read as
	// the user who acts here: as root, whatever root reads there.
	FromHost string `arg:"from_host"`
	// The directory on that host; by default the one that has this path there.
	FromPath string `arg:"from_path"`
	// Have what the other host sends go through the machine that muster runs on,
	// where the two can't connect to each other.
	Relay bool `arg:"relay" default:"false"`
	// Remove what stands in the directory and the source lacks.
	Purge bool `arg:"purge" default:"false"`
	// Make missing parents too, with mode 0755. What an earlier package may
	// bring is planned as well, and left as it is if it has been brought.
	Parents bool `arg:"parents" default:"false"`

	cache       string // where manifests are kept; "": the host's usual place
	fromUnknown bool   // from_host is given, and not known yet
}

// Withhold hides the lines of what is sensitive.
func (d *Directory) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "mode", "owner", "group")
}

// May is the directory with all below it, and the parents that it may make.
func (d *Directory) May() []host.Effect {
	list := []host.Effect{host.Open(host.Files, d.Path)}
	for at := filepath.Dir(d.Path); d.Path != "" && d.Parents && at != "/"; at = filepath.Dir(at) {
		list = append(list, host.Effect{Key: host.File(at), State: host.Possible})
	}
	return list
}

// Check refuses contradictions.
func (d *Directory) Check(unknown func(string) bool) []modules.ArgError {
	errs := CheckPath("path", d.Path, unknown)
	wrong := func(arg, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: "Conflicting arguments", Detail: detail})
	}
	if d.State == "absent" {
		if d.Source != nil || d.FromHost != "" || d.FromPath != "" || d.Mode != nil || d.Owner != "" || d.Group != "" || d.Recurse || d.Purge {
			wrong("state", "A directory that is to be absent has no source, mode or owner.")
		}
		if len(errs) == 0 && !unknown("path") && filepath.Clean(d.Path) == "/" {
			wrong("path", "The root directory can't be absent.")
		}
		return errs
	}
	errs = append(errs, d.checkFrom(unknown, wrong)...)
	if d.Purge && d.Source == nil && !unknown("source") && d.FromHost == "" && !unknown("from_host") {
		wrong("purge", `"purge" removes what the source lacks: it needs a "source", or "from_host".`)
	}
	if d.Recurse && d.Mode == nil && d.Owner == "" && d.Group == "" && !unknown("mode") && !unknown("owner") && !unknown("group") {
		wrong("recurse", `"recurse" extends mode, owner and group to what is below: give at least one of them.`)
	}
	return errs
}

// Plan compares the directory with what stands there.
func (d *Directory) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	sum := ""
	if d.Source != nil {
		sum = d.Source.Sum
	}
	plan, err := d.plan(ctx, v, &sum)
	return wanting(plan, err, d.Path, d.Mode, d.Owner, d.Group, d.Recurse, d.State, sum, d.Purge)
}

// plan plans the directory; sum is the tree's.
func (d *Directory) plan(ctx context.Context, v *host.View, sum *string) (modules.Plan, error) {
	if d.State == "absent" {
		return d.planAbsent(v)
	}
	path, err := v.Place(d.Path, true)
	if err != nil {
		return modules.Plan{}, err
	}
	if err := owners(ctx, v, d.Owner, d.Group); err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	unforeseen := errors.Is(err, host.ErrNotYet)
	if err != nil && !unforeseen {
		return modules.Plan{}, err
	}
	var plan modules.Plan
	if before.Exists() {
		err = d.planAttr(ctx, v, path, before, &plan)
	} else {
		err = d.planMake(ctx, v, path, unforeseen, &plan)
	}
	if err != nil {
		return modules.Plan{}, err
	}
	w := &walker{d: d, v: v, root: path, before: before, recursive: d.Recurse}
	if d.Source != nil || d.FromHost != "" {
		if err := w.copy(ctx, &plan, sum); err != nil {
			return modules.Plan{}, err
		}
	}
	switch {
	case d.Recurse && before.Exists():
		err = w.below(ctx, &plan)
	case d.Recurse && unforeseen:
		plan.Then = append(plan.Then, w.forecast())
	}
	return plan, err
}

// planAttr looks after the directory's own mode and owner.
func (d *Directory) planAttr(ctx context.Context, v *host.View, path string, before host.FileInfo, plan *modules.Plan) error {
	if before.Type != host.Directory {
		return fmt.Errorf("%s is a %s, not a directory", path, before.Type)
	}
	after := before
	if d.Mode != nil {
		after.Mode = d.Mode.Apply(before.Mode, true)
	}
	after.Owner, after.Group = ownership(ctx, v, d.Owner, d.Group, before)
	if after == before {
		return nil
	}
	plan.Changes = append(plan.Changes, &host.SetAttr{Path: path, Attr: differing(before, after), Before: before, After: after})
	return mayGive(path, before, after)
}

// planMake makes the directory, and its parents where that is asked for. What
// an earlier task may bring is planned, too, and left alone at its turn if it
// has been brought.
func (d *Directory) planMake(ctx context.Context, v *host.View, path string, brought bool, plan *modules.Plan) error {
	var makes []*MakeDirectory // the missing parents, the innermost first
	var dir host.FileInfo
	for at := path; ; at = filepath.Dir(at) {
		var err error
		var missing missingParent
		dir, err = parent(v, at)
		switch absent := errors.As(err, &missing); {
		case absent && !d.Parents:
			return fmt.Errorf("the directory %s doesn't exist: set parents = true to have it made, or add a directory task before this one", missing.path)
		case err != nil && !absent:
			return err
		}
		if dir.Exists() || err == nil && !d.Parents {
			break
		}
		m := &MakeDirectory{Path: filepath.Dir(at)}
		if err == nil {
			m.Note = "unless an earlier task brings it"
		}
		makes = append(makes, m)
	}
	for i := len(makes) - 1; i >= 0; i-- {
		dir = fresh(host.Directory, 0o755, dir)
		makes[i].After = dir
		// The name that the task gives it may lead elsewhere by then, but not
		// to another depth: no link is below what is missing.
		plan.Changes = append(plan.Changes, &wanted{makes[i], []any{d.Path, "parent", i}})
	}
	after := fresh(host.Directory, 0o755, dir)
	if d.Mode != nil {
		after.Mode = d.Mode.Apply(after.Mode, true)
	}
	after.Owner, after.Group = ownership(ctx, v, d.Owner, d.Group, after)
	m := &MakeDirectory{Path: path, After: after}
	switch {
	case brought && d.Mode == nil && d.Owner == "" && d.Group == "":
		m.Note = "unless an earlier task brings it"
	case brought:
		m.Note = "or updated, where an earlier task brings it"
	}
	plan.Changes = append(plan.Changes, m)
	return nil
}

// planAbsent removes the directory with all that is in it, but nothing that
// is mounted there.
func (d *Directory) planAbsent(v *host.View) (modules.Plan, error) {
	plan, err := planAbsent(v, d.Path, host.Directory)
	if err != nil || len(plan.Changes) == 0 {
		return plan, err
	}
	r := plan.Changes[0].(*host.Remove)
	if at := host.MountedBelow(r.Path); at != "" {
		return modules.Plan{}, fmt.Errorf("%s is not removed: something is mounted at %s; unmount it first", r.Path, at)
	}
	names, err := v.ReadDir(r.Path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return modules.Plan{}, err
	}
	switch {
	case len(names) > 20:
		r.Note = fmt.Sprintf("with all that is in it: %s and %d more", shownNames(names[:20]), len(names)-20)
	case len(names) > 0:
		r.Note = "with all that is in it: " + shownNames(names)
	}
	return plan, nil
}

func shownNames(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = shown(n)
	}
	return strings.Join(list, ", ")
}
