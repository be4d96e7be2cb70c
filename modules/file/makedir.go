package file

import (
	"context"
	"fmt"
	"path/filepath"

	"muster/host"
)

// MakeDirectory makes one directory, complete with mode and owner before it
// takes its place: a cut leaves nothing that a later plan would take for a
// directory somebody wanted so. Its parent exists.
type MakeDirectory struct {
	Path  string        `json:"path"` // resolved: no link in its parents
	After host.FileInfo `json:"after"`
	Note  string        `json:"note,omitempty"` // when it isn't made after all
}

// Type is "directory.make/1".
func (*MakeDirectory) Type() string { return "directory.make/1" }

// Describe names the directory, its mode and its owner.
func (m *MakeDirectory) Describe() host.Description {
	impact := fmt.Sprintf("directory, mode %s, %s:%s", m.After.Mode, m.After.Owner, m.After.Group)
	if m.Note != "" {
		impact += ", " + m.Note
	}
	return host.Description{Action: host.Create, Target: m.Path, Impact: impact}
}

// Effects is the directory.
func (m *MakeDirectory) Effects() []host.Effect {
	return []host.Effect{host.Is(host.File(m.Path), m.After)}
}

// Obstacle is why the directory couldn't be made.
func (m *MakeDirectory) Obstacle(v *host.View) error {
	return v.Obstacle(m.Path, host.Putting, host.FileInfo{}, m.After)
}

// Apply makes the directory.
func (m *MakeDirectory) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	t, err := openTree(filepath.Dir(m.Path))
	if err != nil {
		return host.Result{}, err
	}
	defer t.close()
	item := TreeItem{Path: filepath.Base(m.Path), After: m.After}
	if err := h.Begin(host.Undo{Changes: []host.Change{&host.Remove{Path: m.Path, Before: m.After}}}); err != nil {
		return host.Result{}, err
	}
	if err := t.put(item, nil, h.At); err != nil {
		return host.Result{}, fmt.Errorf("making %s: %w", m.Path, err)
	}
	return host.Result{}, t.root.Sync()
}
