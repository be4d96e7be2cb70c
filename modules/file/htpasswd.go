package file

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Htpasswd is all users of a file of users and hashes of their passwords. Web servers and
// registries of images read such files. Comments and the order of lines stay, and users
// who aren't named here are taken out.
//
// Hashes are bcrypt's. One that fits the password stays as it is; of any other form
// ($apr1$, {SHA}, crypt's) it is replaced, also where it is of the same password. To look
// whether a hash fits costs the host as much as a login there: some 60 ms of a processor
// for each user at a cost of 10, 2 ms at a cost of 5.
type Htpasswd struct {
	// The file. A link is followed.
	Path string `arg:"path,key,path,required"`
	// The users, and of each the password, of up to 72 bytes, or its bcrypt hash ("$2y$…").
	Users map[string]string `arg:"users,required,sensitive,single"`
	// Names of users who stay as they are, where they are in the file: those whom another
	// task sets.
	Keep []string `arg:"keep"`
	// The cost of hashes, from 4 to 17: each step doubles the time that a guess takes, and
	// a login. What has less is hashed anew.
	Cost *int `arg:"cost" means:"10 for a hash that is made; what stands there stays"`
	// Permissions, octal ("0640") or symbolic ("u=rw,g=r"). A new file has 0640.
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns the file.
	Owner string `arg:"owner"`
	// The group it belongs to: the one that the server reads it as.
	Group string `arg:"group"`
}

// HtpasswdUser is one user in a file of users and hashes of their passwords. Web servers
// and registries of images read such files. All other lines stay as they are.
//
// The hash is bcrypt's. One that fits the password stays as it is; of any other form
// ($apr1$, {SHA}, crypt's) it is replaced, also where it is of the same password. To look
// whether a hash fits costs the host as much as a login there: some 60 ms of a processor
// at a cost of 10, 2 ms at a cost of 5.
type HtpasswdUser struct {
	// The user's name.
	Name string `arg:"name,key,required"`
	// The file. A link is followed.
	Path string `arg:"path,path,required"`
	// The password, of up to 72 bytes, or its bcrypt hash ("$2y$…").
	Password string `arg:"password,sensitive,single"`
	// The cost of the hash, from 4 to 17: each step doubles the time that a guess takes, and
	// a login. What has less is hashed anew.
	Cost *int `arg:"cost" means:"10 for a hash that is made; what stands there stays"`
	// Whether the user is in the file.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// Permissions of the file, octal ("0640") or symbolic ("u=rw,g=r"). A new file has 0640.
	Mode *host.ModeSpec `arg:"mode"`
	// The user of the host who owns the file.
	Owner string `arg:"owner"`
	// The group it belongs to: the one that the server reads it as.
	Group string `arg:"group"`
}

// Check refuses what no server could read from the file.
func (p *Htpasswd) Check(unknown func(string) bool) []modules.ArgError {
	errs := append(CheckPath("path", p.Path, unknown), checkCost(p.Cost)...)
	if unknown("users") {
		return errs
	}
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		at := fmt.Sprintf("[%q]", name)
		errs = append(errs, checkLogin("users", at, name)...)
		errs = append(errs, checkPassword("users", at, p.Users[name])...)
		if slices.Contains(p.Keep, name) {
			errs = append(errs, modules.ArgError{Arg: "keep", Summary: "Conflicting arguments", Detail: fmt.Sprintf("%q has a password here and is to stay as it is: leave out one of them.", name)})
		}
	}
	return errs
}

// Check refuses what no server could read from the file.
func (u *HtpasswdUser) Check(unknown func(string) bool) []modules.ArgError {
	errs := append(CheckPath("path", u.Path, unknown), checkCost(u.Cost)...)
	if !unknown("name") {
		errs = append(errs, checkLogin("name", "", u.Name)...)
	}
	switch {
	case unknown("password"), unknown("state"):
	case u.State == "absent" && u.Password != "":
		errs = append(errs, modules.ArgError{Arg: "password", Summary: "Conflicting arguments", Detail: "A user who is to be absent has no password: leave it out."})
	case u.State == "absent":
	case u.Password == "":
		errs = append(errs, modules.ArgError{Arg: "password", Summary: "Missing argument", Detail: `A user needs a password. To take the user out, write state = "absent".`})
	default:
		errs = append(errs, checkPassword("password", "", u.Password)...)
	}
	return errs
}

func checkLogin(arg, at, name string) []modules.ArgError {
	if name != "" && len(name) <= 255 && strings.TrimSpace(name) == name && name[0] != '#' && !strings.Contains(name, ":") && strings.IndexFunc(name, control) < 0 {
		return nil
	}
	return []modules.ArgError{{Arg: arg, Path: at, Summary: "Wrong name", Detail: fmt.Sprintf(`%q can't stand in the file: a name has up to 255 bytes, no colon, no "#" at its beginning and no space at an end.`, name)}}
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// checkPassword refuses what bcrypt doesn't read to its end: 72 bytes, and no zero.
func checkPassword(arg, at, password string) []modules.ArgError {
	detail := ""
	switch {
	case password == "":
		detail = "The password is empty."
	case len(password) > 72:
		detail = fmt.Sprintf("The password has %d bytes, and bcrypt reads 72 of them: take a shorter one.", len(password))
	case strings.IndexFunc(password, control) >= 0:
		detail = "The password has a line break or another control character in it, which no login can send."
	default:
		return nil
	}
	return []modules.ArgError{{Arg: arg, Path: at, Summary: "Wrong password", Detail: detail}}
}

func checkCost(cost *int) []modules.ArgError {
	if cost == nil || *cost >= 4 && *cost <= 17 {
		return nil
	}
	return []modules.ArgError{{Arg: "cost", Summary: "Wrong value", Detail: fmt.Sprintf("%d is no cost of a bcrypt hash that a server can check in time: take 4 to 17.", *cost)}}
}

// May is the file, and what is known of the users there, wherever a link leads.
func (p *Htpasswd) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, p.Path), host.Open(loginSpace, "")}
}

// May is the file, and what is known of the users there, wherever a link leads.
func (u *HtpasswdUser) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, u.Path), host.Open(loginSpace, "")}
}

// Withhold hides the name, where that is sensitive: the password is in no diff.
func (u *HtpasswdUser) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "password")
}

// Plan compares each user's hash with the password.
func (p *Htpasswd) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	e := loginEdit{Whole: true, Keep: p.Keep, Cost: p.Cost}
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		e.Users = append(e.Users, login{Name: name, secret: p.Users[name]})
	}
	return planLogins(ctx, v, desired{path: p.Path, mode: p.Mode, owner: p.Owner, group: p.Group}, e)
}

// Plan compares the user's hash with the password.
func (u *HtpasswdUser) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	e := loginEdit{Absent: u.State == "absent", Cost: u.Cost, Users: []login{{Name: u.Name, secret: u.Password}}}
	return planLogins(ctx, v, desired{path: u.Path, mode: u.Mode, owner: u.Owner, group: u.Group}, e)
}
