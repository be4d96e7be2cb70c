package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Attr is what a file or directory gets besides its content. What isn't given
// stays as it is, or becomes the default of a new one.
type Attr struct {
	Mode  *Mode  `json:"mode,omitempty"`
	Owner string `json:"owner,omitempty"`
	Group string `json:"group,omitempty"`
}

// WriteFile replaces a file's content, mode and owner in one step, or makes
// the file: everything is done to a temporary file beside it, which is then
// renamed. Access control lists and extended attributes are carried over.
type WriteFile struct {
	Path    string  `json:"path"` // resolved: no link in its parents
	Content Content `json:"content"`
	Attr    Attr    `json:"attr"`
	// Validate is a program that must accept the temporary file before it
	// lands; "%s" in it is the file's path.
	Validate []string `json:"validate,omitempty"`
	// Backup keeps what stood there beside it, as PATH.TIME~.
	Backup bool `json:"backup,omitempty"`
	// InPlace writes to the file that stands there, instead of replacing it.
	InPlace bool `json:"in_place,omitempty"`
	// Before is what stood there when this was planned; nil if nobody knows.
	Before *FileInfo `json:"before,omitempty"`
	// After is what will stand there, for the preview.
	After FileInfo `json:"after"`
	Diff  string   `json:"diff,omitempty"`
	Note  string   `json:"note,omitempty"`
	// Body, if not nil, opens what is written in place of Content, and tells when that was
	// changed last; the zero time: now. Its reader fails where it isn't what it should be.
	Body func(ctx context.Context) (io.ReadCloser, time.Time, error) `json:"-"`
}

// Type is "file.write/1".
func (*WriteFile) Type() string { return "file.write/1" }

// Describe shows the diff, and what is lost besides.
func (w *WriteFile) Describe() Description {
	d := Description{Action: Update, Target: w.Path, Diff: w.Diff, Impact: w.Note}
	if w.Before != nil {
		d.Impact = impact(append([]string{w.Note}, Losses(*w.Before, w.left(), !w.writesIn(*w.Before))...)...)
	}
	if w.Before == nil || !w.Before.Exists() {
		d.Action = Create
	}
	return d
}

// Want is the content, and the attributes that were asked for.
func (w *WriteFile) Want() any {
	return WriteFile{Path: w.Path, Content: w.Content, Attr: w.Attr, Validate: w.Validate, Backup: w.Backup, InPlace: w.InPlace}
}

// Effects names the file and, with Backup, the names beside it that begin with its own.
func (w *WriteFile) Effects() []Effect {
	list := []Effect{Is(File(w.Path), w.left())}
	if w.Backup && (w.Before == nil || w.Before.Exists()) {
		list = append(list, Backups(w.Path))
	}
	return list
}

// left is what stands there in the end.
func (w *WriteFile) left() FileInfo {
	after := w.After.Replaced()
	if w.Before != nil && w.writesIn(*w.Before) {
		after.Names, after.Apart = w.Before.Names, w.Before.Apart
	}
	return after
}

// Obstacle is why the file couldn't be written.
func (w *WriteFile) Obstacle(v *View) error {
	var before FileInfo
	if w.Before != nil {
		before = *w.Before
	}
	after := w.After
	if before.Type != Regular {
		after = w.Attr.made(after)
	}
	if w.writesIn(before) {
		return v.Obstacle(w.Path, Rewriting, before, after)
	}
	return v.Obstacle(w.Path, Putting, before, after)
}

// made is a thing that is made with these attributes: the others are those of whoever
// makes it.
func (a Attr) made(after FileInfo) FileInfo {
	if a.Owner == "" {
		after.Owner = UserName(uint32(os.Geteuid()))
	}
	if a.Group == "" {
		after.Group = GroupName(uint32(os.Getegid()))
	}
	return after
}

// Temporary is the name under which a thing is made before it takes its place.
// It is always the same, so that what a killed run left is found; it starts
// with a dot and has no known ending, because daemons read every *.conf of a
// folder; and it is no longer than name where that is long: a name may have 255 bytes,
// and on file systems that encrypt names 143.
func Temporary(name string) string {
	if len(name) > 64 {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return ".muster-" + name + ".tmp"
}

// Apply writes the file.
func (w *WriteFile) Apply(ctx context.Context, h *Host) (Result, error) {
	dir, name, err := OpenParent(w.Path)
	if err != nil {
		return Result{}, err
	}
	defer dir.Close()
	old, err := openOld(dir, name)
	if err != nil {
		return Result{}, err
	}
	defer old.entry.Close()
	if err := unmoved(w.Path, w.Before, old); err != nil {
		return Result{}, err
	}
	if w.writesIn(old.FileInfo) {
		return Result{}, w.rewrite(ctx, h, dir, name, old)
	}
	undo, err := restore(h, w.Path, old, Regular)
	if err != nil {
		return Result{}, err
	}
	tmp := Temporary(name)
	if err := w.beside(ctx, h, dir, tmp, old); err != nil {
		return Result{}, err
	}
	if w.Backup && old.Exists() {
		if err := dir.Link(old.entry, backupName(name, time.Now())); err != nil {
			_ = dir.Remove(tmp)
			return Result{}, fmt.Errorf("keeping a backup: %w", err)
		}
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		_ = dir.Remove(tmp)
		return Result{}, err
	}
	if err := dir.Rename(tmp, name); err != nil {
		_ = dir.Remove(tmp)
		return Result{}, err
	}
	if err := h.At("renamed"); err != nil {
		return Result{}, err
	}
	return Result{}, dir.Sync()
}

// backupName is the name that a backup gets.
func backupName(name string, now time.Time) string {
	return fmt.Sprintf("%s.%s~", backupStem(name), now.UTC().Format("20060102T150405.000"))
}

// backupStem is how the names of a file's backups begin. Of a name that leaves no room
// for the time, the end is replaced by a sum.
func backupStem(name string) string {
	const room = 255 - len(".20060102T150405.000~")
	if len(name) <= room {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	mark := "-" + hex.EncodeToString(sum[:4])
	cut := room - len(mark)
	for cut > 0 && name[cut]&0xc0 == 0x80 { // in the middle of a character
		cut--
	}
	return name[:cut] + mark
}

// Backups returns the effect of a change that may keep what stood at path beside it.
func Backups(path string) Effect {
	return Begins(Files, filepath.Join(filepath.Dir(path), backupStem(filepath.Base(path)))+".")
}

// old is what stands in the place of an edit: its description, and the thing
// itself, nil where there is none.
type old struct {
	FileInfo
	entry *Entry
}

func openOld(dir *Dir, name string) (old, error) {
	e, err := dir.Entry(name)
	if absent(err) {
		return old{}, nil
	}
	if err != nil {
		return old{}, err
	}
	info, err := e.Info()
	return old{info, e}, err
}

// beside makes the temporary file and has it validated. Where that fails nothing of it
// is left; what somebody else has put at its name is theirs.
func (w *WriteFile) beside(ctx context.Context, h *Host, dir *Dir, tmp string, old old) error {
	f, err := createTemporary(dir, tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	err = w.whole(ctx, h, dir, tmp, f, old)
	if err != nil {
		_ = dir.Remove(tmp)
	}
	return err
}

// whole completes the temporary file and has it validated.
func (w *WriteFile) whole(ctx context.Context, h *Host, dir *Dir, tmp string, f *os.File, old old) error {
	if err := w.prepare(ctx, h, f, old); err != nil {
		return err
	}
	if err := h.At("written beside its place"); err != nil {
		return err
	}
	if len(w.Validate) == 0 {
		return nil
	}
	path := dir.join(tmp)
	if exposed(dir.path) {
		// Whoever owns a folder on the way could show the program another file.
		path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
	}
	return w.validate(ctx, h, path)
}

// exposed reports whether somebody other than root can put something else on
// the way to a directory, and we are root.
func exposed(dir string) bool {
	if !IsRoot() {
		return false
	}
	at := "/"
	for _, name := range strings.Split(strings.Trim(dir, "/"), "/") {
		at = filepath.Join(at, name)
		info, err := lstat(at)
		if err != nil || info.uid != 0 || info.Mode&0o022 != 0 && info.Mode&0o1000 == 0 {
			return true
		}
	}
	return false
}

// prepare completes the temporary file: content, owner, attributes and mode.
func (w *WriteFile) prepare(ctx context.Context, h *Host, f *os.File, old old) error {
	if w.Body == nil {
		body, err := h.Bodies.Open(ctx, w.Content)
		if err != nil {
			return err
		}
		defer body.Close()
		return w.fill(f, body, old)
	}
	body, modified, err := w.Body(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := w.fill(f, body, old); err != nil || modified.IsZero() {
		return err
	}
	at := unix.NsecToTimeval(modified.UnixNano())
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{at, at}); err != nil {
		return fmt.Errorf("setting the time of %s: %w", w.Path, err)
	}
	return nil
}

// fill writes the temporary file, with what it keeps of the old one.
func (w *WriteFile) fill(f *os.File, body io.Reader, old old) error {
	if _, err := io.Copy(f, body); err != nil {
		return fmt.Errorf("writing %s: %w", w.Path, err)
	}
	uid, gid, err := lookupOwner(w.Attr.Owner, w.Attr.Group)
	if err != nil {
		return err
	}
	mode := Mode(0o644)
	if w.Content.Sensitive {
		mode = 0o600
	}
	if old.Type == Regular {
		mode = old.Mode
		if uid < 0 && int(old.uid) != os.Geteuid() {
			uid = int(old.uid)
		}
		if gid < 0 && int(old.gid) != os.Getegid() {
			gid = int(old.gid)
		}
	}
	if uid >= 0 || gid >= 0 {
		if err := f.Chown(uid, gid); err != nil {
			return fmt.Errorf("changing the owner of %s: %w", w.Path, errors.Unwrap(err))
		}
	}
	if old.Type == Regular {
		if err := old.entry.CopyAttributes(f); err != nil {
			return err
		}
	}
	if w.Attr.Mode != nil {
		mode = *w.Attr.Mode
	}
	if err := unix.Fchmod(int(f.Fd()), uint32(mode)); err != nil {
		return fmt.Errorf("changing the mode of %s: %w", w.Path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", w.Path, err)
	}
	return nil
}

// createTemporary makes an empty file that only its owner can read. A file
// that a killed run left there is removed; anything else is somebody's trap.
func createTemporary(dir *Dir, tmp string) (*os.File, error) {
	for range 2 {
		f, err := dir.Create(tmp)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		left, err := dir.Lstat(tmp)
		if err != nil {
			return nil, err
		}
		if left.Type != Regular || int(left.uid) != os.Geteuid() && os.Geteuid() != 0 {
			return nil, fmt.Errorf("%s is in the way: %s of %s that muster hasn't made; look at it and remove it", dir.join(tmp), article(left.Type), left.Owner)
		}
		if err := dir.Remove(tmp); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s appears again and again: another program makes it", dir.join(tmp))
}

// validate runs the program that must accept the temporary file. What it says of
// that, it says of the file.
func (w *WriteFile) validate(ctx context.Context, h *Host, tmp string) error {
	named := make([]string, len(w.Validate))
	for i, a := range w.Validate {
		named[i] = strings.ReplaceAll(a, "%s", tmp)
	}
	_, err := h.Run(ctx, Command{Argv: named})
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		out := exit.Output
		out.Stdout = bytes.ReplaceAll(out.Stdout, []byte(tmp), []byte(w.Path))
		out.Stderr = bytes.ReplaceAll(out.Stderr, []byte(tmp), []byte(w.Path))
		err = &ExitError{Argv: w.Validate, Output: out}
	}
	if err != nil {
		return fmt.Errorf("validation refused the file: %w", err)
	}
	return nil
}

// unmoved returns ErrMoved where what stands at path isn't what was planned on.
func unmoved(path string, planned *FileInfo, now old) error {
	typ := now.Type
	if planned == nil {
		if typ == NoFile || typ == Regular || typ == Symlink {
			return nil
		}
		return fmt.Errorf("%s is %s: %w", path, article(typ), ErrMoved)
	}
	same := planned.Type == typ && planned.Mode == now.Mode && planned.Owner == now.Owner && planned.Group == now.Group && planned.Target == now.Target
	if same && planned.Type == Regular {
		same = planned.Size == now.Size
		if same && planned.Sum != "" {
			sum, err := now.entry.Sum()
			if err != nil {
				return err
			}
			same = sum == planned.Sum
		}
	}
	if !same {
		return fmt.Errorf("%s: %w", path, ErrMoved)
	}
	return nil
}
