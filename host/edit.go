package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
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

// Describe lists what differs, a line each.
func (s *SetAttr) Describe() Description {
	return Description{Action: Update, Target: s.Path, Diff: AttrDiff(s.Before, s.After)}
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
func (s *SetAttr) Effects() []Effect { return []Effect{Is(File(s.Path), s.After)} }

// Want is the attributes that were asked for.
func (s *SetAttr) Want() any { return SetAttr{Path: s.Path, Attr: s.Attr} }

// Apply changes the owner, then the mode (a change of owner clears setuid).
func (s *SetAttr) Apply(_ context.Context, h *Host) (Result, error) {
	now, err := lstat(s.Path)
	if err != nil {
		return Result{}, err
	}
	if now.Type != s.Before.Type {
		return Result{}, fmt.Errorf("%s: %w", s.Path, ErrMoved)
	}
	undo := &SetAttr{Path: s.Path, Attr: Attr{Mode: &now.Mode, Owner: now.Owner, Group: now.Group}, Before: s.After, After: s.Before}
	if err := h.Begin(Undo{Changes: []Change{undo}}); err != nil {
		return Result{}, err
	}
	return Result{}, setAttr(s.Path, s.Attr, now)
}

// setAttr works on a descriptor, so that a link put in path's place between
// looking and doing isn't followed.
func setAttr(path string, attr Attr, now FileInfo) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Ino != now.ident.ino {
		return fmt.Errorf("%s: %w", path, ErrMoved)
	}
	uid, gid, err := lookupOwner(attr.Owner, attr.Group)
	if err != nil {
		return err
	}
	if uid >= 0 || gid >= 0 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("changing the owner of %s: %w", path, err)
		}
	}
	mode := now.Mode
	if attr.Mode != nil {
		mode = *attr.Mode
	}
	if attr.Mode != nil || mode&0o6000 != 0 {
		if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), fileMode(mode)); err != nil {
			return fmt.Errorf("changing the mode of %s: %w", path, errors.Unwrap(err))
		}
	}
	return nil
}

// fileMode is the mode in the form that package os takes.
func fileMode(m Mode) fs.FileMode {
	f := fs.FileMode(m & 0o777)
	if m&0o4000 != 0 {
		f |= fs.ModeSetuid
	}
	if m&0o2000 != 0 {
		f |= fs.ModeSetgid
	}
	if m&0o1000 != 0 {
		f |= fs.ModeSticky
	}
	return f
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

// Apply makes the directory with no more rights than it will have.
func (m *MakeDir) Apply(_ context.Context, h *Host) (Result, error) {
	if err := h.Begin(Undo{Changes: []Change{&Remove{Path: m.Path, Before: m.After}}}); err != nil {
		return Result{}, err
	}
	err := os.Mkdir(m.Path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return Result{}, err
	}
	now, err := lstat(m.Path)
	if err != nil {
		return Result{}, err
	}
	if now.Type != Directory {
		return Result{}, fmt.Errorf("%s is %s: %w", m.Path, article(now.Type), ErrMoved)
	}
	if err := h.At("made with mode 0700"); err != nil {
		_ = syscall.Rmdir(m.Path)
		return Result{}, err
	}
	attr := m.Attr
	if attr.Mode == nil {
		attr.Mode = &m.After.Mode
	}
	if err := setAttr(m.Path, attr, now); err != nil {
		_ = syscall.Rmdir(m.Path)
		return Result{}, err
	}
	return Result{}, syncDir(filepath.Dir(m.Path))
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
	d := Description{Action: Create, Target: m.Path, Impact: "link to " + m.Target}
	if m.Before.Exists() {
		d.Action = Update
		d.Diff = fmt.Sprintf("target: %s → %s", m.Before.Target, m.Target)
		if m.Before.Type != Symlink {
			d.Diff, d.Impact = "", fmt.Sprintf("replaces %s by a link to %s", article(m.Before.Type), m.Target)
		}
	}
	return d
}

// Effects is the link.
func (m *MakeLink) Effects() []Effect { return []Effect{Is(File(m.Path), m.After)} }

// Apply makes the link beside its place and renames it.
func (m *MakeLink) Apply(_ context.Context, h *Host) (Result, error) {
	now, err := lstat(m.Path)
	if err != nil {
		return Result{}, err
	}
	if now.Type != m.Before.Type || m.Before.Target != "" && now.Target != m.Before.Target {
		return Result{}, fmt.Errorf("%s: %w", m.Path, ErrMoved)
	}
	made := Symlink
	if m.Hard {
		made = Regular
	}
	undo, err := restore(h, m.Path, now, made)
	if err != nil {
		return Result{}, err
	}
	tmp := temporary(m.Path)
	if left, err := lstat(tmp); err == nil && left.Exists() {
		if left.Type == Directory {
			return Result{}, fmt.Errorf("%s is in the way: a directory that muster hasn't made", tmp)
		}
		if err := os.Remove(tmp); err != nil {
			return Result{}, err
		}
	}
	if m.Hard {
		err = os.Link(m.Target, tmp)
	} else {
		err = os.Symlink(m.Target, tmp)
	}
	if err != nil {
		return Result{}, err
	}
	if err := h.At("linked beside its place"); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	if now.Type == Directory {
		if err := os.RemoveAll(m.Path); err != nil {
			_ = os.Remove(tmp)
			return Result{}, err
		}
	}
	if err := os.Rename(tmp, m.Path); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	// rename(2) does nothing where both names are one file already.
	_ = os.Remove(tmp)
	return Result{}, syncDir(filepath.Dir(m.Path))
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

// Apply removes it. Nothing there is no error: an earlier try was cut off.
func (r *Remove) Apply(_ context.Context, h *Host) (Result, error) {
	now, err := lstat(r.Path)
	if err != nil || !now.Exists() {
		return Result{}, err
	}
	if now.Type != r.Before.Type {
		return Result{}, fmt.Errorf("%s: %w", r.Path, ErrMoved)
	}
	undo, err := restore(h, r.Path, now, NoFile)
	if err != nil {
		return Result{}, err
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		return Result{}, err
	}
	if err := os.RemoveAll(r.Path); err != nil {
		return Result{}, err
	}
	return Result{}, syncDir(filepath.Dir(r.Path))
}

// undoLimit is the size, in bytes, up to which former content is kept for undoing.
const undoLimit = 16 << 20

// restore returns the changes that bring back what stands at path, where a
// change is about to put something of type made (NoFile: to remove it).
func restore(h *Host, path string, now FileInfo, made FileType) ([]Change, error) {
	switch now.Type {
	case NoFile:
		return []Change{&Remove{Path: path, Before: FileInfo{Type: made}}}, nil
	case Symlink:
		return []Change{&MakeLink{Path: path, Target: now.Target, Before: FileInfo{Type: made}, After: now}}, nil
	case Regular:
		if now.Size > undoLimit {
			return nil, nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		mode := now.Mode
		return []Change{&WriteFile{Path: path, Content: h.Bodies.Keep(data, true), Attr: Attr{Mode: &mode, Owner: now.Owner, Group: now.Group}, After: now}}, nil
	}
	return nil, nil
}
