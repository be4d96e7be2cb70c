package host

import (
	"context"
	"fmt"
)

// rewriteLimit is the size, in bytes, up to which Rewrite reads a file.
const rewriteLimit = 1 << 20

// Rewrite plans that the file at path holds what edit makes of its text; "" where
// there is no file. It returns no change where that is so already. A link is
// followed; the file's owner and mode stay, and a new one is whoever's who makes it, with 0644. For
// kinds that look after a part of a text file.
func (v *View) Rewrite(ctx context.Context, path string, edit func(old string) (string, error)) ([]Change, error) {
	path, err := v.Place(path, true)
	if err != nil {
		return nil, err
	}
	before, err := v.Lstat(path)
	if err != nil {
		return nil, err
	}
	var old []byte
	switch before.Type {
	case NoFile:
	case Regular:
		if old, err = v.ReadFile(ctx, path, rewriteLimit); err != nil {
			return nil, err
		}
		if before.Sum, err = v.Sum(path); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%s is %s, not a regular file", path, article(before.Type))
	}
	text, err := edit(string(old))
	if err != nil || text == string(old) && (before.Exists() || text == "") {
		return nil, err
	}
	content := v.Keep([]byte(text), before.Sensitive)
	after := before
	if !before.Exists() {
		after = Attr{}.made(FileInfo{Type: Regular, Mode: 0o644})
	}
	after.Sum, after.Size = content.Sum, content.Size
	write := &WriteFile{Path: path, Content: content, Before: &before, After: after}
	if !before.Sensitive {
		write.Diff = Diff(old, []byte(text))
	}
	return []Change{write}, nil
}
