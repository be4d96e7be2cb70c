package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"muster/host"
)

// owners returns an error for a user or group that will not exist.
func owners(ctx context.Context, v *host.View, owner, group string) error {
	if owner != "" && !number(owner) {
		u, err := v.User(ctx, owner)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if err == nil && u == nil {
			return fmt.Errorf("there is no user %q on this host, and no earlier task makes it", owner)
		}
	}
	if group != "" && !number(group) {
		g, err := v.Group(ctx, group)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if err == nil && g == nil {
			return fmt.Errorf("there is no group %q on this host, and no earlier task makes it", group)
		}
	}
	return nil
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// ownership returns the owner and group that a file gets: as they stand where
// they already are the ones asked for, under another name (0 and root) or not.
func ownership(ctx context.Context, v *host.View, owner, group string, now host.FileInfo) (string, string) {
	if owner == "" || sameUser(ctx, v, owner, now.Owner) {
		owner = now.Owner
	}
	if group == "" || sameGroup(ctx, v, group, now.Group) {
		group = now.Group
	}
	return owner, group
}

func sameUser(ctx context.Context, v *host.View, a, b string) bool {
	if a == b {
		return true
	}
	return sameID(a, b, func(name string) int {
		if u, err := v.User(ctx, name); err == nil && u != nil {
			return u.UID
		}
		return -1
	})
}

func sameGroup(ctx context.Context, v *host.View, a, b string) bool {
	if a == b {
		return true
	}
	return sameID(a, b, func(name string) int {
		if g, err := v.Group(ctx, name); err == nil && g != nil {
			return g.GID
		}
		return -1
	})
}

func sameID(a, b string, lookup func(string) int) bool {
	id := func(s string) int {
		if n, err := strconv.Atoi(s); err == nil && number(s) {
			return n
		}
		return lookup(s)
	}
	n := id(a)
	return n >= 0 && n == id(b)
}

// mayGive returns an error where somebody other than root is asked to give a
// file away, which only root can.
func mayGive(path string, before, after host.FileInfo) error {
	if host.IsRoot() || before.Owner == after.Owner {
		return nil
	}
	return fmt.Errorf("%s is to belong to %s, which only root can do: add become = true to the task", path, after.Owner)
}

// fresh is what a thing made in a directory begins with: it belongs to whoever
// makes it, and to the directory's group where that is setgid.
func fresh(t host.FileType, mode host.Mode, dir host.FileInfo) host.FileInfo {
	info := host.FileInfo{Type: t, Mode: mode, Owner: self(), Group: selfGroup()}
	if dir.Mode&0o2000 != 0 {
		info.Group = dir.Group
		if t == host.Directory && host.Member(dir.Group) { // the kernel lets no others set it
			info.Mode |= 0o2000
		}
	}
	return info
}

func self() string      { return host.UserName(uint32(os.Geteuid())) }
func selfGroup() string { return host.GroupName(uint32(os.Getegid())) }

// missingParent is the error of a path whose directory doesn't exist.
type missingParent struct{ path string }

func (m missingParent) Error() string {
	return fmt.Sprintf("the directory %s doesn't exist: add a directory task before this one", m.path)
}

// parent returns the directory that path is in, or an error where it isn't
// there to write to: missingParent where it doesn't exist. Where a package may bring it, its FileInfo is zero. The
// path is resolved: a link in the directory's place has come since.
func parent(v *host.View, path string) (host.FileInfo, error) {
	dir := filepath.Dir(path)
	info, err := v.Lstat(dir)
	switch {
	case errors.Is(err, host.ErrNotYet):
		return host.FileInfo{}, nil
	case err != nil:
		return host.FileInfo{}, err
	case !info.Exists():
		return host.FileInfo{}, missingParent{dir}
	case info.Type == host.Symlink:
		return host.FileInfo{}, fmt.Errorf("%s is a link by now: %w", dir, host.ErrMoved)
	case info.Type != host.Directory:
		return host.FileInfo{}, fmt.Errorf("%s is a %s, not a directory", dir, info.Type)
	}
	return info, nil
}
