// Package system has the kinds that set the kernel's parameters, the host's name and its time zone.
package system

import (
	"context"
	"fmt"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "sysctl", Output: SysctlOutput{}, New: func() modules.Module { return &Sysctl{} }},
		{Name: "hostname", New: func() modules.Module { return &Hostname{} }},
		{Name: "timezone", New: func() modules.Module { return &Timezone{} }},
	}
}

// textFile plans that a file holds text: its own owner and mode stay, a new
// one has 0644. It plans nothing where that is so.
func textFile(ctx context.Context, v *host.View, path, text string) ([]host.Change, error) {
	path, err := v.Follow(path)
	if err != nil {
		return nil, err
	}
	before, err := v.Lstat(path)
	if err != nil {
		return nil, err
	}
	var old []byte
	switch before.Type {
	case host.NoFile:
	case host.Regular:
		if old, err = v.ReadFile(ctx, path, 1<<20); err != nil {
			return nil, err
		}
		if before.Sum, err = v.Sum(path); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%s is a %s, not a regular file", path, before.Type)
	}
	if before.Exists() && string(old) == text {
		return nil, nil
	}
	content := v.Keep([]byte(text), false)
	after := before
	if !before.Exists() {
		after = host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: "root", Group: "root"}
	}
	after.Sum, after.Size = content.Sum, content.Size
	return []host.Change{&host.WriteFile{Path: path, Content: content, Before: &before, After: after, Diff: host.Diff(old, []byte(text))}}, nil
}
