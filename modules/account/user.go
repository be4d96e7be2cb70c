package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// User is an account, in /etc/passwd.
//
// A new account has no password, so that nobody can log in with one; keys
// (the kind authorized_key) work at once.
type User struct {
	// The user's name.
	Name string `arg:"name,key,required"`
	// The user's number. By default the system chooses one for a new user,
	// and an existing user keeps theirs. Changing it takes the files in the
	// home along, but none elsewhere.
	UID *int `arg:"uid"`
	// The name of the primary group. By default a new user gets a group of
	// their own name, and an existing user keeps theirs.
	Group string `arg:"group"`
	// Groups that the user belongs to besides. They are added to what is
	// there, unless exact_groups is set.
	Groups []string `arg:"groups"`
	// Take the user out of every group that "groups" doesn't name.
	ExactGroups bool `arg:"exact_groups" default:"false"`
	// The program that a login starts: "/bin/bash". By default what
	// /etc/default/useradd says for a new user.
	Shell string `arg:"shell"`
	// The home directory. By default /home/NAME for a new user. Changing it
	// moves nothing: the old directory stays where it is.
	Home string `arg:"home"`
	// Make the home directory if it isn't there, with the files of /etc/skel
	// and the mode that /etc/login.defs asks for. By default this is done for
	// people, and not for system users (numbers below 1000) and nobody.
	CreateHome *bool `arg:"create_home"`
	// Give a new user a number below those of people, and no home unless
	// create_home asks for it. An existing user keeps their number.
	System bool `arg:"system" default:"false"`
	// The password as a hash that crypt(5) knows: what "mkpasswd" or "openssl
	// passwd -6" print. "*" is no password at all. Whether the account is
	// locked isn't touched.
	PasswordHash string `arg:"password_hash,sensitive,single"`
	// Whether the password is refused. The hash is kept, so that unlocking
	// brings it back. Keys still work: to close an account, set "expires" to a
	// day that is past.
	Locked *bool `arg:"locked"`
	// The first day on which nobody can log in: "2030-12-31", or "never".
	Expires *Expiry `arg:"expires"`
	// The user's full name, or what the account is for.
	Comment *string `arg:"comment"`
	// Whether the user is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// With state = "absent": remove the home and the mail too.
	RemoveHome bool `arg:"remove_home" default:"false"`
}

// UserOutput is what a user task offers.
type UserOutput struct {
	// The user's number.
	UID int `json:"uid"`
	// The number of the primary group.
	GID int `json:"gid"`
	// The home directory.
	Home string `json:"home"`
}

// Expiry is the day on which an account ends.
type Expiry struct {
	days int // since 1970, counted from 1; 0: never
}

// UnmarshalText reads "2030-12-31" or "never".
func (e *Expiry) UnmarshalText(text []byte) error {
	if string(text) == "never" {
		*e = Expiry{}
		return nil
	}
	day, err := time.Parse(time.DateOnly, string(text))
	if err != nil || day.Unix() < 0 {
		return fmt.Errorf(`%q is no day from 1970 on: write "2030-12-31", or "never"`, text)
	}
	e.days = int(day.Unix()/86400) + 1
	return nil
}

// MarshalText is the day as it is written.
func (e Expiry) MarshalText() ([]byte, error) { return []byte(expiry(e.days)), nil }

func expiry(days int) string {
	if days == 0 {
		return "never"
	}
	return time.Unix(int64(days-1)*86400, 0).UTC().Format(time.DateOnly)
}

// hashForm is what crypt(5) calls a hashed passphrase, the historic forms
// without a prefix left out: a word of 13 letters is rather a password.
// Those of glibc's own end with the digest, without which nothing matches them.
var hashForm = regexp.MustCompile(`^(\*|\$[156]\$(rounds=[0-9]+\$)?[^$:\s]*\$[^$:\s]+|\$([02-479A-Za-z]|[0-9A-Za-z]{2,})\$[^:\s]+)$`)

// Check refuses what can't be, and contradictions.
func (u *User) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(format, a...)})
	}
	if !unknown("name") {
		errs = append(errs, checkName("name", u.Name)...)
	}
	errs = append(errs, checkID("uid", u.UID)...)
	if u.Group != "" {
		errs = append(errs, checkName("group", u.Group)...)
	}
	if !unknown("groups") {
		for _, g := range u.Groups {
			errs = append(errs, checkName("groups", g)...)
		}
		if u.ExactGroups && u.Groups == nil {
			fail("exact_groups", "Conflicting arguments", `"exact_groups" needs "groups": an empty list takes the user out of all groups.`)
		}
	}
	for _, p := range []struct{ arg, path string }{{"shell", u.Shell}, {"home", u.Home}} {
		if p.path != "" && (!filepath.IsAbs(p.path) || filepath.Clean(p.path) != p.path) {
			fail(p.arg, "Wrong value", `%q is no absolute path in its shortest form: it has to begin with "/", without ".." or a "/" at its end.`, p.path)
		}
		errs = append(errs, checkField(p.arg, p.path)...)
	}
	if u.Comment != nil {
		errs = append(errs, checkField("comment", *u.Comment)...)
	}
	if u.PasswordHash != "" && !hashForm.MatchString(u.PasswordHash) {
		fail("password_hash", "Wrong value", `This is no hash that crypt(5) knows ("$6$…", "$y$…"): give what "openssl passwd -6" prints, not the password itself; to lock an account, set "locked".`)
	}
	if u.State == "absent" {
		if u.UID != nil || u.Group != "" || u.Groups != nil || u.Shell != "" || u.CreateHome != nil || u.PasswordHash != "" || u.Locked != nil || u.Expires != nil || u.Comment != nil {
			fail("state", "Conflicting arguments", "A user who is to be absent has no other arguments than name and remove_home.")
		}
	} else if u.RemoveHome {
		fail("remove_home", "Conflicting arguments", `"remove_home" goes with state = "absent".`)
	}
	return errs
}

// Withhold hides the lines of what is sensitive.
func (u *User) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "uid", "group", "groups", "shell", "home", "system", "locked", "expires", "comment")
}

// May is the user with the groups it is taken into or out of, and its home,
// wherever that is.
func (u *User) May() []host.Effect {
	list := []host.Effect{host.Open(host.Users, u.Name), host.Open(accountSpace, u.Name), host.Open(host.Groups, u.Name), host.May(host.Groups), host.May(host.Files)}
	return append(list, databases("passwd", "shadow", "group", "gshadow", "subuid", "subgid")...)
}

// Plan compares the user with /etc/passwd, /etc/group and /etc/shadow.
func (u *User) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	db, err := read(v)
	if err != nil {
		return modules.Plan{}, err
	}
	p := planner{User: u, v: v, db: db}
	now, open, err := db.user(ctx, v, u.Name)
	if err != nil {
		return modules.Plan{}, err
	}
	if now == nil && !open {
		if err := foreignUser(ctx, v, u.Name); err != nil {
			return modules.Plan{}, err
		}
	}
	switch {
	case u.State == "absent" && now == nil && open:
		err = host.NotYet(host.Key{Space: host.Users, Name: u.Name})
	case u.State == "absent" && now == nil:
	case u.State == "absent":
		err = p.remove(ctx, *now)
	case now == nil:
		err = p.create(ctx, open)
	default:
		err = p.update(ctx, *now)
	}
	if err != nil {
		return modules.Plan{}, err
	}
	if len(p.changes) > 0 && !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	plan := modules.Plan{Changes: p.changes}
	if now != nil && len(p.changes) == 0 && now.UID >= 0 && now.GID >= 0 {
		plan.Output, _ = json.Marshal(UserOutput{UID: now.UID, GID: now.GID, Home: now.Home})
	}
	return plan, nil
}

// planner collects what is to be done to one user.
type planner struct {
	*User
	v       *host.View
	db      *database
	changes []host.Change
	idle    *idle // what the user has to be for what is added
}

// add adds a program. part tells the wishes of one task apart.
func (p *planner) add(part string, r host.RunProgram) {
	wish := *p.User
	wish.PasswordHash = ""
	wants, _ := json.Marshal(wish)
	r.Does.Target = "user " + p.Name
	p.changes = append(p.changes, &Edit{RunProgram: r, Wants: part + " " + string(wants), idle: p.idle})
	p.idle = nil
}

// is is the effect that leaves an account.
func (p *planner) is(u host.User, t details) []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: host.Users, Name: u.Name}, u), host.Is(host.Key{Space: accountSpace, Name: u.Name}, t)}
}

// joins is the effect on groups that the user enters and leaves.
func (p *planner) joins(enter, leave []string) []host.Effect {
	var list []host.Effect
	for _, name := range enter {
		key := host.Key{Space: host.Groups, Name: name}
		g, _, err := p.db.group(p.v, name)
		if err != nil || g == nil { // a package brings it
			list = append(list, host.Effect{Key: key, State: host.Unknown})
			continue
		}
		g.Members = append(slices.Clone(g.Members), p.Name)
		list = append(list, host.Is(key, g))
	}
	for _, name := range leave {
		if g, _, err := p.db.group(p.v, name); err == nil && g != nil {
			g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return m == p.Name })
			list = append(list, host.Is(host.Key{Space: host.Groups, Name: name}, g))
		}
	}
	return list
}

// needGroup returns the group of that name, nil where a package may bring it.
func (p *planner) needGroup(ctx context.Context, name string) (*host.Group, error) {
	g, open, err := p.db.group(p.v, name)
	if errors.Is(err, host.ErrNotYet) {
		return nil, nil
	}
	if err != nil || g != nil || open {
		return g, err
	}
	if err := foreignGroup(ctx, p.v, name); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no group %q on this host for the user %s, and no earlier task makes it", name, p.Name)
}

// needShell returns an error for a shell that won't be there.
func (p *planner) needShell(shell string) error {
	info, err := p.v.Stat(shell)
	if errors.Is(err, host.ErrNotYet) {
		return nil
	}
	switch {
	case err != nil:
		return err
	case !info.Exists():
		return fmt.Errorf("the shell %s of the user %s isn't on this host, and no earlier task installs it", shell, p.Name)
	case info.Type != host.Regular:
		return fmt.Errorf("the shell %s of the user %s is a %s: nobody could log in", shell, p.Name, info.Type)
	case info.Mode&0o111 == 0:
		return fmt.Errorf("the shell %s of the user %s has mode %s and can't be run: nobody could log in", shell, p.Name, info.Mode)
	}
	return nil
}

// needUID returns an error for a number that is another's.
func (p *planner) needUID(ctx context.Context) error {
	if other := p.db.ownerOf(ctx, p.v, *p.UID, p.Name); other != "" {
		return fmt.Errorf("the user number %d belongs to the user %s already: choose another for %s, or change that one first", *p.UID, other, p.Name)
	}
	return nil
}

func lines(list []string) string { return strings.Join(list, "\n") }
