package file

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// desired is a regular file as a task wants it, shared by the kinds that
// write files.
type desired struct {
	path     string
	content  *host.Content // nil: whatever it holds
	mode     *host.ModeSpec
	owner    string
	group    string
	backup   bool
	validate []string
	follow   bool
	inPlace  bool
}

// wanted is plan for a task that wants the whole file.
func (d desired) wanted(ctx context.Context, v *host.View) (modules.Plan, error) {
	sum := ""
	if d.content != nil {
		sum = d.content.Sum
	}
	plan, err := d.plan(ctx, v)
	return wanting(plan, err, d.path, sum, d.mode, d.owner, d.group, d.backup, d.validate, d.follow, d.inPlace)
}

// plan returns the one change that makes path what is desired, or none.
func (d desired) plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(d.path, d.follow)
	if err != nil {
		return modules.Plan{}, err
	}
	dir, err := parent(v, path)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	unforeseen := errors.Is(err, host.ErrNotYet)
	if err != nil && !unforeseen {
		return modules.Plan{}, err
	}
	if err := d.fits(path, before); err != nil {
		return modules.Plan{}, err
	}
	if d.content == nil && !before.Exists() {
		if unforeseen {
			return modules.Plan{}, err
		}
		return modules.Plan{}, fmt.Errorf("%s doesn't exist: give its content or source, or let an earlier task make it", path)
	}
	if err := owners(ctx, v, d.owner, d.group); err != nil {
		return modules.Plan{}, err
	}
	if d.content != nil && before.Type == host.Regular {
		if salted(v, path, before) {
			before.Sum = toCome // as nothing that is known
		} else if before.Sum, err = v.Sum(path); err != nil && (before.Withheld || !errors.Is(err, host.ErrNotYet)) {
			return modules.Plan{}, err
		}
	}
	after := d.after(ctx, v, before, dir)
	if err := mayGive(path, before, after); err != nil && before.Type == host.Regular {
		return modules.Plan{}, err
	}
	half := false
	if d.inPlace && d.content != nil && before.Type == host.Regular {
		if _, half, err = v.HalfWritten(path, 0); err != nil {
			return modules.Plan{}, err
		}
	}
	switch {
	case d.content != nil && (half || before.Type != host.Regular || before.Sum != d.content.Sum):
		w := &host.WriteFile{
			Path: path, Content: *d.content, Attr: d.attr(after), Validate: d.validate, Backup: d.backup, InPlace: d.inPlace,
			Before: &before, After: after,
		}
		if half {
			w.Note = "a run was cut off while it wrote there"
		}
		if unforeseen {
			w.Before = nil
			w.Note = "replaces whatever an earlier task brings"
		}
		if err := d.show(ctx, v, w); err != nil {
			return modules.Plan{}, err
		}
		if err := tryValidate(ctx, v, w); err != nil {
			return modules.Plan{}, err
		}
		return modules.Plan{Changes: []host.Change{w}}, nil
	case before.Mode != after.Mode || before.Owner != after.Owner || before.Group != after.Group:
		return modules.Plan{Changes: []host.Change{&host.SetAttr{Path: path, Attr: differing(before, after), Before: before, After: after}}}, nil
	}
	return modules.Plan{}, nil
}

// fits refuses to put a file in the place of something that isn't one.
func (d desired) fits(path string, before host.FileInfo) error {
	switch {
	case !before.Exists(), before.Type == host.Regular:
		return nil
	case before.Type != host.Symlink:
		return fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
	case d.content == nil:
		return fmt.Errorf("%s is a link, not a regular file: follow = true acts on what it leads to", path)
	}
	return nil
}

// after is the file as it will stand.
func (d desired) after(ctx context.Context, v *host.View, before, dir host.FileInfo) host.FileInfo {
	after := before
	if before.Type != host.Regular {
		mode := host.Mode(0o644)
		if d.content.Sensitive {
			mode = 0o600
		}
		after = fresh(host.Regular, mode, dir)
	}
	if d.content != nil {
		after.Sum, after.Size, after.Sensitive = d.content.Sum, d.content.Size, d.content.Sensitive
	}
	if d.mode != nil {
		after.Mode = d.mode.Apply(after.Mode, false)
	}
	after.Owner, after.Group = ownership(ctx, v, d.owner, d.group, after)
	return after
}

// attr is what writing the file has to set; the rest is kept.
func (d desired) attr(after host.FileInfo) host.Attr {
	a := host.Attr{Owner: d.owner, Group: d.group}
	if d.mode != nil {
		a.Mode = &after.Mode
	}
	return a
}

// differing is the attributes in which a file has to change.
func differing(before, after host.FileInfo) host.Attr {
	var a host.Attr
	if before.Mode != after.Mode {
		a.Mode = &after.Mode
	}
	if before.Owner != after.Owner {
		a.Owner = after.Owner
	}
	if before.Group != after.Group {
		a.Group = after.Group
	}
	return a
}

// given is what is asked for of a file that is made, a line each.
func (d desired) given(after host.FileInfo) string {
	var lines []string
	if d.mode != nil {
		lines = append(lines, fmt.Sprintf("mode: %s", after.Mode))
	}
	if d.owner != "" {
		lines = append(lines, "owner: "+d.owner)
	}
	if d.group != "" {
		lines = append(lines, "group: "+d.group)
	}
	return strings.Join(lines, "\n")
}

// show adds the diff to a change: the attributes, then the content where it
// isn't secret and both sides can be had.
func (d desired) show(ctx context.Context, v *host.View, w *host.WriteFile) error {
	attrs := d.given(w.After)
	if w.Before != nil && w.Before.Type == host.Regular {
		attrs = host.AttrDiff(*w.Before, w.After)
	}
	switch {
	case d.content.Sensitive, w.Before != nil && w.Before.Sensitive:
		w.Diff = "(sensitive content)"
	case d.content.Size > host.DiffLimit || w.Before != nil && w.Before.Size > host.DiffLimit:
		w.Diff = "(" + host.Counted(d.content.Size, "byte", "bytes") + ")"
	default:
		content, err := v.Body(ctx, *d.content, host.DiffLimit)
		if err != nil {
			return err
		}
		var old []byte
		if w.Before != nil && w.Before.Type == host.Regular {
			if old, err = v.ReadFile(ctx, w.Path, host.DiffLimit); err != nil && !errors.Is(err, host.ErrNotYet) {
				return err
			}
		}
		w.Diff = host.Diff(old, content)
	}
	if attrs != "" {
		w.Diff = attrs + "\n" + w.Diff
	}
	return nil
}
