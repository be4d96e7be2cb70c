package remote

import (
	"context"
	"errors"
	"io/fs"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"muster/host"
)

// identity returns what a user is on the preview of the tasks planned so far.
func (s *Session) identity(ctx context.Context, name string) host.Identity {
	id := host.Identity{Name: name, Owners: map[string]bool{name: true}, Groups: map[string]bool{}}
	join := func(number string) {
		id.Groups[number] = true
		if gid, err := strconv.ParseUint(number, 10, 32); err == nil {
			id.Groups[host.GroupName(uint32(gid))] = true
		}
	}
	if u, err := user.Lookup(name); err == nil {
		id.Root = u.Uid == "0"
		id.Owners[u.Uid] = true
		if uid, err := strconv.ParseUint(u.Uid, 10, 32); err == nil {
			id.Owners[host.UserName(uint32(uid))] = true
		}
		numbers, _ := u.GroupIds()
		for _, number := range append(numbers, u.Gid) {
			join(number)
		}
	}
	if u, err := s.ahead.User(ctx, name); err == nil && u != nil && u.GID >= 0 {
		join(strconv.Itoa(u.GID))
	}
	for _, group := range s.ahead.Laid(host.Groups) {
		if g, err := s.ahead.Group(ctx, group); err == nil && g != nil && slices.Contains(g.Members, name) {
			id.Groups[group] = true
		}
	}
	return id
}

// moving reports whether pending changes alter who this session's user is: their
// numbers, home or groups. Until they are made it can't be told what the user may do.
func (s *Session) moving(ctx context.Context) bool { return s.User != "" && s.moves(ctx, s.User) }

// moves reports whether pending changes alter who a user is.
func (s *Session) moves(ctx context.Context, name string) bool {
	if !s.preview.Pending() {
		return false
	}
	ahead, err := s.ahead.User(ctx, name)
	real, _ := s.real.User(ctx, name)
	if err != nil {
		return true
	}
	if ahead == nil || real == nil {
		return ahead != real
	}
	if ahead.UID != real.UID || ahead.GID != real.GID || ahead.Home != real.Home {
		return true
	}
	for _, group := range s.ahead.Laid(host.Groups) {
		ahead, err := s.ahead.Group(ctx, group)
		real, _ := s.real.Group(ctx, group)
		lists := func(g *host.Group) bool { return g != nil && slices.Contains(g.Members, name) }
		if err != nil || lists(ahead) != lists(real) {
			return true
		}
	}
	_, _, _, err = s.ahead.Look(host.Key{Space: host.Groups})
	return err != nil // the whole space is open
}

// unsettled reports whether what a task failed for while planning may have come in
// order by its turn: anything behind an unguarded command or for a user who is about
// to change, and for others a lack of permission where pending changes may do more than
// edit files and accounts, or at a path that they touch.
func (s *Session) unsettled(ctx context.Context, t *task, err error) bool {
	switch {
	case s.preview.Tainted(), s.moving(ctx):
		return true
	case s.User == "" || !errors.Is(err, fs.ErrPermission):
		return false
	}
	if o := (*host.Obstacle)(nil); errors.As(err, &o) && o.Planned {
		return s.loosened(o.Path)
	}
	paths := t.paths()
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		paths = append(paths, at.Path)
	}
	return s.loosened("") || slices.ContainsFunc(paths, s.touched)
}

// touched reports whether pending changes leave something at a path or above it.
func (s *Session) touched(path string) bool {
	path = s.resolved(path)
	return slices.ContainsFunc(append(above(path), path), func(at string) bool {
		_, laid, _, err := s.ahead.Look(host.File(at))
		return laid || err != nil
	})
}

// paths are the absolute paths among a task's arguments.
func (t *task) paths() (list []string) {
	for _, value := range t.Args {
		for _, arg := range names(value) {
			if filepath.IsAbs(arg) {
				list = append(list, filepath.Clean(arg))
			}
		}
	}
	return list
}

// above returns the directories that a path lies in, the outermost first.
func above(path string) []string {
	var list []string
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		list = append([]string{dir}, list...)
		if dir == filepath.Dir(dir) {
			return list
		}
	}
}

// reads reports whether a user may read a planned file: by its mode and by those of
// the directories on the way to it, as planned. Where an access control list is
// in play it is taken for no.
func (s *Session) reads(id host.Identity, path string, info host.FileInfo) bool {
	for _, dir := range above(path) {
		at, err := s.ahead.Lstat(dir)
		if err != nil || at.Type != host.Directory || at.ACL || !id.May(at, host.MayEnter) {
			return false
		}
	}
	return !info.ACL && id.May(info, host.MayRead)
}

// errForeign is why an effect doesn't count: it isn't its user's to have.
var errForeign = errors.New("not theirs to alter")

// placer tells what a user may put where, on a preview that grows with it.
type placer struct {
	id   host.Identity
	view *host.View
	dirs map[string]error // what is known of directories: may the user put things there?
}

// free returns nil where the user may make, replace and remove what is at path,
// errForeign where they may not, and another error where that can't be told.
func (p *placer) free(path string) error {
	dir := filepath.Dir(path)
	err, known := p.dirs[dir]
	if !known {
		err = p.enters(dir)
		p.dirs[dir] = err
	}
	if err != nil {
		return err
	}
	at, err := p.view.Lstat(dir)
	if err != nil {
		return err
	}
	if at.Mode&0o1000 == 0 || p.id.Root || p.id.Owners[at.Owner] {
		return nil
	}
	// In a sticky directory others' things stay theirs.
	old, err := p.view.Lstat(path)
	if err == nil && old.Exists() && !p.id.Owners[old.Owner] {
		return errForeign
	}
	return err
}

// enters returns nil where the user may go to a directory and write there.
func (p *placer) enters(dir string) error {
	for _, at := range append(above(dir), dir) {
		info, err := p.view.Lstat(at)
		switch {
		case err != nil:
			return err
		case info.Type != host.Directory, !p.id.Perhaps(info, host.MayEnter):
			return errForeign
		case at == dir && !p.id.Perhaps(info, host.MayWrite|host.MayEnter):
			return errForeign
		}
	}
	return nil
}
