package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"muster/host"
)

// Bounds of a skeleton that is copied.
const (
	skeletonDepth   = 16
	skeletonEntries = 2000
	skeletonBody    = 64 << 10 // bytes of a file that the preview knows
)

// makeHome plans the home directory, unless it is there.
func (p *planner) makeHome(ctx context.Context, u host.User, t details) error {
	if u.Home == "" {
		return fmt.Errorf("the user %s has no home directory to make: give its path as home", p.Name)
	}
	path, err := p.v.Place(u.Home, false)
	if err != nil {
		return err
	}
	there, err := p.v.Stat(path)
	switch {
	case err != nil && !errors.Is(err, host.ErrNotYet):
		return err
	case there.Type == host.Directory:
		return nil
	case there.Exists():
		return fmt.Errorf("the home %s of the user %s is a %s, not a directory", path, p.Name, there.Type)
	}
	m := &MakeHome{Path: path, User: p.Name, Skeleton: "/etc/skel"}
	for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
		info, err := p.v.Stat(parent)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if info.Exists() && info.Type != host.Directory {
			return fmt.Errorf("the home %s of the user %s can't be made: %s is a %s, not a directory", path, p.Name, parent, info.Type)
		}
		if info.Exists() {
			break
		}
		m.Parents = append([]string{parent}, m.Parents...)
	}
	login, err := defaults(ctx, p.v, "/etc/login.defs")
	if err != nil {
		return err
	}
	useradd, err := defaults(ctx, p.v, "/etc/default/useradd")
	if err != nil {
		return err
	}
	m.Mode = homeMode(login)
	if s := useradd["SKEL"]; filepath.IsAbs(s) {
		m.Skeleton = s
	}
	for _, parent := range m.Parents {
		m.Leaves = append(m.Leaves, host.Is(host.File(parent), host.FileInfo{Type: host.Directory, Mode: 0o755, Owner: "root", Group: "root"}))
	}
	m.Leaves = append(m.Leaves, host.Is(host.File(path), host.FileInfo{Type: host.Directory, Mode: m.Mode, Owner: p.Name, Group: t.Group}))
	if err := p.skeleton(ctx, m, m.Skeleton, path, t.Group, 0); err != nil {
		return err
	}
	p.changes = append(p.changes, m)
	return nil
}

// homeMode is the mode of a new home: HOME_MODE of login.defs(5), else what
// UMASK leaves of 0777.
func homeMode(login map[string]string) host.Mode {
	if m, err := strconv.ParseUint(login["HOME_MODE"], 8, 32); err == nil && m <= 0o7777 && m > 0 {
		return host.Mode(m)
	}
	mask, err := strconv.ParseUint(login["UMASK"], 8, 32)
	if err != nil || mask > 0o777 {
		mask = 0o022
	}
	return host.Mode(0o777 &^ mask)
}

// skeleton adds what will stand in the new home to the effects.
func (p *planner) skeleton(ctx context.Context, m *MakeHome, from, to, group string, depth int) error {
	names, err := p.v.ReadDir(from)
	if err != nil || depth > skeletonDepth {
		return err
	}
	for _, name := range names {
		source, key := filepath.Join(from, name), host.File(filepath.Join(to, name))
		info, err := p.v.Lstat(source)
		if errors.Is(err, host.ErrNotYet) || len(m.Leaves) >= skeletonEntries {
			m.Leaves = append(m.Leaves, host.Effect{Key: key, State: host.Unknown})
			continue
		}
		if err != nil {
			return err
		}
		after := host.FileInfo{Type: info.Type, Mode: info.Mode &^ 0o6000, Owner: p.Name, Group: group, Target: info.Target}
		switch info.Type {
		case host.Regular:
			body, err := p.v.ReadFile(ctx, source, skeletonBody)
			if err != nil {
				m.Leaves = append(m.Leaves, host.Effect{Key: key, State: host.Unknown})
				continue
			}
			c := p.v.Keep(body, info.Sensitive)
			after.Sum, after.Size, after.Sensitive = c.Sum, c.Size, c.Sensitive
		case host.Directory, host.Symlink:
		default:
			continue // sockets and devices aren't copied
		}
		m.Leaves = append(m.Leaves, host.Is(key, after))
		if info.Type == host.Directory {
			if err := p.skeleton(ctx, m, source, key.Name, group, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// MakeHome makes a home directory with what the skeleton holds. It is made
// beside its place and renamed, so that it is either complete or not there.
type MakeHome struct {
	Path     string        `json:"path"` // resolved: no link in its parents
	User     string        `json:"user"`
	Mode     host.Mode     `json:"mode"`
	Skeleton string        `json:"skeleton"`
	Parents  []string      `json:"parents,omitempty"` // those that are missing, or may be by now
	Leaves   []host.Effect `json:"leaves"`
}

// Type is "account.home/1".
func (*MakeHome) Type() string { return "account.home/1" }

// Describe names the directory, its mode, the skeleton and the missing parents.
func (m *MakeHome) Describe() host.Description {
	impact := fmt.Sprintf("home of %s, mode %s, from %s", m.User, m.Mode, m.Skeleton)
	if len(m.Parents) > 0 {
		impact += "; with its missing parents " + strings.Join(m.Parents, ", ")
	}
	return host.Description{Action: host.Create, Target: m.Path, Impact: impact}
}

// Effects is the directory with its missing parents, and what will stand in it.
func (m *MakeHome) Effects() []host.Effect { return m.Leaves }

// Want is the directory.
func (m *MakeHome) Want() any { return []string{m.Path, m.User} }

// Apply makes it.
func (m *MakeHome) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	uid, gid, err := numbers(m.User)
	if err != nil {
		return host.Result{}, err
	}
	parent, err := host.MakeDirs(filepath.Dir(m.Path), 0o755)
	if err != nil {
		return host.Result{}, fmt.Errorf("making the home of %s: %w", m.User, err)
	}
	defer parent.Close()
	name := filepath.Base(m.Path)
	if there, err := parent.Type(name); err != nil || there != host.NoFile {
		return host.Result{}, errors.Join(err, fmt.Errorf("%s: %w", m.Path, host.ErrMoved))
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	tmp := host.Temporary(name)
	if err := m.build(h, parent, tmp, uid, gid); err != nil {
		_ = parent.RemoveAll(tmp)
		return host.Result{}, fmt.Errorf("making the home of %s: %w", m.User, err)
	}
	if err := h.At("home in its place"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, parent.Sync()
}

func (m *MakeHome) build(h *host.Host, parent *host.Dir, tmp string, uid, gid int) error {
	if err := parent.RemoveAll(tmp); err != nil { // a killed run left it
		return err
	}
	// Until all is copied it is root's alone.
	made, err := parent.MakeDir(tmp)
	if err != nil {
		return err
	}
	defer made.Close()
	n := 0
	skeleton, err := host.NewView(h, nil).Place(m.Skeleton, true)
	if err != nil {
		return err
	}
	if err := copyTree(skeleton, made, uid, gid, 0, &n); err != nil {
		return err
	}
	if err := h.At("home beside its place"); err != nil {
		return err
	}
	if err := own(made, uid, gid, m.Mode); err != nil {
		return err
	}
	return parent.RenameNew(tmp, filepath.Base(m.Path))
}

// own gives an open file to a user: the owner first, since that clears setuid.
func own(e *host.Entry, uid, gid int, mode host.Mode) error {
	if err := e.Chown(uid, gid); err != nil {
		return err
	}
	return e.Chmod(mode)
}

// copyTree copies what is in from into the open directory to. Links are copied
// as links and given away themselves, never what they lead to. A skeleton that
// isn't there is empty.
func copyTree(from string, to *host.Entry, uid, gid, depth int, n *int) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || depth > skeletonDepth {
		return err
	}
	dir, err := to.Dir()
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, e := range entries {
		if *n++; *n > skeletonEntries {
			return fmt.Errorf("%s holds more than %d files: no skeleton for homes", from, skeletonEntries)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		made, err := copyEntry(filepath.Join(from, e.Name()), info.Mode(), dir, e.Name())
		if err != nil {
			return fmt.Errorf("copying %s: %w", filepath.Join(from, e.Name()), err)
		}
		if made == nil {
			continue
		}
		if info.IsDir() {
			err = copyTree(filepath.Join(from, e.Name()), made, uid, gid, depth+1, n)
		}
		switch {
		case err != nil:
		case made.Type() == host.Symlink:
			err = made.Chown(uid, gid)
		default:
			err = own(made, uid, gid, host.Mode(info.Mode().Perm()))
		}
		made.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// copyEntry makes a file, an empty directory or a link as source is one; nil
// for what isn't copied: sockets and devices.
func copyEntry(source string, mode fs.FileMode, to *host.Dir, name string) (*host.Entry, error) {
	switch {
	case mode.IsRegular():
		return copyFile(source, to, name)
	case mode.IsDir():
		return to.MakeDir(name)
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return nil, err
		}
		return to.MakeLink(target, name)
	}
	return nil, nil
}

func copyFile(source string, to *host.Dir, name string) (*host.Entry, error) {
	from, base, err := host.OpenParent(source)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	e, err := from.Entry(base)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	in, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := to.Create(name)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return nil, err
	}
	return host.Opened(out)
}

// numbers returns the numbers of a user who exists by now.
func numbers(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}
