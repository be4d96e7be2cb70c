package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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
func (p place) enter(uid, gid int, make bool) (at dir, missing int, err error) {
	if at, err = openDir(p.Base); err != nil {
		return dir{}, 0, err
	}
	for i, name := range p.Names[:len(p.Names)-1] {
		path := filepath.Join(at.path, name)
		next, err := openAt(at.fd, name, path)
		if make && errors.Is(err, fs.ErrNotExist) {
			if err = unix.Mkdirat(at.fd, name, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
				next, err = openAt(at.fd, name, path)
			}
			// What was made here is root's until it is given away. What the
			// user put there in between is theirs, or refused below.
			if err == nil && next.stat.Mode&unix.S_IFMT == unix.S_IFDIR && int(next.stat.Uid) == os.Geteuid() && os.Geteuid() != uid {
				if err = own(next, uid, gid, 0o700); err == nil {
					next.stat.Uid = uint32(uid)
				}
			}
		}
		at.close()
		if errors.Is(err, fs.ErrNotExist) {
			return dir{}, len(p.Names) - 1 - i, err
		}
		if err != nil {
			return dir{}, 0, err
		}
		if err := p.refuse(next, uid, unix.S_IFDIR); err != nil {
			next.close()
			return dir{}, 0, err
		}
		at = next
	}
	return at, 0, nil
}

// refuse returns an error for what isn't of the type, or not the user's own.
func (p place) refuse(d dir, uid int, want uint32) error {
	what := map[uint32]string{unix.S_IFDIR: "a directory", unix.S_IFREG: "a file"}
	switch typ := d.stat.Mode & unix.S_IFMT; {
	case typ == unix.S_IFLNK:
		return fmt.Errorf("%s is a link: muster follows none to the keys of %s, since they could lead anywhere; put %s in its place", d.path, p.User, what[want])
	case typ != want:
		return fmt.Errorf("%s isn't %s: look at it, and remove it", d.path, what[want])
	case int(d.stat.Uid) != uid && d.stat.Uid != 0 && (p.Owned || os.Geteuid() == 0):
		return fmt.Errorf("%s belongs to %s, neither to root nor to %s: sshd and muster both mistrust that; look at it, then chown it", d.path, host.UserName(d.stat.Uid), p.User)
	case want == unix.S_IFREG && d.stat.Nlink > 1 && int(d.stat.Uid) != uid:
		return fmt.Errorf("%s is one of %d names of a file of root's, which a user could have made: look at it, and remove it", d.path, d.stat.Nlink)
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
	defer at.close()
	return s, p.readIn(at, uid, &s)
}

func (p place) readIn(at dir, uid int, s *keyState) error {
	name := p.Names[len(p.Names)-1]
	d, err := openAt(at.fd, name, p.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	if err := p.refuse(d, uid, unix.S_IFREG); err != nil {
		return err
	}
	// The very file that was looked at, whatever stands at its name by now.
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", d.fd))
	if err != nil {
		return fmt.Errorf("reading the keys of %s: %w", p.User, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, keyFileLimit+1))
	if err != nil {
		return err
	}
	if len(data) > keyFileLimit {
		return fmt.Errorf("%s has more than %d bytes: no file of keys", p.path(), keyFileLimit)
	}
	c := host.ContentOf(data, false)
	s.content, s.sum = string(data), c.Sum
	s.file = host.FileInfo{Type: host.Regular, Mode: host.Mode(d.stat.Mode & 0o7777), Size: c.Size, Owner: p.User}
	if d.stat.Uid == 0 {
		s.gid = int(d.stat.Gid)
		s.file.Owner, s.file.Group = "root", host.GroupName(d.stat.Gid)
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
	defer at.close()
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
	if w.Mended != nil {
		mode := mendedMode(host.Mode(at.stat.Mode&0o7777), int(at.stat.Uid) == uid, true)
		if err := own(at, -1, -1, uint32(mode)); err != nil {
			return host.Result{}, err
		}
	}
	if w.After.Owner == "root" {
		uid, gid = 0, now.gid
	}
	name := w.Place.Names[len(w.Place.Names)-1]
	tmp := ".muster-" + name + ".tmp"
	if err := w.write(at, tmp, body, uid, gid); err != nil {
		_ = unix.Unlinkat(at.fd, tmp, 0)
		return host.Result{}, fmt.Errorf("writing %s: %w", w.Place.path(), err)
	}
	err = h.At("written beside its place")
	if err == nil {
		err = unix.Renameat(at.fd, tmp, at.fd, name)
	}
	if err != nil {
		_ = unix.Unlinkat(at.fd, tmp, 0)
		return host.Result{}, err
	}
	if err := h.At("renamed"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, at.sync()
}

func (w *WriteKeys) write(at dir, tmp string, body []byte, uid, gid int) error {
	if err := unix.Unlinkat(at.fd, tmp, 0); err != nil && !errors.Is(err, fs.ErrNotExist) { // a killed run left it
		return err
	}
	fd, err := unix.Openat(at.fd, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), tmp)
	defer f.Close()
	if _, err := io.Copy(f, bytes.NewReader(body)); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, uint32(w.After.Mode)); err != nil {
		return err
	}
	return f.Sync()
}
