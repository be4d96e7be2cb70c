package system

import (
	"context"
	"errors"
	"fmt"

	"muster/host"
)

// wholeLimit is the size, in bytes, of the largest of these files.
const wholeLimit = 1 << 20

// whole is a file of root's that is all a task's.
type whole struct {
	path      string
	text      string
	sensitive bool
}

// plan returns what makes the file as it should be: nil where it is. What is written may be
// wrapped by the caller, who checks it.
func (w whole) plan(ctx context.Context, v *host.View) (*host.WriteFile, *host.SetAttr, error) {
	before, old, err := standing(ctx, v, w.path)
	if err != nil {
		return nil, nil, err
	}
	content := v.Keep([]byte(w.text), w.sensitive)
	mode := host.Mode(0o644)
	if w.sensitive {
		mode = 0o600
	}
	if before.Exists() {
		mode = before.Mode &^ 0o022 // what others may write, others have a say in
		if w.sensitive {
			mode &^= 0o077
		}
	}
	after := host.FileInfo{Type: host.Regular, Mode: mode, Owner: "root", Group: "root", Sum: content.Sum, Size: content.Size, Sensitive: w.sensitive}
	if before.Exists() {
		after.Group = before.Group
	}
	attr := host.Attr{Mode: &mode, Owner: "root"}
	if !before.Exists() || old != w.text {
		write := &host.WriteFile{Path: w.path, Content: content, Attr: attr, Before: &before, After: after, Diff: "(sensitive content)"}
		if !w.sensitive && !before.Sensitive {
			write.Diff = host.Diff([]byte(old), []byte(w.text))
		}
		return write, nil, rooted(w.path)
	}
	if before.Mode != mode || before.Owner != "root" {
		return nil, &host.SetAttr{Path: w.path, Attr: attr, Before: before, After: after}, rooted(w.path)
	}
	return nil, nil, nil
}

// changes is plan for a file that nothing checks.
func (w whole) changes(ctx context.Context, v *host.View) ([]host.Change, error) {
	write, attr, err := w.plan(ctx, v)
	switch {
	case err != nil:
		return nil, err
	case write != nil:
		return []host.Change{write}, nil
	case attr != nil:
		return []host.Change{attr}, nil
	}
	return nil, nil
}

// gone returns the removal of such a file; nothing where there is none.
func gone(ctx context.Context, v *host.View, path string) ([]host.Change, error) {
	before, _, err := standing(ctx, v, path)
	if err != nil || !before.Exists() {
		return nil, err
	}
	return []host.Change{&host.Remove{Path: path, Before: before}}, rooted(path)
}

// standing is the file as it is, with its text; of a link or a folder there is an error.
func standing(ctx context.Context, v *host.View, path string) (host.FileInfo, string, error) {
	before, err := v.Lstat(path)
	if err != nil || !before.Exists() {
		return before, "", err
	}
	if before.Type != host.Regular {
		return before, "", fmt.Errorf("%s is a %s, not a file: look at it, and remove it", path, before.Type)
	}
	old, err := v.ReadFile(ctx, path, wholeLimit)
	if err == nil {
		before.Sum, err = v.Sum(path)
	}
	return before, string(old), err
}

func rooted(path string) error {
	if !host.IsRoot() {
		return errors.New(`only root can change ` + path + `: give the task "become = true"`)
	}
	return nil
}
