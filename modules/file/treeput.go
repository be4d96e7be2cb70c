package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"muster/host"
)

// tree is an open directory that is being edited.
type tree struct {
	root *host.Dir
	dir  *host.Dir // the directory that was used last
	name string    // its relative path
	ids  map[string]int
}

// openTree opens the directory at path, which is resolved.
func openTree(path string) (*tree, error) {
	root, err := host.OpenDir(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s is gone: %w", path, host.ErrMoved)
	}
	if err != nil {
		return nil, err
	}
	return &tree{root: root, ids: map[string]int{}}, nil
}

func (t *tree) close() {
	t.dir.Close()
	t.root.Close()
}

// at returns the open directory of rel, and rel's name in it.
func (t *tree) at(rel string) (*host.Dir, string, error) {
	name := filepath.Dir(rel)
	if t.dir == nil || t.name != name {
		d, err := t.root.Sub(name)
		if err != nil {
			return nil, "", err
		}
		t.dir.Close()
		t.dir, t.name = d, name
	}
	return t.dir, filepath.Base(rel), nil
}

// remove removes what stands at rel with all that is in it.
func (t *tree) remove(rel string) error {
	dir, base, err := t.at(rel)
	if err == nil {
		err = dir.RemoveAll(base)
	}
	return err
}

// put makes one thing what it is to be.
func (t *tree) put(item TreeItem, body func() (io.ReadCloser, error), step func(string) error) error {
	dir, base, err := t.at(item.Path)
	if err != nil {
		return err
	}
	now, err := item.unmoved(dir, base)
	if err != nil {
		return err
	}
	rewrite := item.Before.Type != item.After.Type || now == host.NoFile
	switch item.After.Type {
	case host.Directory:
		if rewrite && now != host.Directory {
			return t.replace(dir, base, item, now, nil, step)
		}
		err = t.setAttr(dir, base, item)
	case host.Symlink:
		if rewrite || item.Before.Target != item.After.Target {
			return t.replace(dir, base, item, now, nil, step)
		}
		err = t.setAttr(dir, base, item)
	default:
		if rewrite || item.Before.Sum != item.After.Sum {
			r, err := body()
			if err != nil {
				return err
			}
			defer r.Close()
			return t.replace(dir, base, item, now, r, step)
		}
		err = t.setAttr(dir, base, item)
	}
	if err != nil {
		return err
	}
	return step("set " + item.Path)
}

// unmoved returns the type of what stands there. It is what was planned on, or what
// an edit that was cut has made of it; else the answer is host.ErrMoved.
func (i TreeItem) unmoved(dir *host.Dir, base string) (host.FileType, error) {
	e, err := dir.Entry(base)
	if errors.Is(err, os.ErrNotExist) {
		if i.Before.Exists() && i.Before.Type == i.After.Type {
			return host.NoFile, host.ErrMoved
		}
		return host.NoFile, nil
	}
	if err != nil {
		return host.NoFile, err
	}
	defer e.Close()
	now, err := e.Info()
	if err != nil {
		return host.NoFile, err
	}
	is := func(planned host.FileInfo) (bool, error) {
		same := now.Type == planned.Type && now.Target == planned.Target && now.Owner == planned.Owner && now.Group == planned.Group &&
			(now.Mode == planned.Mode || now.Type == host.Symlink)
		if !same || now.Type != host.Regular || planned.Sum == "" {
			return same, nil
		}
		sum, err := e.Sum()
		return sum == planned.Sum, err
	}
	for _, planned := range []host.FileInfo{i.Before, i.After, i.partly()} {
		if same, err := is(planned); err != nil || same {
			return now.Type, err
		}
	}
	return now.Type, host.ErrMoved
}

// partly is what an edit of attributes that was cut leaves: the owner is given first,
// which takes special bits away.
func (i TreeItem) partly() host.FileInfo {
	info := i.Before
	info.Owner, info.Group, info.Mode = i.After.Owner, i.After.Group, i.Before.Mode&^0o6000
	return info
}

// replace makes a directory, a link, or a file that holds body, beside its
// place and renames it.
func (t *tree) replace(dir *host.Dir, base string, item TreeItem, now host.FileType, body io.Reader, step func(string) error) error {
	tmp := host.Temporary(base)
	if err := clear(dir, tmp); err != nil {
		return err
	}
	var err error
	switch {
	case item.After.Type == host.Directory:
		err = t.fresh(dir.MakeDir, tmp, item.After)
		if err == nil && now != host.NoFile { // a directory doesn't replace a file by rename(2)
			err = dir.Remove(base)
		}
	case item.After.Type == host.Symlink:
		err = t.fresh(func(name string) (*host.Entry, error) { return dir.MakeLink(item.After.Target, name) }, tmp, item.After)
	default:
		err = t.write(dir, base, tmp, item, now, body)
	}
	if err == nil {
		err = step("beside its place: " + item.Path)
	}
	if err == nil && now == host.Directory {
		err = dir.RemoveAll(base)
	}
	if err == nil {
		err = dir.Rename(tmp, base)
	}
	if err != nil {
		_ = clear(dir, tmp)
		return err
	}
	return step("renamed " + item.Path)
}

// fresh makes a thing and gives it its owner and mode.
func (t *tree) fresh(makes func(name string) (*host.Entry, error), name string, after host.FileInfo) error {
	e, err := makes(name)
	if err != nil {
		return err
	}
	defer e.Close()
	return t.give(e, after)
}

// clear removes what a killed run left at a temporary name.
func clear(dir *host.Dir, tmp string) error {
	left, err := dir.Entry(tmp)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer left.Close()
	uid, _ := left.Owner()
	switch left.Type() {
	case host.Regular, host.Symlink, host.Directory: // of directories only an empty one is ours
		if uid == os.Geteuid() || host.IsRoot() {
			err = dir.Remove(tmp)
			break
		}
		fallthrough
	default:
		err = os.ErrExist
	}
	if err != nil {
		return fmt.Errorf("%s is in the way, which muster hasn't made; look at it and remove it: %w", tmp, err)
	}
	return nil
}

// write makes the temporary file, complete with owner, attributes and mode.
func (t *tree) write(dir *host.Dir, base, tmp string, item TreeItem, now host.FileType, body io.Reader) error {
	f, err := dir.Create(tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, body); err != nil {
		return err
	}
	made, err := host.Opened(f)
	if err != nil {
		return err
	}
	defer made.Close()
	if now != host.Regular {
		return t.give(made, item.After)
	}
	old, err := dir.Entry(base)
	if err != nil {
		return err
	}
	defer old.Close()
	// The attributes come between: a change of owner takes some away, and an
	// access control list has its mask in the mode.
	if err := t.own(made, item.After); err != nil {
		return err
	}
	if err := old.CopyAttributes(f); err != nil {
		return err
	}
	return made.Chmod(item.After.Mode)
}

// setAttr gives a thing its owner and mode, without following a link.
func (t *tree) setAttr(dir *host.Dir, base string, item TreeItem) error {
	e, err := dir.Entry(base)
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Type() != item.After.Type {
		return host.ErrMoved
	}
	return t.give(e, item.After)
}

// give gives a thing its owner and mode.
func (t *tree) give(e *host.Entry, after host.FileInfo) error {
	if err := t.own(e, after); err != nil || e.Type() == host.Symlink {
		return err
	}
	return e.Chmod(after.Mode)
}

// own gives a thing its owner and group, where they aren't right already.
func (t *tree) own(e *host.Entry, after host.FileInfo) error {
	toUID, toGID, err := t.numbers(after)
	if err != nil {
		return err
	}
	uid, gid := e.Owner()
	if uid == toUID {
		toUID = -1
	}
	if gid == toGID {
		toGID = -1
	}
	return e.Chown(toUID, toGID)
}

// numbers returns the numbers of an owner and a group.
func (t *tree) numbers(info host.FileInfo) (uid, gid int, err error) {
	if uid, err = t.id("u", info.Owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	}); err != nil {
		return -1, -1, err
	}
	gid, err = t.id("g", info.Group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	return uid, gid, err
}

func (t *tree) id(space, name string, lookup func(string) (string, error)) (int, error) {
	if n, ok := t.ids[space+name]; ok {
		return n, nil
	}
	s := name
	if !number(name) {
		var err error
		if s, err = lookup(name); err != nil {
			return -1, err
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1, err
	}
	t.ids[space+name] = n
	return n, nil
}
