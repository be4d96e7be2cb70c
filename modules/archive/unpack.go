package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"path/filepath"
	"strconv"

	"muster/host"

	"golang.org/x/sys/unix"
)

// Unpack puts what is in an archive in a directory's place.
type Unpack struct {
	Path   string        `json:"path"` // resolved
	From   string        `json:"from"`
	Strip  int           `json:"strip,omitempty"`
	Before host.FileInfo `json:"before"`
	After  host.FileInfo `json:"after"` // of the directory itself
	Note   note          `json:"note"`
	Loses  string        `json:"loses,omitempty"` // whole sentence

	from   *from
	limits limits
	was    host.FileInfo // the note that is replaced
	mode   *host.ModeSpec
	note   host.Content // what the note's file holds
}

// Type is "archive.unpack/1".
func (*Unpack) Type() string { return "archive.unpack/1" }

// Interruptible: what was unpacked beside the directory is thrown away.
func (*Unpack) Interruptible() {}

// Describe says where the archive comes from, and what is lost.
func (u *Unpack) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: u.Path, Diff: "what is in " + u.From, Impact: u.Loses}
	if !u.Before.Exists() {
		d.Action = host.Create
	}
	if diff := host.AttrDiff(u.Before, u.After); u.Before.Exists() && diff != "" {
		d.Diff += "\n" + diff
	}
	return d
}

// Want is what is unpacked.
func (u *Unpack) Want() any {
	n := u.Note
	n.Stamp = ""
	return n
}

// Effects is the directory, and all that may be in it: nobody knows before what that is.
func (u *Unpack) Effects() []host.Effect {
	at := filepath.Join(u.Path, noteName)
	info := host.FileInfo{Type: host.Regular, Mode: noteMode, Owner: u.After.Owner, Group: u.After.Group, Size: u.note.Size, Sum: u.note.Sum}
	if u.mode != nil {
		info.Mode = u.mode.Apply(noteMode, false)
	}
	list := []host.Effect{host.Is(host.File(u.Path), u.After.Replaced()), host.Begins(host.Files, u.Path+"/"), host.Is(host.File(at), info)}
	if u.Before.Exists() {
		list = append([]host.Effect{host.Gone(host.File(u.Path))}, list...)
	}
	return list
}

// Obstacle is why the directory couldn't be put there.
func (u *Unpack) Obstacle(v *host.View) error {
	return v.Obstacle(u.Path, host.Putting, u.Before, u.After)
}

// Apply unpacks beside the directory, and has the two change places.
func (u *Unpack) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	dir, name, err := host.OpenParent(u.Path)
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	now, err := dir.Lstat(name)
	if err != nil {
		return host.Result{}, err
	}
	if now.Type != u.Before.Type || u.Before.Exists() && (!now.Same(u.Before) || now.Mode != u.Before.Mode || now.Owner != u.Before.Owner || now.Group != u.Before.Group) {
		return host.Result{}, fmt.Errorf("%s: %w", u.Path, host.ErrMoved)
	}
	if err := u.noteUnmoved(dir, name); err != nil {
		return host.Result{}, err
	}
	if at := host.MountedBelow(u.Path); at != "" {
		return host.Result{}, fmt.Errorf("something is mounted at %s by now: %w", at, host.ErrMoved)
	}
	tmp := host.Temporary(name)
	if err := dir.RemoveAll(tmp); err != nil {
		return host.Result{}, fmt.Errorf("removing what a run that was cut off has left: %w", err)
	}
	// Whatever goes wrong, nothing is left beside it.
	err = u.from.read(ctx, h, func(r io.Reader) error {
		if err := dir.RemoveAll(tmp); err != nil { // a transfer begins anew
			return err
		}
		return u.beside(ctx, h, dir, tmp, r)
	})
	if err == nil {
		err = u.swap(h, dir, name, tmp)
	}
	if err != nil {
		return host.Result{}, errors.Join(err, dir.RemoveAll(tmp))
	}
	return host.Result{}, dir.Sync()
}

// noteUnmoved is host.ErrMoved where something else has been unpacked since the plan.
func (u *Unpack) noteUnmoved(dir *host.Dir, name string) error {
	if !u.Before.Exists() {
		return nil
	}
	in, err := dir.Sub(name)
	if err != nil {
		return err
	}
	defer in.Close()
	now, err := in.Lstat(noteName)
	if err == nil && now.Type == host.Regular {
		now.Sum, err = sumOf(in)
	}
	if err == nil && (now.Type != u.was.Type || now.Sum != u.was.Sum || now.Mode != u.was.Mode || now.Owner != u.was.Owner || now.Group != u.was.Group) {
		err = fmt.Errorf("%s: %w", filepath.Join(u.Path, noteName), host.ErrMoved)
	}
	return err
}

func sumOf(dir *host.Dir) (string, error) {
	e, err := dir.Entry(noteName)
	if err != nil {
		return "", err
	}
	defer e.Close()
	return e.Sum()
}

// beside makes the whole tree under a temporary name.
func (u *Unpack) beside(ctx context.Context, h *host.Host, dir *host.Dir, tmp string, r io.Reader) error {
	made, err := dir.MakeDir(tmp)
	if err != nil {
		return err
	}
	defer made.Close()
	root, err := made.Dir()
	if err != nil {
		return err
	}
	defer root.Close()
	t := &tree{root: root, strip: u.Strip, most: u.limits, mode: u.mode, types: map[string]host.FileType{}, dirs: map[string]item{}}
	defer t.close()
	if t.uid, t.gid, err = u.numbers(); err != nil {
		return err
	}
	err = each(ctx, r, u.limits, func() (spooled, error) { return spool(root) }, func(i item) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if t.named%1000 == 999 && h.Report != nil {
			h.Report(fmt.Sprintf("%d things are unpacked for %s", t.named+1, u.Path))
		}
		return t.add(i)
	})
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", u.From, err)
	}
	if len(t.types) == 0 && t.named > 0 && u.Strip > 0 {
		return fmt.Errorf("unpacking %s: strip = %d leaves nothing of it", u.From, u.Strip)
	}
	if err := t.finish(); err != nil {
		return err
	}
	t.size = 0
	if err := t.makeFile(root, noteName, item{name: noteName, typ: host.Regular, mode: noteMode, size: u.note.Size, body: func() (io.ReadCloser, error) {
		return h.Bodies.Open(ctx, u.note)
	}}); err != nil {
		return err
	}
	if err := root.SyncAll(); err != nil {
		return err
	}
	if err := made.Chown(t.uid, t.gid); err != nil {
		return err
	}
	if err := made.Chmod(u.After.Mode); err != nil {
		return err
	}
	return h.At("unpacked beside " + u.Path)
}

// spool makes a file that has no name any more.
func spool(root *host.Dir) (spooled, error) {
	const name = ".muster-spool"
	f, err := root.Create(name)
	if err != nil {
		return nil, err
	}
	if err := root.Remove(name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// swap puts the tree in the directory's place. Where the file system can't exchange two
// names nothing stands there for a moment.
func (u *Unpack) swap(h *host.Host, dir *host.Dir, name, tmp string) error {
	if !u.Before.Exists() {
		if err := h.Begin(host.Undo{Changes: []host.Change{&host.Remove{Path: u.Path, Before: u.After}}}); err != nil {
			return err
		}
		if err := dir.RenameNew(tmp, name); err != nil {
			return err
		}
		return h.At("put in place: " + u.Path)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return err
	}
	err := dir.Exchange(tmp, name)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		old := tmp + ".old"
		if err = dir.RemoveAll(old); err == nil {
			err = dir.Rename(name, old)
		}
		if err == nil {
			err = dir.RenameNew(tmp, name)
		}
		if err == nil {
			err = dir.Rename(old, tmp)
		}
	}
	if err != nil {
		return err
	}
	if err := h.At("exchanged " + u.Path); err != nil {
		return err
	}
	return dir.RemoveAll(tmp)
}

// numbers are those of whom the tree is to belong to.
func (u *Unpack) numbers() (uid, gid int, err error) {
	number := func(name string, lookup func(string) (string, error)) (int, error) {
		if n, err := strconv.Atoi(name); err == nil {
			return n, nil
		}
		text, err := lookup(name)
		if err != nil {
			return -1, err
		}
		return strconv.Atoi(text)
	}
	uid, err = number(u.After.Owner, func(name string) (string, error) {
		found, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return found.Uid, nil
	})
	if err != nil {
		return -1, -1, err
	}
	gid, err = number(u.After.Group, func(name string) (string, error) {
		found, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return found.Gid, nil
	})
	return uid, gid, err
}
