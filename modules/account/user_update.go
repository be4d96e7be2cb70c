package account

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// update plans what differs of a user who is there: all of it one usermod, but
// for the password and the home.
func (p *planner) update(ctx context.Context, now host.User) error {
	t, err := p.db.details(p.v, now)
	if err != nil {
		return err
	}
	if t.Shadow == nil && (p.PasswordHash != "" || p.Locked != nil || p.Expires != nil) {
		return fmt.Errorf(`reading the password's state of %s: only root can: give the task "become = true" (%w)`, p.Name, p.db.shadowErr)
	}
	u, after := now, t
	var argv, diff, impact []string
	if p.UID != nil && *p.UID != now.UID {
		if err := p.needUID(ctx); err != nil {
			return err
		}
		u.UID = *p.UID
		argv, diff = append(argv, "-u", strconv.Itoa(u.UID)), append(diff, fmt.Sprintf("uid: %d → %d", now.UID, u.UID))
		impact = append(impact, fmt.Sprintf("files outside %s keep the number %d", now.Home, now.UID))
	}
	if p.Group != "" && p.Group != t.Group {
		g, err := p.needGroup(ctx, p.Group)
		if err != nil {
			return err
		}
		if u.GID = -1; g != nil {
			u.GID = g.GID
		}
		if u.GID != now.GID || u.GID < 0 {
			after.Group = p.Group
			argv, diff = append(argv, "-g", p.Group), append(diff, fmt.Sprintf("group: %s → %s", t.Group, p.Group))
		}
	}
	enter, leave, err := p.groupChanges(ctx, after.Group)
	if err != nil {
		return err
	}
	for _, g := range enter {
		diff = append(diff, "groups: + "+g)
	}
	for _, g := range leave {
		diff = append(diff, "groups: - "+g)
	}
	switch {
	case leave != nil:
		argv = append(argv, "-G", strings.Join(p.exact(after.Group), ","))
	case enter != nil:
		argv = append(argv, "-a", "-G", strings.Join(enter, ","))
	}
	if p.Home != "" && p.Home != now.Home {
		u.Home = p.Home
		argv, diff = append(argv, "-d", u.Home), append(diff, fmt.Sprintf("home: %s → %s", now.Home, u.Home))
	}
	if p.Shell != "" && p.Shell != now.Shell {
		if err := p.needShell(p.Shell); err != nil {
			return err
		}
		u.Shell = p.Shell
		argv, diff = append(argv, "-s", u.Shell), append(diff, fmt.Sprintf("shell: %s → %s", or(now.Shell, "/bin/sh"), u.Shell))
	}
	if p.Comment != nil && *p.Comment != now.Comment {
		u.Comment = *p.Comment
		argv, diff = append(argv, "-c", u.Comment), append(diff, fmt.Sprintf("comment: %s → %s", or(now.Comment, "(none)"), or(u.Comment, "(none)")))
	}
	a, d := p.shadowChanges(t, &after)
	argv, diff = append(argv, a...), append(diff, d...)
	if len(argv) > 0 {
		if u.UID != now.UID || u.Home != now.Home {
			p.idle = &idle{now, "their number or home be changed"}
		}
		leaves := append(p.is(u, after), p.joins(enter, leave)...)
		leaves = append(leaves, databases("passwd", "shadow", "group", "gshadow")...)
		p.add("account", host.RunProgram{
			Argv: slices.Concat([]string{"usermod"}, argv, []string{"--", p.Name}), Leaves: leaves,
			Does: host.Description{Action: host.Update, Diff: lines(diff), Impact: strings.Join(impact, "; ")},
		})
	}
	if err := p.password(u, after, false); err != nil {
		return err
	}
	// A person's home is also made where a run was cut off before it was.
	if !p.wantsHome(u, !p.System && (u.UID < 0 || person(u.UID))) {
		return nil
	}
	_, laid, _, err := p.v.Look(host.File(u.Home))
	if err == nil && !laid && !p.v.Pending() { // the common case, without the cost of walking the path
		if st, err := os.Stat(u.Home); err == nil && st.IsDir() {
			return nil
		}
	}
	return p.makeHome(ctx, u, after)
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// shadowChanges plans expiry and lock. Locking and unlocking keep the hash;
// where the hash is changed too, chpasswd sets the lock with it.
func (p *planner) shadowChanges(t details, after *details) (argv, diff []string) {
	if t.Shadow == nil {
		return nil, nil
	}
	s := *t.Shadow
	if p.Expires != nil && p.Expires.days != s.Expires {
		day := expiry(p.Expires.days)
		if p.Expires.days == 0 {
			argv = append(argv, "-e", "")
		} else {
			argv = append(argv, "-e", day)
		}
		diff = append(diff, fmt.Sprintf("expires: %s → %s", expiry(s.Expires), day))
		s.Expires = p.Expires.days
	}
	sameHash := p.PasswordHash == "" || passwordSum(p.PasswordHash) == s.Password
	if p.Locked != nil && *p.Locked != s.Locked && sameHash && (*p.Locked || s.Password != "") {
		s.Locked = *p.Locked
		flag, line := "-U", "locked: true → false"
		if s.Locked {
			flag, line = "-L", "locked: false → true"
		}
		argv, diff = append(argv, flag), append(diff, line)
	}
	after.Shadow = &s
	return argv, diff
}

// groupChanges compares the groups that list the user with those asked for.
// The primary group needn't list anybody.
func (p *planner) groupChanges(ctx context.Context, primary string) (enter, leave []string, err error) {
	for _, name := range sorted(p.Groups) {
		g, err := p.needGroup(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		if name != primary && (g == nil || !slices.Contains(g.Members, p.Name)) {
			enter = append(enter, name)
		}
	}
	if p.ExactGroups {
		for _, name := range p.db.memberships(p.v, p.Name) {
			if !slices.Contains(p.Groups, name) && name != primary {
				leave = append(leave, name)
			}
		}
	}
	return enter, leave, nil
}

// exact is the list of groups for usermod -G, which takes the user out of all
// others; where the primary group lists them, it goes on doing so.
func (p *planner) exact(primary string) []string {
	list := slices.Clone(p.Groups)
	if slices.Contains(p.db.memberships(p.v, p.Name), primary) {
		list = append(list, primary)
	}
	list = sorted(list)
	if i := slices.Index(list, primary); i >= 0 && !slices.Contains(p.db.memberships(p.v, p.Name), primary) {
		list = slices.Delete(list, i, i+1)
	}
	return list
}
