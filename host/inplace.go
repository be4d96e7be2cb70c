package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// A file that something else holds on to (it is mounted by itself, or watched by its
// inode) can't be replaced: it is written to where it is. That isn't one step: whoever
// reads it meanwhile may see a part of it. What could go wrong is done before: the new
// content is fetched, checked and validated, and the room for it is reserved. A run that
// is cut off leaves a mixture, and beside it, where the directory can be written to, the
// whole new content (HalfWritten): of a file that is edited by lines, nobody could tell
// the rest again.

// writesIn reports whether the change writes to a file where it is.
func (w *WriteFile) writesIn(old FileInfo) bool { return w.InPlace && old.Type == Regular }

// rewrite writes to the file where it is.
func (w *WriteFile) rewrite(ctx context.Context, h *Host, dir *Dir, name string, old old) error {
	if err := ours(dir, old.entry); err != nil {
		return err
	}
	body, err := w.spool(ctx, h)
	if err != nil {
		return err
	}
	defer body.Close()
	if len(w.Validate) > 0 {
		if err := w.validateCopy(ctx, h, name, body); err != nil {
			return err
		}
	}
	undo, err := restore(h, w.Path, old, Regular)
	if err != nil {
		return err
	}
	for _, c := range undo {
		c.(*WriteFile).InPlace = true
	}
	if w.Backup {
		if err := w.backUp(dir, name, old); err != nil {
			return err
		}
	}
	f, err := old.entry.open(unix.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	if old.Size < w.Content.Size { // without room nothing is begun
		err := linux.Fallocate(int(f.Fd()), linux.FALLOC_FL_KEEP_SIZE, 0, w.Content.Size)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
			_ = f.Truncate(old.Size) // gives back what was reserved
			return fmt.Errorf("writing %s: %w", w.Path, err)
		}
	}
	if err := h.Begin(Undo{Changes: undo}); err != nil {
		return err
	}
	kept := keepWhole(dir, name, body)
	err = w.pour(h, f, body)
	if err != nil {
		err = fmt.Errorf("writing %s: %w", w.Path, err)
		if !w.putBack(ctx, h, f, undo) {
			return err // the next run goes on with what is kept
		}
	} else {
		err = w.settle(old.entry)
	}
	if kept {
		err = errors.Join(err, dir.Remove(wholeName(name)), dir.Sync())
	}
	return err
}

// wholeName is where the whole new content lies while a file is written to.
func wholeName(name string) string { return strings.TrimSuffix(Temporary(name), ".tmp") + ".new" }

// keepWhole puts the new content beside the file. Where it can't be put there, a cut
// loses it.
func keepWhole(dir *Dir, name string, body *os.File) bool {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return false
	}
	tmp := Temporary(name)
	f, err := createTemporary(dir, tmp)
	if err != nil {
		return false
	}
	defer f.Close()
	if _, err = io.Copy(f, body); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = dir.Rename(tmp, wholeName(name))
	}
	if err != nil {
		_ = dir.Remove(tmp)
		return false
	}
	_ = dir.Sync()
	return true
}

// HalfWritten returns what a run was about to write to a file where it is, when it was
// cut off; ok is false for other files. The path is resolved. Content larger than limit
// is an error; with limit 0 none is returned.
func (v *View) HalfWritten(path string, limit int64) (content []byte, ok bool, err error) {
	if _, laid, _, err := v.Look(File(path)); laid || err != nil {
		return nil, false, nil
	}
	dir, name, err := OpenParent(path)
	if err != nil {
		return nil, false, nil
	}
	defer dir.Close()
	e, err := dir.Entry(wholeName(name))
	if err != nil {
		return nil, false, nil
	}
	defer e.Close()
	// Whoever owns the directory could put another file there.
	if e.Type() != Regular || e.Names() != 1 || int(e.stat.Uid) != os.Geteuid() || e.Mode() != 0o600 {
		return nil, false, nil
	}
	if limit == 0 {
		return nil, true, nil
	}
	content, err = e.Read(limit)
	return content, err == nil, err
}

// putBack writes the old content to the file again after an error.
func (w *WriteFile) putBack(ctx context.Context, h *Host, f *os.File, undo []Change) bool {
	if len(undo) == 0 { // it is too large
		return false
	}
	old := undo[0].(*WriteFile).Content
	data, err := h.Bodies.Read(ctx, old, undoLimit)
	if err != nil {
		return false
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Truncate(old.Size), f.Sync()) == nil
}

// spool fetches the content into memory and checks it.
func (w *WriteFile) spool(ctx context.Context, h *Host) (*os.File, error) {
	body, err := h.Bodies.Open(ctx, w.Content)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	fd, err := linux.MemfdCreate("muster", linux.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("holding the new %s: %w", w.Path, err)
	}
	f := os.NewFile(uintptr(fd), w.Path)
	if _, err = io.Copy(f, body); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("fetching the new %s: %w", w.Path, err)
	}
	return f, nil
}

// validateCopy shows the program a private copy: there is no file beside the old one.
func (w *WriteFile) validateCopy(ctx context.Context, h *Host, name string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	scratch, err := NewScratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	tmp, err := scratch.Write(name, data, 0o600)
	if err != nil {
		return err
	}
	return w.validate(ctx, h, tmp)
}

// pour writes the content over what the file holds, and makes it last.
func (w *WriteFile) pour(h *Host, f, body *os.File) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	half := w.Content.Size / 2
	if _, err := io.CopyN(f, body, half); err != nil {
		return err
	}
	if err := h.At("half written where it is"); err != nil {
		return err
	}
	if _, err := io.Copy(f, body); err != nil {
		return err
	}
	if err := f.Truncate(w.Content.Size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return h.At("written where it is")
}

// settle gives the file its owner and mode. Writing may have taken setuid away.
func (w *WriteFile) settle(e *Entry) error {
	uid, gid, err := lookupOwner(w.Attr.Owner, w.Attr.Group)
	if err != nil {
		return err
	}
	if uid == int(e.stat.Uid) {
		uid = -1
	}
	if gid == int(e.stat.Gid) {
		gid = -1
	}
	if err := e.Chown(uid, gid); err != nil {
		return err
	}
	mode := e.Mode()
	if w.Attr.Mode != nil {
		mode = *w.Attr.Mode
	}
	var now unix.Stat_t
	if err := unix.Fstat(e.fd, &now); err != nil {
		return fmt.Errorf("looking at %s: %w", w.Path, err)
	}
	if Mode(now.Mode&0o7777) == mode {
		return nil
	}
	return e.Chmod(mode)
}

// backUp keeps a copy of the file beside it, with its mode, owner and attributes.
func (w *WriteFile) backUp(dir *Dir, name string, old old) error {
	keep := &WriteFile{Path: w.Path}
	from, err := old.entry.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	tmp := Temporary(name)
	f, err := createTemporary(dir, tmp)
	if err != nil {
		return fmt.Errorf("keeping a backup: %w", err)
	}
	defer f.Close()
	err = keep.fill(f, from, old)
	if err == nil {
		err = dir.Rename(tmp, backupName(name, time.Now()))
	}
	if err != nil {
		_ = dir.Remove(tmp)
		return fmt.Errorf("keeping a backup: %w", err)
	}
	return nil
}

// ours refuses, as root, to write to a file through a second name that somebody else
// may have given it.
func ours(dir *Dir, e *Entry) error {
	if !IsRoot() || e.Type() != Regular || e.Names() < 2 {
		return nil
	}
	in, err := lstat(dir.path)
	if err != nil {
		return err
	}
	if in.uid == 0 || in.uid == e.stat.Uid {
		return nil
	}
	return fmt.Errorf("%s is one of %d names of a file of %s, in a directory of %s, who may have made it so: muster doesn't write to it as root; look at it, and leave out in_place", e.path, e.Names(), UserName(e.stat.Uid), in.Owner)
}

// runs returns a process that runs the file as its program, "" for none: the kernel
// then lets nobody write to it (open(2), ETXTBSY).
func runs(e *Entry) string {
	if e.Mode()&0o111 == 0 {
		return ""
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	for _, p := range entries {
		var st unix.Stat_t
		if strings.Trim(p.Name(), "0123456789") == "" && unix.Stat("/proc/"+p.Name()+"/exe", &st) == nil && st.Ino == e.stat.Ino && st.Dev == e.stat.Dev {
			return p.Name()
		}
	}
	return ""
}
