package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"muster/host"
)

// sshd opens a file of keys as its user and, with StrictModes, lets nobody in
// by one that another than root or the user could have written: the file and
// every directory up to the home belong to one of the two, and neither group nor
// others may write there (safe_path in OpenSSH's misc.c). A file elsewhere is
// held to that up to the root. Debian's sshd, and those made from it, don't mind
// a group that has the user as its one member (user-group-modes.patch).

// reader is the user as whom sshd opens the file.
type reader struct {
	host.User
	db     *database
	group  string   // the primary one
	groups []string // with the primary one
}

// standing is a file, or a directory on the way to it.
type standing struct {
	path  string
	dir   bool
	mode  host.Mode
	owner string
	mine  bool // it is the user's
	group func() string
	acl   func() bool
}

// info is what the preview knows of it.
func (s standing) info() host.FileInfo {
	i := host.FileInfo{Type: host.Regular, Mode: s.mode, Owner: s.owner, Group: s.group(), ACL: s.acl()}
	if s.dir {
		i.Type = host.Directory
	}
	return i
}

// at returns what stands at a path without links; nil where it is to be made,
// or can't be foreseen.
func (r reader) at(v *host.View, path string) (*standing, error) {
	if v.Pending() {
		info, err := v.Lstat(path)
		if errors.Is(err, host.ErrNotYet) || err == nil && !info.Exists() {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		known, ok := r.db.users[info.Owner]
		return &standing{
			path: path, dir: info.Type == host.Directory, mode: info.Mode, owner: info.Owner, mine: info.Owner == r.Name || ok && known.UID == r.UID,
			group: func() string { return info.Group }, acl: func() bool { return info.ACL },
		}, nil
	}
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	s := &standing{path: path, dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, mode: host.Mode(st.Mode & 0o7777), owner: r.Name, mine: int(st.Uid) == r.UID}
	if !s.mine {
		s.owner = host.UserName(st.Uid)
	}
	s.group = func() string { return r.db.groupName(int(st.Gid)) }
	s.acl = func() bool {
		n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
		return err == nil && n > 0
	}
	return s, nil
}

// enters reports whether the user may read the file, or go through the
// directory. What an access control list allows isn't looked into.
func (r reader) enters(s standing) bool {
	bit := host.Mode(4)
	if s.dir {
		bit = 1
	}
	switch {
	case r.UID == 0:
		return true
	case s.mine:
		bit <<= 6
	case slices.Contains(r.groups, s.group()):
		bit <<= 3
	}
	return s.mode&bit != 0 || s.acl()
}

// trusts reports whether only root and the user could have written there.
func (r reader) trusts(ctx context.Context, v *host.View, s standing) (bool, error) {
	switch {
	case !s.mine && s.owner != "root" || s.mode&0o002 != 0:
		return false, nil
	case s.mode&0o020 == 0:
		return true, nil
	}
	debian, err := v.Stat("/etc/debian_version")
	if err != nil || !debian.Exists() {
		return false, err
	}
	return r.alone(ctx, v, s.group(), s.owner)
}

// alone reports whether a group has the user as its one member; who are named
// in /etc/group are held against the owner of the file, as sshd does.
func (r reader) alone(ctx context.Context, v *host.View, name, owner string) (bool, error) {
	g, _, err := r.db.group(v, name)
	if err != nil || g == nil {
		return false, err
	}
	primary := r.db.primaryOf(ctx, v, *g)
	for _, user := range primary {
		if u, ok := r.db.users[user]; user != r.Name && (!ok || u.UID != r.UID) {
			return false, nil
		}
	}
	if len(g.Members) > 1 || len(g.Members) == 1 && g.Members[0] != owner {
		return false, nil
	}
	return len(primary)+len(g.Members) > 0, nil
}

// mend is a mode that muster changes while it writes the keys.
type mend struct {
	from  host.Mode
	after host.FileInfo
}

// mendedMode is what muster makes of a mode that keeps the user out.
func mendedMode(mode host.Mode, mine, dir bool) host.Mode {
	mode &^= 0o022
	if mine && dir {
		mode |= 0o100
	} else if mine {
		mode |= 0o400
	}
	return mode
}

// mends reports whether the mode of what stands there is muster's to mend: of
// the file, and of its directory below a home.
func (f *keyFile) mends(s standing) bool {
	if !s.mine && (s.owner != "root" || !host.IsRoot()) {
		return false
	}
	return s.path == f.path() || s.dir && f.Owned && len(f.Names) > 1 && s.path == filepath.Dir(f.path())
}

// unlock returns why sshd would let nobody in by the keys, in sshd's words, and
// notes the modes that muster mends while it writes them.
func (f *keyFile) unlock(ctx context.Context, v *host.View, r reader) error {
	chain, trusted := []standing{}, map[string]bool{} // the file first
	for path := f.path(); ; path = filepath.Dir(path) {
		s, err := r.at(v, path)
		if err != nil {
			return err
		}
		if s != nil {
			if trusted[path], err = r.trusts(ctx, v, *s); err != nil {
				return err
			}
			if now := s.mode; f.mends(*s) && (!trusted[path] || !r.enters(*s)) {
				s.mode, trusted[path] = mendedMode(s.mode, s.mine, s.dir), true
				if s.mode != now {
					f.mend[path] = mend{now, s.info()}
				}
			}
			chain = append(chain, *s)
		}
		if path == "/" {
			break
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if s := chain[i]; !r.enters(s) {
			return fmt.Errorf("sshd lets nobody in by these keys: \"Could not open user '%s' authorized keys '%s': Permission denied\": %s belongs to %s and has the mode %s, which keeps %s out",
				r.Name, f.path(), s.path, s.owner, s.mode, r.Name)
		}
	}
	home := ""
	if r.Home != "" {
		home, _ = v.Follow(r.Home)
	}
	for _, s := range chain {
		if !trusted[s.path] {
			if lax, err := laxModes(ctx, v); lax || err != nil {
				return err
			}
			return mistrusted(s, r.Name)
		}
		if s.path == home {
			break
		}
	}
	return nil
}

// mistrusted is sshd's refusal, and what to do.
func mistrusted(s standing, user string) error {
	what := "file"
	if s.dir {
		what = "directory"
	}
	why := fmt.Sprintf("it belongs to %s, neither to root nor to %s: look at it, then chown it", s.owner, user)
	if s.mine || s.owner == "root" {
		why = fmt.Sprintf("its mode is %s, so others could change the keys: chmod go-w", s.mode)
	}
	return fmt.Errorf("sshd lets nobody in by these keys: \"Authentication refused: bad ownership or modes for %s %s\": %s", what, s.path, why)
}

// laxModes reports whether sshd is set not to care.
func laxModes(ctx context.Context, v *host.View) (bool, error) {
	out, err := v.Query(ctx, host.Command{Argv: []string{"/usr/sbin/sshd", "-T"}}, host.Key{Space: host.Files, Name: "/etc/ssh/sshd_config*"})
	if errors.Is(err, host.ErrNotYet) {
		return false, err
	}
	return err == nil && out.ExitCode == 0 && strings.Contains("\n"+string(out.Stdout)+"\n", "\nstrictmodes no\n"), nil
}
