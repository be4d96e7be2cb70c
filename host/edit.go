package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// SetAttr changes the mode or the owner of a file or directory, not its content.
type SetAttr struct {
	Path   string   `json:"path"`
	Attr   Attr     `json:"attr"` // only what differs
	Before FileInfo `json:"before"`
	After  FileInfo `json:"after"`
}

// Type is "file.attr/1".
func (*SetAttr) Type() string { return "file.attr/1" }

// Describe lists what differs, a line each, and what is lost besides.
func (s *SetAttr) Describe() Description {
	return Description{Action: Update, Target: s.Path, Diff: AttrDiff(s.Before, s.After), Impact: impact(Losses(s.Before, s.After, false)...)}
}

// AttrDiff lists the attributes in which two files differ: "mode: 0644 → 0600".
func AttrDiff(before, after FileInfo) string {
	var lines []string
	if before.Mode != after.Mode {
		lines = append(lines, fmt.Sprintf("mode: %s → %s", before.Mode, after.Mode))
	}
	if before.Owner != after.Owner {
		lines = append(lines, fmt.Sprintf("owner: %s → %s", before.Owner, after.Owner))
	}
	if before.Group != after.Group {
		lines = append(lines, fmt.Sprintf("group: %s → %s", before.Group, after.Group))
	}
	return strings.Join(lines, "\n")
}

// Effects is the file as it will be.
func (s *SetAttr) Effects() []Effect {
	return []Effect{Is(File(s.Path), s.After.Given(s.Before))}
}

// Obstacle is why the attributes couldn't be set.
func (s *SetAttr) Obstacle(v *View) error { return v.Obstacle(s.Path, Altering, s.Before, s.After) }

// Want is the attributes that were asked for.
func (s *SetAttr) Want() any { return SetAttr{Path: s.Path, Attr: s.Attr} }

// Apply changes the owner, then the mode (a change of owner clears setuid).
func (s *SetAttr) Apply(_ context.Context, h *Host) (Result, error) {
	dir, name, err := OpenParent(s.Path)
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	e, err := dir.Entry(name)
	if absent(err) {
		return Result{}, fmt.Errorf("%s: %w", s.Path, ErrMoved)
	}
	if err != nil {
		return Result{}, err
	}
	defer e.Close()
	now, err := e.Info()
	if err != nil {
		return Result{}, err
	}
	// An edit that was cut, or is taken back, has made only some of it.
	if now.Type != s.Before.Type || now.Mode != s.Before.Mode && now.Mode != s.After.Mode ||
		now.Owner != s.Before.Owner && now.Owner != s.After.Owner || now.Group != s.Before.Group && now.Group != s.After.Group {
		return Result{}, fmt.Errorf("%s: %w", s.Path, ErrMoved)
	}
	undo := &SetAttr{Path: s.Path, Attr: Attr{Mode: &now.Mode, Owner: now.Owner, Group: now.Group}, Before: s.After, After: s.Before}
	if err := h.Begin(Undo{Changes: []Change{undo}}); err != nil {
		return Result{}, err
	}
	return Result{}, e.set(s.Attr)
}

// set gives an open thing its attributes. The mode is set last, and anew where a
// change of owner clears part of it.
func (e *Entry) set(attr Attr) error {
	uid, gid, err := lookupOwner(attr.Owner, attr.Group)
	if err != nil {
		return err
	}
	if err := e.Chown(uid, gid); err != nil {
		return err
	}
	switch {
	case attr.Mode != nil:
		return e.Chmod(*attr.Mode)
	case e.Mode()&0o6000 != 0:
		return e.Chmod(e.Mode())
	}
	return nil
}

// MakeDir makes one directory; its parent exists.
type MakeDir struct {
	Path  string   `json:"path"`
	Attr  Attr     `json:"attr"`
	After FileInfo `json:"after"`
}

// Type is "dir.make/1".
func (*MakeDir) Type() string { return "dir.make/1" }

// Describe names the directory and its mode.
func (m *MakeDir) Describe() Description {
	return Description{Action: Create, Target: m.Path, Impact: "directory, mode " + m.After.Mode.String()}
}

// Effects is the directory.
func (m *MakeDir) Effects() []Effect { return []Effect{Is(File(m.Path), m.After)} }

// Obstacle is why the directory couldn't be made.
func (m *MakeDir) Obstacle(v *View) error {
	return v.Obstacle(m.Path, MakingDir, FileInfo{}, m.Attr.made(m.After))
}

// Apply makes the directory with no more rights than it will have.
func (m *MakeDir) Apply(_ context.Context, h *Host) (Result, error) {
	dir, name, err := OpenParent(m.Path)
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	if err := h.Begin(Undo{Changes: []Change{&Remove{Path: m.Path, Before: m.After}}}); err != nil {
		return Result{}, err
	}
	e, err := dir.MakeDir(name)
	if errors.Is(err, fs.ErrExist) {
		e, err = dir.Entry(name)
	}
	if err != nil {
		return Result{}, err
	}
	defer e.Close()
	if e.Type() != Directory {
		return Result{}, fmt.Errorf("%s is %s: %w", m.Path, article(e.Type()), ErrMoved)
	}
	attr := m.Attr
	if attr.Mode == nil {
		attr.Mode = &m.After.Mode
	}
	err = h.At("made with mode 0700")
	if err == nil {
		err = e.set(attr)
	}
	if err != nil {
		_ = dir.Remove(name)
		return Result{}, err
	}
	return Result{}, dir.Sync()
}

// MakeLink makes a link, in place of whatever link or file stood there.
type MakeLink struct {
	Path   string   `json:"path"`
	Target string   `json:"target"`
	Hard   bool     `json:"hard,omitempty"`
	Before FileInfo `json:"before"`
	After  FileInfo `json:"after"`
}

// Type is "link.make/1".
func (*MakeLink) Type() string { return "link.make/1" }

// Describe shows both targets.
func (m *MakeLink) Describe() Description {
	what := "link to "
	if m.Hard {
		what = "hard link to "
	}
	d := Description{Action: Create, Target: m.Path, Impact: what + m.Target}
	if m.Before.Exists() {
		d.Action = Update
		d.Diff = fmt.Sprintf("target: %s → %s", m.Before.Target, m.Target)
		if m.Before.Type != Symlink {
			d.Diff, d.Impact = "", fmt.Sprintf("replaces %s by a %s%s", article(m.Before.Type), what, m.Target)
		}
	}
	return d
}

// Effects is the link.
func (m *MakeLink) Effects() []Effect { return []Effect{Is(File(m.Path), m.After)} }

// Obstacle is why the link couldn't be made.
func (m *MakeLink) Obstacle(v *View) error {
	if !m.Hard {
		return v.Obstacle(m.Path, Putting, m.Before, Attr{}.made(m.After))
	}
	if err := v.Obstacle(m.Path, Putting, m.Before, Attr{}.made(FileInfo{Type: Symlink})); err != nil {
		return err
	}
	return v.hardLink(m.Path, m.Target)
}

// Apply makes the link beside its place and renames it.
func (m *MakeLink) Apply(_ context.Context, h *Host) (Result, error) {
	dir, name, err := OpenParent(m.Path)
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	now, err := openOld(dir, name)
	if err != nil {
		return Result{}, err
	}
	defer now.entry.Close()
	planned := &m.Before
	if planned.Owner == "" { // of an undo: only the type is known
		planned = &now.FileInfo
	}
	if now.Type != m.Before.Type {
		return Result{}, fmt.Errorf("%s: %w", m.Path, ErrMoved)
	}
	if err := unmoved(m.Path, planned, now); err != nil {
		return Result{}, err
	}
	made := Symlink
	if m.Hard {
		made = Regular
	}
	undo, err := restore(h, m.Path, now, made)
	if err != nil {
		return Result{}, err
	}
	tmp := Temporary(name)
	if err := clearTemporary(dir, tmp); err != nil {
		return Result{}, err
	}
	err = m.link(dir, tmp)
	if err == nil {
		err = h.At("linked beside its place")
	}
	if err == nil {
		err = h.Begin(Undo{Changes: undo})
	}
	if err == nil && now.Type == Directory {
		err = dir.RemoveAll(name)
	}
	if err == nil {
		err = dir.Rename(tmp, name)
	}
	// rename(2) does nothing where both names are one file already.
	_ = dir.Remove(tmp)
	if err != nil {
		return Result{}, err
	}
	return Result{}, dir.Sync()
}

// link makes the link under a name.
func (m *MakeLink) link(dir *Dir, name string) error {
	if !m.Hard {
		e, err := dir.MakeLink(m.Target, name)
		e.Close()
		return err
	}
	e, err := openEntry(m.Target)
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Type() != Regular {
		return fmt.Errorf("%s is %s: %w", m.Target, article(e.Type()), ErrMoved)
	}
	return dir.Link(e, name)
}

// clearTemporary removes what a killed run left at a temporary name.
func clearTemporary(dir *Dir, tmp string) error {
	left, err := dir.Type(tmp)
	if err == nil && left == Directory {
		return fmt.Errorf("%s is in the way: a directory that muster hasn't made", dir.join(tmp))
	}
	return errors.Join(err, dir.Remove(tmp))
}

// Remove removes what stands at a path, a directory with all that is in it.
type Remove struct {
	Path   string   `json:"path"`
	Before FileInfo `json:"before"`
	Note   string   `json:"note,omitempty"`
}

// Type is "file.remove/1".
func (*Remove) Type() string { return "file.remove/1" }

// Describe says what is lost.
func (r *Remove) Describe() Description {
	return Description{Action: Delete, Target: r.Path, Impact: r.Note}
}

// Effects is that nothing stands there.
func (r *Remove) Effects() []Effect { return []Effect{Gone(File(r.Path))} }

// Obstacle is why it couldn't be removed.
func (r *Remove) Obstacle(v *View) error { return v.Obstacle(r.Path, Removing, r.Before, FileInfo{}) }

// Apply removes it. Nothing there is no error: an earlier try was cut off.
func (r *Remove) Apply(_ context.Context, h *Host) (Result, error) {
	dir, name, err := OpenParent(r.Path)
	if absent(err) {
		return Result{}, nil
	}
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	now, err := openOld(dir, name)
	if err != nil || !now.Exists() {
		return Result{}, err
	}
	defer now.entry.Close()
	if now.Type != r.Before.Type {
		return Result{}, fmt.Errorf("%s: %w", r.Path, ErrMoved)
	}
	if at := MountedBelow(r.Path); at != "" { // before anything is removed
		return Result{}, mounted(at)
	}
	undo, err := restore(h, r.Path, now, NoFile)
	if err != nil {
		return Result{}, err
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		return Result{}, err
	}
	if err := dir.RemoveAll(name); err != nil {
		return Result{}, err
	}
	return Result{}, dir.Sync()
}

// undoLimit is the size, in bytes, up to which former content is kept for undoing.
const undoLimit = 16 << 20

// restore returns the changes that bring back what stands at path, where a
// change is about to put something of type made (NoFile: to remove it).
func restore(h *Host, path string, now old, made FileType) ([]Change, error) {
	switch now.Type {
	case NoFile:
		return []Change{&Remove{Path: path, Before: FileInfo{Type: made}}}, nil
	case Symlink:
		return []Change{&MakeLink{Path: path, Target: now.Target, Before: FileInfo{Type: made}, After: now.FileInfo}}, nil
	case Regular:
		if now.Size > undoLimit {
			return nil, nil
		}
		data, err := now.entry.Read(undoLimit)
		if err != nil {
			return nil, err
		}
		mode := now.Mode
		return []Change{&WriteFile{Path: path, Content: h.Bodies.Keep(data, true), Attr: Attr{Mode: &mode, Owner: now.Owner, Group: now.Group}, After: now.FileInfo}}, nil
	}
	return nil, nil
}
