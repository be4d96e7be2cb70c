package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"muster/host"
)

// remove plans the end of a user. The home goes first: without the account
// nobody could tell afterwards which directory was left over.
func (p *planner) remove(ctx context.Context, now host.User) error {
	if now.UID == 0 {
		return fmt.Errorf("the user %s has the number 0: muster doesn't remove root", p.Name)
	}
	t, err := p.db.details(p.v, now)
	if err != nil {
		return err
	}
	if p.RemoveHome {
		if err := p.removeHome(now); err != nil {
			return err
		}
	}
	gone := []host.Effect{host.Gone(host.Key{Space: host.Users, Name: p.Name}), host.Gone(host.Key{Space: accountSpace, Name: p.Name})}
	gone = append(gone, p.joins(nil, p.db.memberships(p.v, p.Name))...)
	impact := ""
	if t.Group == p.Name {
		// userdel takes along a group of the user's name that nobody else uses,
		// where USERGROUPS_ENAB of login.defs says that such groups are made.
		g, _, err := p.db.group(p.v, p.Name)
		if err != nil {
			return err
		}
		login, err := defaults(ctx, p.v, "/etc/login.defs")
		if err != nil {
			return err
		}
		alone := func(list []string) bool { return len(list) == 0 || len(list) == 1 && list[0] == p.Name }
		if g != nil && login["USERGROUPS_ENAB"] == "yes" && alone(g.Members) && alone(p.db.primaryOf(ctx, p.v, *g)) {
			gone = append(gone, host.Gone(host.Key{Space: host.Groups, Name: p.Name}))
			impact = "their own group goes too"
		}
	}
	gone = append(gone, databases("passwd", "shadow", "group", "gshadow", "subuid", "subgid")...)
	p.idle = &idle{now, "they be removed"}
	p.add("account", host.RunProgram{Argv: []string{"userdel", "--", p.Name}, Does: host.Description{Action: host.Delete, Impact: impact}, Leaves: gone})
	return nil
}

// removeHome plans the end of the home and the mail.
func (p *planner) removeHome(now host.User) error {
	for _, box := range []string{"/var/mail/" + p.Name} {
		info, err := p.v.Lstat(box)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return err
		}
		if info.Type == host.Regular && (info.Owner == p.Name) {
			path, err := p.v.Place(box, false)
			if err != nil {
				return err
			}
			p.changes = append(p.changes, &host.Remove{Path: path, Before: info, Note: "the mail of " + p.Name})
		}
	}
	if now.Home == "" {
		return nil
	}
	path, err := p.v.Place(now.Home, false)
	if err != nil {
		return err
	}
	info, err := p.v.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.Exists():
		return nil
	case info.Type != host.Directory:
		return fmt.Errorf("the home %s of %s is a %s: look at it, and remove the user without remove_home", path, p.Name, info.Type)
	case info.Owner != p.Name:
		return fmt.Errorf("the home %s of %s belongs to %s: it isn't removed with the user; remove the user without remove_home", path, p.Name, info.Owner)
	}
	for name, other := range p.db.users {
		if name != p.Name && other.Home != "" && within(filepath.Clean(other.Home), path) {
			if u, _, err := p.db.user(context.Background(), p.v, name); err == nil && u != nil {
				return fmt.Errorf("the home %s of %s holds the home of %s too: it isn't removed; remove the user without remove_home", path, p.Name, name)
			}
		}
	}
	if mounted := host.MountedBelow(path); mounted != "" {
		return fmt.Errorf("%s is mounted in the home of %s: unmount it before the home is removed", mounted, p.Name)
	}
	p.changes = append(p.changes, &RemoveHome{Path: path, User: p.Name})
	return nil
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// RemoveHome removes a user's home with all that is in it.
type RemoveHome struct {
	Path string `json:"path"` // resolved: no link in its parents
	User string `json:"user"`
}

// Type is "account.unhome/1".
func (*RemoveHome) Type() string { return "account.unhome/1" }

// Describe names the directory.
func (r *RemoveHome) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: r.Path, Impact: "the home of " + r.User + ", with all that is in it"}
}

// Effects is that nothing stands there.
func (r *RemoveHome) Effects() []host.Effect { return []host.Effect{host.Gone(host.File(r.Path))} }

// Obstacle is why it couldn't be removed.
func (r *RemoveHome) Obstacle(v *host.View) error {
	return v.Obstacle(r.Path, host.Removing, host.FileInfo{}, host.FileInfo{})
}

// Apply removes it, following no link and crossing into no mount.
func (r *RemoveHome) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	uid, _, err := numbers(r.User)
	if err != nil {
		return host.Result{}, err
	}
	parent, name, err := host.OpenParent(r.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return host.Result{}, nil
	}
	if err != nil {
		return host.Result{}, err
	}
	defer parent.Close()
	home, err := parent.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return host.Result{}, nil
	}
	if err != nil {
		return host.Result{}, err
	}
	owner, _ := home.Owner()
	home.Close()
	if owner != uid || home.Type() != host.Directory || host.MountedBelow(r.Path) != "" {
		return host.Result{}, fmt.Errorf("%s: %w", r.Path, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := parent.RemoveAll(name); err != nil {
		return host.Result{}, fmt.Errorf("removing the home of %s: %w", r.User, err)
	}
	if err := h.At("home removed"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, parent.Sync()
}
