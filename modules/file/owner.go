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
		if t == host.Directory {
			info.Mode |= 0o2000
		}
	}
	return info
}

func self() string      { return host.UserName(uint32(os.Geteuid())) }
func selfGroup() string { return host.GroupName(uint32(os.Getegid())) }

const maxLinks = 40 // as Linux has it

// place returns the path that is acted on: links in its parents are followed,
// and with follow its own too. As root, no link that somebody else made is
// followed: they could make it lead anywhere at any time.
func place(v *host.View, path string, follow bool) (string, error) {
	clean := filepath.Clean(path)
	if err := trusted(v, clean, follow, maxLinks); err != nil {
		return "", err
	}
	if follow {
		return v.Follow(clean)
	}
	return v.Resolve(clean)
}

// trusted returns an error if a link on the way to path was made by somebody
// other than root, and we are root.
func trusted(v *host.View, path string, last bool, links int) error {
	if !host.IsRoot() {
		return nil
	}
	at := ""
	for rest := path[1:]; rest != ""; {
		name, below, more := strings.Cut(rest, "/")
		rest = below
		if !more && !last {
			return nil
		}
		at += "/" + name
		info, err := v.Lstat(at)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if !info.Exists() {
			return nil // nothing below it either
		}
		if info.Type != host.Symlink {
			continue
		}
		if info.Owner != "root" {
			return fmt.Errorf("%s is a link that %s made: muster doesn't follow it as root; name the place it leads to (%s), or run the task as %s", at, info.Owner, info.Target, info.Owner)
		}
		if links == 0 {
			return fmt.Errorf("%s: too many links, one after the other", path)
		}
		target := info.Target
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		if err := trusted(v, filepath.Clean(target), true, links-1); err != nil {
			return err
		}
	}
	return nil
}

// parent returns the directory that path is in, or an error where it isn't
// there to write to. Where a package may bring it, its FileInfo is zero.
func parent(v *host.View, path string) (host.FileInfo, error) {
	dir := filepath.Dir(path)
	info, err := v.Stat(dir)
	switch {
	case errors.Is(err, host.ErrNotYet):
		return host.FileInfo{}, nil
	case err != nil:
		return host.FileInfo{}, err
	case !info.Exists():
		return host.FileInfo{}, fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", dir)
	case info.Type != host.Directory:
		return host.FileInfo{}, fmt.Errorf("%s is a %s, not a directory", dir, info.Type)
	}
	return info, nil
}
