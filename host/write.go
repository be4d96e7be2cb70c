package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	// Before is what stood there when this was planned; nil if nobody knows.
	Before *FileInfo `json:"before,omitempty"`
	// After is what will stand there, for the preview.
	After FileInfo `json:"after"`
	Diff  string   `json:"diff,omitempty"`
	Note  string   `json:"note,omitempty"`
}

// Type is "file.write/1".
func (*WriteFile) Type() string { return "file.write/1" }

// Describe shows the diff.
func (w *WriteFile) Describe() Description {
	d := Description{Action: Update, Target: w.Path, Diff: w.Diff, Impact: w.Note}
	if w.Before == nil || !w.Before.Exists() {
		d.Action = Create
	}
	return d
}

// Want is the content, and the attributes that were asked for.
func (w *WriteFile) Want() any {
	return WriteFile{Path: w.Path, Content: w.Content, Attr: w.Attr, Validate: w.Validate, Backup: w.Backup}
}

// Effects names the file and, with Backup, its neighbours.
func (w *WriteFile) Effects() []Effect { return []Effect{Is(File(w.Path), w.After)} }

// temporary is where a file is made before it takes its place. The name is
// always the same, so that what a killed run left is found; it starts with a
// dot and has no known ending, because daemons read every *.conf of a folder.
func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), ".muster-"+filepath.Base(path)+".tmp")
}

// Apply writes the file.
func (w *WriteFile) Apply(ctx context.Context, h *Host) (Result, error) {
	old, err := lstat(w.Path)
	if err != nil {
		return Result{}, err
	}
	if err := unmoved(w.Path, w.Before, old); err != nil {
		return Result{}, err
	}
	undo, err := restore(h, w.Path, old, Regular)
	if err != nil {
		return Result{}, err
	}
	tmp := temporary(w.Path)
	if err := w.prepare(ctx, h, tmp, old); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	err = h.At("written beside its place")
	if err == nil && len(w.Validate) > 0 {
		err = validate(ctx, h, w.Validate, tmp)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	if w.Backup && old.Exists() {
		if err := os.Link(w.Path, fmt.Sprintf("%s.%s~", w.Path, time.Now().UTC().Format("20060102T150405.000"))); err != nil {
			_ = os.Remove(tmp)
			return Result{}, fmt.Errorf("keeping a backup: %w", err)
		}
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	if err := os.Rename(tmp, w.Path); err != nil {
		_ = os.Remove(tmp)
		return Result{}, err
	}
	if err := h.At("renamed"); err != nil {
		return Result{}, err
	}
	return Result{}, syncDir(filepath.Dir(w.Path))
}

// prepare makes the temporary file, complete with mode, owner and attributes.
func (w *WriteFile) prepare(ctx context.Context, h *Host, tmp string, old FileInfo) error {
	f, err := createTemporary(tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	body, err := h.Bodies.Open(ctx, w.Content)
	if err != nil {
		return err
	}
	defer body.Close()
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
		if err := copyAttributes(w.Path, f); err != nil {
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
func createTemporary(tmp string) (*os.File, error) {
	for range 2 {
		f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		left, err := lstat(tmp)
		if err != nil {
			return nil, err
		}
		if left.Type != Regular || int(left.uid) != os.Geteuid() && os.Geteuid() != 0 {
			return nil, fmt.Errorf("%s is in the way: %s of %s that muster hasn't made; look at it and remove it", tmp, article(left.Type), left.Owner)
		}
		if err := os.Remove(tmp); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s appears again and again: another program makes it", tmp)
}

// copyAttributes carries extended attributes over, access control lists and
// security labels among them. Those that the kernel won't let us set are left.
func copyAttributes(from string, to *os.File) error {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(from, list)
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil
		}
		return fmt.Errorf("reading the attributes of %s: %w", from, err)
	}
	for _, name := range strings.Split(strings.Trim(string(list[:n]), "\x00"), "\x00") {
		if name == "" || name == "security.capability" { // a capability belongs to the old content
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			continue
		}
		err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("keeping the attribute %s of %s: %w", name, from, err)
		}
	}
	return nil
}

// validate runs a program on a file that must satisfy it.
func validate(ctx context.Context, h *Host, argv []string, path string) error {
	named := make([]string, len(argv))
	for i, a := range argv {
		named[i] = strings.ReplaceAll(a, "%s", path)
	}
	if _, err := h.Run(ctx, Command{Argv: named}); err != nil {
		return fmt.Errorf("validation refused the file: %w", err)
	}
	return nil
}

// unmoved returns ErrMoved where what stands at path isn't what was planned on.
func unmoved(path string, planned *FileInfo, now FileInfo) error {
	if planned == nil {
		if now.Type == NoFile || now.Type == Regular || now.Type == Symlink {
			return nil
		}
		return fmt.Errorf("%s is %s: %w", path, article(now.Type), ErrMoved)
	}
	same := planned.Type == now.Type && planned.Mode == now.Mode && planned.Owner == now.Owner && planned.Group == now.Group && planned.Target == now.Target
	if same && planned.Type == Regular {
		same = planned.Size == now.Size
		if same && planned.Sum != "" {
			var s sums
			sum, err := s.sum(path, now)
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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
