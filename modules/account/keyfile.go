package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"muster/host"
)

// place is a file below a directory. Below a home it belongs to a user who
// may swap any part of it for a link at any moment: it is reached by
// descriptors alone, and whatever isn't the user's own is refused.
type place struct {
	Base  string   `json:"base"`  // resolved: the home, or the directory of a file elsewhere
	Names []string `json:"names"` // from Base to the file
	User  string   `json:"user"`
	Owned bool     `json:"owned"` // it lies in the user's home, and is to be theirs
}

func (p place) path() string { return filepath.Join(p.Base, filepath.Join(p.Names...)) }

// keyState is what stands at a place.
type keyState struct {
	file    host.FileInfo
	content string
	sum     string // of the content on the host; "" where it was planned, or is none
	missing int    // directories that have to be made
	gid     int    // of a file of root's
}

// enter opens the directory of the file. With make, missing ones are made for
// the user, mode 0700; else a missing one is fs.ErrNotExist, and missing says
// how many would have to be made.
func (p place) enter(uid, gid int, make bool) (at *host.Dir, missing int, err error) {
	if at, err = host.OpenDir(p.Base); err != nil {
		return nil, 0, err
	}
	for i, name := range p.Names[:len(p.Names)-1] {
		next, err := at.Entry(name)
		if make && errors.Is(err, fs.ErrNotExist) {
			next, err = p.makeDir(at, name, uid, gid)
		}
		if errors.Is(err, fs.ErrNotExist) {
			missing = len(p.Names) - 1 - i
		}
		if err == nil {
			err = p.refuse(next, uid, host.Directory)
		}
		at.Close()
		if err == nil {
			at, err = next.Dir()
		}
		next.Close()
		if err != nil {
			return nil, missing, err
		}
	}
	return at, 0, nil
}

// makeDir makes a directory of the user's, and opens it. It is the user's before it
// takes its place: one of root's that a cut leaves there would keep their keys out.
func (p place) makeDir(at *host.Dir, name string, uid, gid int) (*host.Entry, error) {
	if os.Geteuid() == uid {
		e, err := at.MakeDir(name)
		if errors.Is(err, fs.ErrExist) { // another login was faster
			return at.Entry(name)
		}
		return e, err
	}
	tmp := host.Temporary(name)
	if err := at.Remove(tmp); err != nil { // a killed run left it
		return nil, err
	}
	e, err := at.MakeDir(tmp)
	if err != nil {
		return nil, err
	}
	err = own(e, uid, gid, 0o700)
	e.Close()
	if err == nil {
		err = at.Rename(tmp, name) // what the user has put there meanwhile stays, unless it is empty
	}
	if err != nil {
		return nil, errors.Join(err, at.Remove(tmp))
	}
	return at.Entry(name)
}

// refuse returns an error for what isn't of the type, or not the user's own.
func (p place) refuse(e *host.Entry, uid int, want host.FileType) error {
	what := "a " + string(want)
	owner, _ := e.Owner()
	switch {
	case e.Type() == host.Symlink:
		return fmt.Errorf("%s is a link: muster follows none to the keys of %s, since they could lead anywhere; put %s in its place", e.Path(), p.User, what)
	case e.Type() != want:
		return fmt.Errorf("%s isn't %s: look at it, and remove it", e.Path(), what)
	case owner != uid && owner != 0 && (p.Owned || os.Geteuid() == 0):
		return fmt.Errorf("%s belongs to %s, neither to root nor to %s: sshd and muster both mistrust that; look at it, then chown it", e.Path(), host.UserName(uint32(owner)), p.User)
	case want == host.Regular && e.Names() > 1 && owner != uid:
		return fmt.Errorf("%s is one of %d names of a file of root's, which a user could have made: look at it, and remove it", e.Path(), e.Names())
	}
	return nil
}

// read reads what stands there on the host.
func (p place) read(uid int) (keyState, error) {
	var s keyState
	at, missing, err := p.enter(uid, -1, false)
	s.missing = missing
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer at.Close()
	return s, p.readIn(at, uid, &s)
}

func (p place) readIn(at *host.Dir, uid int, s *keyState) error {
	e, err := at.Entry(p.Names[len(p.Names)-1])
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer e.Close()
	if err := p.refuse(e, uid, host.Regular); err != nil {
		return err
	}
	data, err := e.Read(keyFileLimit)
	if err != nil {
		return fmt.Errorf("reading the keys of %s: %w", p.User, err)
	}
	c := host.ContentOf(data, false)
	s.content, s.sum = string(data), c.Sum
	s.file = host.FileInfo{Type: host.Regular, Mode: e.Mode(), Size: c.Size, Owner: p.User}
	if owner, group := e.Owner(); owner == 0 {
		s.gid = group
		s.file.Owner, s.file.Group = "root", host.GroupName(uint32(group))
	}
	return nil
}

// WriteKeys writes a user's file of keys, and makes its directory.
type WriteKeys struct {
	Place   place         `json:"place"`
	Content host.Content  `json:"content"`
	Before  string        `json:"before,omitempty"` // the sum of what it was planned on; "" if nobody knows
	After   host.FileInfo `json:"after"`
	Group   string        `json:"group"`
	New     bool          `json:"new,omitempty"`
	Missing int           `json:"missing,omitempty"` // directories that are made
	// Mended is the directory with the mode that sshd wants; nil if it has it.
	Mended *host.FileInfo `json:"mended,omitempty"`
	Diff   string         `json:"diff,omitempty"`
	Wants  string         `json:"wants"`
}

// Type is "account.keys/1".
func (*WriteKeys) Type() string { return "account.keys/1" }

// Describe shows the keys that come and go.
func (w *WriteKeys) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: w.Place.path(), Diff: w.Diff}
	if w.New {
		d.Action = host.Create
	}
	if w.Missing > 0 {
		d.Impact = "with its directory, mode 0700"
	}
	return d
}

// Want is the keys that were asked for.
func (w *WriteKeys) Want() any { return []string{w.Place.path(), w.Wants} }

// Effects is the file, and the directories on the way to it.
func (w *WriteKeys) Effects() []host.Effect {
	list := []host.Effect{host.Is(host.File(w.Place.path()), w.After), host.Is(host.Key{Space: keySpace, Name: w.Place.User}, w.Content.Sum)}
	at := filepath.Dir(w.Place.path())
	if w.Mended != nil {
		list = append(list, host.Is(host.File(at), *w.Mended))
	}
	for range w.Missing {
		list = append(list, host.Is(host.File(at), host.FileInfo{Type: host.Directory, Mode: 0o700, Owner: w.Place.User, Group: w.Group}))
		at = filepath.Dir(at)
	}
	return list
}

// Obstacle is why the keys couldn't be written: the file that is there goes for them.
func (w *WriteKeys) Obstacle(v *host.View) error {
	return v.Obstacle(w.Place.path(), host.Removing, host.FileInfo{}, host.FileInfo{})
}

// Apply writes the keys beside their place and renames them.
func (w *WriteKeys) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	uid, gid, err := numbers(w.Place.User)
	if err != nil {
		return host.Result{}, err
	}
	body, err := h.Bodies.Read(ctx, w.Content, 2*keyFileLimit)
	if err != nil {
		return host.Result{}, err
	}
	at, _, err := w.Place.enter(uid, gid, true)
	if err != nil {
		return host.Result{}, err
	}
	defer at.Close()
	if err := h.At("entered the directory"); err != nil {
		return host.Result{}, err
	}
	var now keyState
	if err := w.Place.readIn(at, uid, &now); err != nil {
		return host.Result{}, err
	}
	moved := now.sum != w.Before && now.sum != w.Content.Sum
	if moved || now.file.Exists() && (now.file.Owner == "root") != (w.After.Owner == "root") {
		return host.Result{}, fmt.Errorf("%s: %w", w.Place.path(), host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if w.Mended != nil {
		if err := mendDir(at, uid); err != nil {
			return host.Result{}, err
		}
	}
	if w.After.Owner == "root" {
		uid, gid = 0, now.gid
	}
	name := w.Place.Names[len(w.Place.Names)-1]
	tmp := host.Temporary(name)
	if err := w.write(at, tmp, body, uid, gid); err != nil {
		_ = at.Remove(tmp)
		return host.Result{}, fmt.Errorf("writing %s: %w", w.Place.path(), err)
	}
	err = h.At("written beside its place")
	if err == nil {
		err = at.Rename(tmp, name)
	}
	if err != nil {
		_ = at.Remove(tmp)
		return host.Result{}, err
	}
	if err := h.At("renamed"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, at.Sync()
}

// mendDir gives the directory a mode with which sshd takes the keys in it.
func mendDir(at *host.Dir, uid int) error {
	e, err := at.Entry(".")
	if err != nil {
		return err
	}
	defer e.Close()
	owner, _ := e.Owner()
	return e.Chmod(mendedMode(e.Mode(), owner == uid, true))
}

func (w *WriteKeys) write(at *host.Dir, tmp string, body []byte, uid, gid int) error {
	if err := at.Remove(tmp); err != nil { // a killed run left it
		return err
	}
	f, err := at.Create(tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(body); err != nil {
		return err
	}
	e, err := host.Opened(f)
	if err != nil {
		return err
	}
	defer e.Close()
	if os.Geteuid() == 0 {
		if err := e.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := e.Chmod(w.After.Mode); err != nil {
		return err
	}
	return f.Sync()
}
