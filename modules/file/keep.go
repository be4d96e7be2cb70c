package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// The policy of this file: with keep_changed a file is written only where nothing
// stands, or what muster has written there itself. To tell that, the SHA-256 of each
// content that was written is noted beside it, before it is written, so that a run
// which is cut off in between isn't taken for somebody's edit.

// besides are the files beside one that is kept: the note, and what was to be written.
func besides(path string) (note, proposed string) {
	dir, name := filepath.Split(path)
	return dir + "." + strings.TrimPrefix(name, ".") + ".muster-sums", path + ".muster-new"
}

// mayKeep adds to what a task may alter what keep_changed has it write beside the file.
func mayKeep(list []host.Effect, path string, keep bool) []host.Effect {
	if keep && path != "" {
		note, proposed := besides(path)
		list = append(list, host.Open(host.Files, note), host.Open(host.Files, proposed))
	}
	return list
}

// checkKeep refuses keep_changed where nothing is written.
func checkKeep(keep, written bool) []modules.ArgError {
	if !keep || written {
		return nil
	}
	return []modules.ArgError{{Arg: "keep_changed", Summary: "Conflicting arguments", Detail: "It is about a file's content: give that, too."}}
}

// kept is wanted for a file that stays as it is once somebody else has changed it.
func (d desired) kept(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(d.path, d.follow)
	if err != nil {
		return modules.Plan{}, err
	}
	note, proposed := besides(path)
	written, err := sumsIn(ctx, v, note)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	changed := info.Type == host.Symlink // somebody's own arrangement of their files
	if info.Type == host.Regular {
		sum, err := v.Sum(path)
		if err != nil {
			return modules.Plan{}, err
		}
		changed = sum != d.content.Sum && !slices.Contains(written, sum)
	}
	var plan modules.Plan
	if !slices.Contains(written, d.content.Sum) {
		mode, err := host.ParseMode("0600")
		if err != nil {
			return modules.Plan{}, err
		}
		content := v.Keep([]byte(strings.Join(append(written, d.content.Sum), "\n")+"\n"), false)
		add, err := desired{path: note, content: &content, mode: &mode, owner: d.owner, group: d.group}.plan(ctx, v)
		if add, err = wanting(add, err, note, d.content.Sum, d.owner, d.group); err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = add.Changes
	}
	if changed {
		d.path, d.follow, d.validate = proposed, false, nil
		plan.Notes = []string{fmt.Sprintf("%s was changed by somebody else and stays as it is. What was to be there is in %s: diff %[1]s %[2]s", path, proposed)}
	}
	file, err := d.wanted(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, file.Changes...)
	if changed {
		return plan, nil
	}
	// What muster has proposed has been taken, or isn't wanted any more.
	old, err := v.Lstat(proposed)
	if err != nil || old.Type != host.Regular {
		return plan, err
	}
	sum, err := v.Sum(proposed)
	if err == nil && (sum == d.content.Sum || slices.Contains(written, sum)) {
		gone, err := wanting(modules.Plan{Changes: []host.Change{&host.Remove{Path: proposed, Before: old}}}, nil, proposed, "absent")
		plan.Changes = append(plan.Changes, gone.Changes...)
		return plan, err
	}
	return plan, err
}

// sumsIn reads the sums of what muster has written, oldest first.
func sumsIn(ctx context.Context, v *host.View, note string) ([]string, error) {
	data, err := v.ReadFile(ctx, note, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(data)), err
}
