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
}

// plan returns the one change that makes path what is desired, or none.
func (d desired) plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := d.resolve(v)
	if err != nil {
		return modules.Plan{}, err
	}
	if err := d.parent(v, path); err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(path)
	unforeseen := errors.Is(err, host.ErrNotYet)
	if err != nil && !unforeseen {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Regular && (before.Type != host.Symlink || d.content == nil) {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
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
	after := d.after(before)
	if d.content != nil && before.Type == host.Regular {
		if before.Sum, err = v.Sum(path); err != nil && !errors.Is(err, host.ErrNotYet) {
			return modules.Plan{}, err
		}
	}
	switch {
	case d.content != nil && (before.Type != host.Regular || before.Sum != d.content.Sum):
		w := &host.WriteFile{
			Path: path, Content: *d.content, Attr: d.attr(before), Validate: d.validate, Backup: d.backup,
			Before: &before, After: after,
		}
		if unforeseen {
			w.Before = nil
			w.Note = "replaces whatever an earlier task brings"
		}
		if err := d.show(ctx, v, w); err != nil {
			return modules.Plan{}, err
		}
		return modules.Plan{Changes: []host.Change{w}}, nil
	case before.Mode != after.Mode || before.Owner != after.Owner || before.Group != after.Group:
		return modules.Plan{Changes: []host.Change{&host.SetAttr{Path: path, Attr: d.attr(before), Before: before, After: after}}}, nil
	}
	return modules.Plan{}, nil
}

// resolve returns the path that is acted on. A link is followed only on
// request, and never one that somebody else could have put there.
func (d desired) resolve(v *host.View) (string, error) {
	path, err := v.Resolve(d.path)
	if err != nil || !d.follow {
		return path, err
	}
	info, err := v.Lstat(path)
	if err != nil || info.Type != host.Symlink {
		return path, nil // what can't be told yet is no link yet
	}
	if host.IsRoot() && info.Owner != "root" {
		return "", fmt.Errorf("%s is a link that %s made: muster doesn't follow it as root", path, info.Owner)
	}
	return v.Follow(path)
}

// parent returns an error where the folder isn't there to write to.
func (d desired) parent(v *host.View, path string) error {
	dir := filepath.Dir(path)
	info, err := v.Stat(dir)
	switch {
	case errors.Is(err, host.ErrNotYet):
		return nil // a package may bring it
	case err != nil:
		return err
	case !info.Exists():
		return fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", dir)
	case info.Type != host.Directory:
		return fmt.Errorf("%s is a %s, not a directory", dir, info.Type)
	}
	return nil
}

// owners returns an error for a user or group that will not exist.
func owners(ctx context.Context, v *host.View, owner, group string) error {
	if owner != "" && !number(owner) {
		u, err := v.User(ctx, owner)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if err == nil && u == nil {
			return fmt.Errorf("there is no user %q on this host, and no earlier task makes it", owner)
		}
	}
	if group != "" && !number(group) {
		g, err := v.Group(ctx, group)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if err == nil && g == nil {
			return fmt.Errorf("there is no group %q on this host, and no earlier task makes it", group)
		}
	}
	return nil
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// after is the file as it will stand.
func (d desired) after(before host.FileInfo) host.FileInfo {
	after := before
	after.Type, after.Target = host.Regular, ""
	if before.Type != host.Regular {
		after = host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: self(), Group: selfGroup()}
		if d.content.Sensitive {
			after.Mode = 0o600
		}
	}
	if d.content != nil {
		after.Sum, after.Size, after.Sensitive = d.content.Sum, d.content.Size, d.content.Sensitive
	}
	if d.mode != nil {
		after.Mode = d.mode.Apply(after.Mode, false)
	}
	if d.owner != "" {
		after.Owner = d.owner
	}
	if d.group != "" {
		after.Group = d.group
	}
	return after
}

// attr is what the change has to set.
func (d desired) attr(before host.FileInfo) host.Attr {
	a := host.Attr{Owner: d.owner, Group: d.group}
	if d.mode != nil {
		mode := d.after(before).Mode
		a.Mode = &mode
	}
	return a
}

// show adds the diff to a change: of content that isn't secret, and only
// where both sides can be had.
func (d desired) show(ctx context.Context, v *host.View, w *host.WriteFile) error {
	attrs := ""
	if w.Before != nil && w.Before.Type == host.Regular {
		attrs = host.AttrDiff(*w.Before, w.After)
	}
	switch {
	case d.content.Sensitive:
		w.Diff = "(sensitive content)"
	case d.content.Size > host.DiffLimit || w.Before != nil && w.Before.Size > host.DiffLimit:
		w.Diff = fmt.Sprintf("(%d bytes)", d.content.Size)
	default:
		content, err := v.Body(ctx, *d.content, host.DiffLimit)
		if err != nil {
			return err
		}
		var old []byte
		if w.Before != nil && w.Before.Type == host.Regular {
			if w.Before.Sensitive {
				w.Diff = "(sensitive content)"
				break
			}
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

func self() string      { return host.UserName(uint32(os.Geteuid())) }
func selfGroup() string { return host.GroupName(uint32(os.Getegid())) }
