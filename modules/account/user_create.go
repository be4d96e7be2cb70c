package account

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// person reports whether a number is a person's, who has a home by default:
// from UID_MIN of login.defs(5) on, without nobody.
func person(uid int) bool { return uid >= 1000 && uid != 65534 }

// create plans a user who isn't there; open says that an earlier task's
// package may yet bring them.
func (p *planner) create(ctx context.Context, open bool) error {
	base, err := defaults(ctx, p.v, "/etc/default/useradd")
	if err != nil {
		return err
	}
	u := host.User{Name: p.Name, UID: -1, GID: -1, Home: p.Home, Shell: p.Shell}
	if u.Home == "" {
		parent := base["HOME"]
		if !strings.HasPrefix(parent, "/") {
			parent = "/home"
		}
		u.Home = parent + "/" + p.Name
	}
	if u.Shell == "" {
		if u.Shell = base["SHELL"]; u.Shell == "" {
			u.Shell = "/bin/sh"
		}
	} else if err := p.needShell(u.Shell); err != nil {
		return err
	}
	diff := []string{}
	argv := []string{"useradd", "-M"} // the home is a change of its own
	if p.System {
		argv, diff = append(argv, "-r"), append(diff, "system: true")
	}
	if p.UID != nil {
		if err := p.needUID(ctx); err != nil {
			return err
		}
		u.UID = *p.UID
		argv, diff = append(argv, "-u", strconv.Itoa(*p.UID)), append(diff, fmt.Sprintf("uid: %d", *p.UID))
	}
	group, leaves, err := p.firstGroup(ctx, &u)
	if err != nil {
		return err
	}
	argv, diff = append(argv, group...), append(diff, "group: "+p.primary())
	argv, diff = append(argv, "-d", u.Home, "-s", u.Shell), append(diff, "home: "+u.Home, "shell: "+u.Shell)
	if p.Comment != nil && *p.Comment != "" {
		u.Comment = *p.Comment
		argv, diff = append(argv, "-c", u.Comment), append(diff, "comment: "+u.Comment)
	}
	t := details{Group: p.primary(), Shadow: &shadow{Locked: true}}
	if p.Expires != nil && p.Expires.days > 0 {
		t.Shadow.Expires = p.Expires.days
		argv, diff = append(argv, "-e", expiry(p.Expires.days)), append(diff, "expires: "+expiry(p.Expires.days))
	}
	var enter []string
	for _, name := range sorted(p.Groups) {
		if _, err := p.needGroup(ctx, name); err != nil {
			return err
		}
		if name != p.primary() {
			enter = append(enter, name)
		}
	}
	if enter != nil {
		argv, diff = append(argv, "-G", strings.Join(enter, ",")), append(diff, "groups: "+strings.Join(enter, ", "))
	}
	leaves = append(leaves, p.is(u, t)...)
	leaves = append(leaves, p.joins(enter, nil)...)
	leaves = append(leaves, databases("passwd", "shadow", "group", "gshadow", "subuid", "subgid")...)
	does := host.Description{Action: host.Create, Diff: lines(diff)}
	if open {
		does.Impact = "unless an earlier task brings it"
	}
	p.add("account", host.RunProgram{Argv: append(argv, "--", p.Name), Does: does, Leaves: leaves})
	if err := p.password(u, t, true); err != nil {
		return err
	}
	if p.wantsHome(u, !p.System && (p.UID == nil || person(*p.UID))) {
		return p.makeHome(ctx, u, t)
	}
	return nil
}

// primary is the name of a new user's primary group.
func (p *planner) primary() string {
	if p.Group != "" {
		return p.Group
	}
	return p.Name
}

// firstGroup gives a new user their primary group: the one asked for, the one
// of their name, or one that is made with them.
func (p *planner) firstGroup(ctx context.Context, u *host.User) (args []string, leaves []host.Effect, err error) {
	if p.Group != "" {
		g, err := p.needGroup(ctx, p.Group)
		if err != nil {
			return nil, nil, err
		}
		if g != nil {
			u.GID = g.GID
		}
		return []string{"-g", p.Group}, nil, nil
	}
	g, _, err := p.db.group(p.v, p.Name)
	if err != nil {
		return nil, nil, err
	}
	if g != nil {
		u.GID = g.GID
		return []string{"-g", p.Name}, nil, nil
	}
	made := host.Group{Name: p.Name, GID: -1}
	return []string{"-U"}, []host.Effect{host.Is(host.Key{Space: host.Groups, Name: p.Name}, made)}, nil
}

// password plans the change of the hash. The account's lock is kept, or set as
// asked: chpasswd takes the hash with the mark of a locked one.
func (p *planner) password(u host.User, t details, created bool) error {
	if p.PasswordHash == "" {
		if p.Locked != nil && !*p.Locked && t.Shadow != nil && t.Shadow.Locked && t.Shadow.Password == "" {
			return fmt.Errorf("the account %s has no password that could be unlocked: give it a password_hash", p.Name)
		}
		return nil
	}
	want := passwordSum(p.PasswordHash)
	if t.Shadow.Password == want && (want != "" || t.Shadow.Locked) {
		return nil
	}
	// An account that never had a password is marked like a locked one.
	lock := t.Shadow.Locked && t.Shadow.Password != ""
	if p.Locked != nil {
		lock = *p.Locked
	}
	hash, diff := p.PasswordHash, "password: changed"
	if created || t.Shadow.Password == "" {
		diff = "password: set"
	}
	if lock {
		hash = "!" + hash
		diff += ", locked"
	} else if t.Shadow.Locked && t.Shadow.Password != "" {
		diff += "\nlocked: true → false"
	}
	after := *t.Shadow
	after.Password, after.Locked = want, lock || want == ""
	t.Shadow = &after
	stdin := p.v.Keep([]byte(p.Name+":"+hash+"\n"), true)
	p.add("password "+stdin.Sum, host.RunProgram{
		Argv: []string{"chpasswd", "-e"}, Stdin: &stdin, // a hash in argv would show in the list of processes
		Does:   host.Description{Action: host.Update, Diff: diff},
		Leaves: append(p.is(u, t), databases("shadow", "passwd")...),
	})
	return nil
}

// wantsHome reports whether the home is to be made where it is missing.
func (p *planner) wantsHome(u host.User, byDefault bool) bool {
	if p.CreateHome != nil {
		return *p.CreateHome
	}
	return byDefault && u.Home != "" && !slices.Contains([]string{"/", "/nonexistent", "/dev/null", "/var/empty"}, u.Home)
}
