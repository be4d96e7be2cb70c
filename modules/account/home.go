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

	"golang.org/x/sys/unix"

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
	path, err := p.v.Resolve(u.Home)
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
	for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
		info, err := p.v.Stat(parent)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if info.Exists() && info.Type != host.Directory {
			return fmt.Errorf("the home %s of the user %s can't be made: %s is a %s, not a directory", path, p.Name, parent, info.Type)
		}
		if err != nil || info.Exists() {
			break
		}
	}
	login, err := defaults(ctx, p.v, "/etc/login.defs")
	if err != nil {
		return err
	}
	useradd, err := defaults(ctx, p.v, "/etc/default/useradd")
	if err != nil {
		return err
	}
	m := &MakeHome{Path: path, User: p.Name, Mode: homeMode(login), Skeleton: "/etc/skel"}
	if s := useradd["SKEL"]; filepath.IsAbs(s) {
		m.Skeleton = s
	}
	m.Leaves = []host.Effect{host.Is(host.File(path), host.FileInfo{Type: host.Directory, Mode: m.Mode, Owner: p.Name, Group: t.Group})}
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
	Leaves   []host.Effect `json:"leaves"`
}

// Type is "account.home/1".
func (*MakeHome) Type() string { return "account.home/1" }

// Describe names the directory, its mode and the skeleton.
func (m *MakeHome) Describe() host.Description {
	return host.Description{Action: host.Create, Target: m.Path, Impact: fmt.Sprintf("home of %s, mode %s, from %s", m.User, m.Mode, m.Skeleton)}
}

// Effects is the directory, and what will stand in it.
func (m *MakeHome) Effects() []host.Effect { return m.Leaves }

// Want is the directory.
func (m *MakeHome) Want() any { return []string{m.Path, m.User} }

// Apply makes it.
func (m *MakeHome) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	uid, gid, err := numbers(m.User)
	if err != nil {
		return host.Result{}, err
	}
	parent, err := mkdirAll(filepath.Dir(m.Path))
	if err != nil {
		return host.Result{}, fmt.Errorf("making the home of %s: %w", m.User, err)
	}
	defer parent.close()
	if there, err := openAt(parent.fd, filepath.Base(m.Path), m.Path); err == nil {
		there.close()
		return host.Result{}, fmt.Errorf("%s: %w", m.Path, host.ErrMoved)
	}
	tmp := ".muster-" + filepath.Base(m.Path) + ".tmp"
	if err := m.build(h, parent, tmp, uid, gid); err != nil {
		_ = os.RemoveAll(parent.through(tmp))
		return host.Result{}, fmt.Errorf("making the home of %s: %w", m.User, err)
	}
	if err := h.At("home in its place"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, parent.sync()
}

func (m *MakeHome) build(h *host.Host, parent dir, tmp string, uid, gid int) error {
	if err := os.RemoveAll(parent.through(tmp)); err != nil { // a killed run left it
		return err
	}
	if err := unix.Mkdirat(parent.fd, tmp, 0o700); err != nil {
		return err
	}
	// Until all is copied it is root's alone.
	made, err := openAt(parent.fd, tmp, filepath.Join(parent.path, tmp))
	if err != nil {
		return err
	}
	defer made.close()
	n := 0
	if err := copyTree(m.Skeleton, made, uid, gid, 0, &n); err != nil {
		return err
	}
	if err := h.At("home beside its place"); err != nil {
		return err
	}
	if err := own(made, uid, gid, uint32(m.Mode)); err != nil {
		return err
	}
	return unix.Renameat2(parent.fd, tmp, parent.fd, filepath.Base(m.Path), unix.RENAME_NOREPLACE)
}

// own gives an open file to a user: the owner first, since that clears setuid.
func own(d dir, uid, gid int, mode uint32) error {
	if err := unix.Fchownat(d.fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "chown", Path: d.path, Err: err}
	}
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", d.fd), mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: d.path, Err: err}
	}
	return nil
}

// copyTree copies what is in from into the open directory to. Links are copied
// as links and given away themselves, never what they lead to. A skeleton that
// isn't there is empty.
func copyTree(from string, to dir, uid, gid, depth int, n *int) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || depth > skeletonDepth {
		return err
	}
	for _, e := range entries {
		if *n++; *n > skeletonEntries {
			return fmt.Errorf("%s holds more than %d files: no skeleton for homes", from, skeletonEntries)
		}
		source, path := filepath.Join(from, e.Name()), filepath.Join(to.path, e.Name())
		info, err := e.Info()
		if err != nil {
			return err
		}
		perm := uint32(info.Mode().Perm())
		switch {
		case info.Mode().IsRegular():
			err = copyFile(source, to, e.Name())
		case info.IsDir():
			err = unix.Mkdirat(to.fd, e.Name(), 0o700)
		case info.Mode()&fs.ModeSymlink != 0:
			target, rerr := os.Readlink(source)
			if rerr != nil {
				return rerr
			}
			if err = unix.Symlinkat(target, to.fd, e.Name()); err == nil {
				err = unix.Fchownat(to.fd, e.Name(), uid, gid, unix.AT_SYMLINK_NOFOLLOW)
			}
			if err != nil {
				return &fs.PathError{Op: "link", Path: path, Err: err}
			}
			continue
		default:
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "copy", Path: path, Err: err}
		}
		made, err := openAt(to.fd, e.Name(), path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = copyTree(source, made, uid, gid, depth+1, n)
		}
		if err == nil {
			err = own(made, uid, gid, perm)
		}
		made.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(source string, to dir, name string) error {
	in, err := os.OpenFile(source, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	fd, err := unix.Openat(to.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), name)
	defer out.Close()
	_, err = io.Copy(out, in)
	return err
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
