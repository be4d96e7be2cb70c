package redis

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// User is a user of the Redis on the host: its passwords, and what it may do. It is set in the
// running server and in the file that this reads when it starts. Others stay as they are.
// Users aren't replicated: each server has a task of its own.
//
// Redis knows passwords by their sums, and so does muster: a user has exactly those that the
// task gives. Sessions go on when a password is taken away.
type User struct {
	// The user's name. "default" is whom Redis takes those for who don't log in.
	Name string `arg:"name,key,required"`
	// Its password. While the secret in it is rotated, a user whom the new one lets in
	// as well as the old one keeps both.
	Password string `arg:"password,sensitive"`
	// Another password that lets it in, too, while clients go over from this one to that.
	// Not given, while the password is: all others are taken away.
	OldPassword string `arg:"old_password,sensitive"`
	// The commands that it may use, in Redis's own words, all of them: ["+@read", "+@write",
	// "-@dangerous"]. Not given: as they are; of a new user none.
	Commands *[]string `arg:"commands"`
	// The keys that it may use, as patterns: ["shop:*"], or ["%R~shop:*"] for reading alone.
	// Not given: as they are; of a new user none.
	Keys *[]string `arg:"keys"`
	// The channels that it may publish and subscribe to, as patterns. Not given: as they are;
	// of a new user none.
	Channels *[]string `arg:"channels"`
	// Whether it may log in at all. Sessions go on.
	Enabled *bool `arg:"enabled" means:"as it is; true for a new user"`
	// Whether it is there at all. "absent" ends its sessions.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// As whom muster asks the server. Needed where it lets nobody in without a password.
	LoginUser string `arg:"login_user" default:"default"`
	// The password of that user.
	LoginPassword string `arg:"login_password,sensitive"`

	// Valid are all versions of the password that are to go on letting the user in,
	// LoginValid those of login_password.
	Valid      []string `versions:"password"`
	LoginValid []string `versions:"login_password"`
}

// Check refuses what can't be a user.
func (u *User) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if strings.ContainsFunc(u.Name, func(r rune) bool { return r <= ' ' || r == '"' || r == '\'' || r == 0x7f }) {
		fail("name", "", "Wrong value", "%q is no name of a user: it has no spaces and no quotes.", u.Name)
	}
	if u.Name == "default" && u.State == "absent" && !unknown("state") {
		fail("state", "", "Not muster's to change", "Redis always has the user default: enabled = false lets nobody in as it.")
	}
	switch {
	case u.OldPassword == "":
	case u.Password == "" && !unknown("password"):
		fail("old_password", "", "Conflicting arguments", "It is valid beside another one: give the user a password.")
	case u.OldPassword == u.Password:
		fail("old_password", "", "Conflicting arguments", "It is the password itself: leave it out.")
	}
	if u.Name == u.LoginUser && u.Enabled != nil && !*u.Enabled && !unknown("login_user") {
		fail("enabled", "", "Not muster's to change", "%s is whom muster itself asks Redis as: give the task another login_user before this one is shut out.", u.Name)
	}
	if u.Commands != nil {
		for i, c := range *u.Commands {
			if c = strings.ToLower(c); !strings.HasPrefix(c, "+") && !strings.HasPrefix(c, "-") && c != "allcommands" && c != "nocommands" || strings.ContainsAny(c, " \"'\n") {
				fail("commands", fmt.Sprintf("[%d]", i), "Wrong value", "%q allows and forbids nothing: it begins with + or -, as in \"+get\" or \"-@dangerous\".", (*u.Commands)[i])
			}
		}
	}
	for _, list := range []struct {
		arg    string
		values *[]string
	}{{"keys", u.Keys}, {"channels", u.Channels}} {
		if list.values == nil {
			continue
		}
		for i, p := range *list.values {
			if p == "" || strings.ContainsAny(p, " \"'\n\r\t()") {
				fail(list.arg, fmt.Sprintf("[%d]", i), "Wrong value", "%q is no pattern that Redis takes here: it is one word without quotes and brackets, such as \"shop:*\".", p)
			}
		}
	}
	if u.State == "absent" {
		if u.Name == u.LoginUser && !unknown("login_user") {
			fail("state", "", "Not muster's to change", "%s is whom muster itself asks Redis as.", u.Name)
		}
		for _, a := range []struct {
			arg   string
			given bool
		}{{"password", u.Password != ""}, {"old_password", u.OldPassword != ""}, {"commands", u.Commands != nil}, {"keys", u.Keys != nil}, {"channels", u.Channels != nil}, {"enabled", u.Enabled != nil}} {
			if a.given {
				fail(a.arg, "", "Conflicting arguments", "A user that is to be absent has no %s.", a.arg)
			}
		}
	}
	return errs
}

// Withhold hides the lines of what is sensitive. Passwords are in none.
func (u *User) Withhold(diff string, sensitive []string) (string, bool) {
	for _, s := range sensitive {
		if s != "password" && s != "old_password" && s != "login_password" {
			return "", false
		}
	}
	return diff, true
}

// May is the user, the file that it stands in, and what is noted of it.
func (u *User) May() []host.Effect {
	list := append(keeps(notePath(u.Name)), host.Open(users, u.Name))
	for _, p := range configPaths {
		list = append(list, host.Open(host.Files, p))
	}
	return list
}

// notePath is where muster notes what Redis has made of a user's commands.
func notePath(name string) string {
	return filepath.Join(usersDir, host.ContentOf([]byte(name), false).Sum[:32])
}

// acl is a user as Redis has it.
type acl struct {
	On       bool     `json:"on"`
	Open     bool     `json:"open,omitempty"`     // any password lets it in
	Sums     []string `json:"sums,omitempty"`     // of its passwords
	Keys     []string `json:"keys,omitempty"`     // "~shop:*"
	Channels []string `json:"channels,omitempty"` // "&*"
	Commands []string `json:"commands,omitempty"` // "-@all", "+get"
	Rest     []string `json:"rest,omitempty"`     // what muster leaves as it is
	Given    string   `json:"given,omitempty"`    // the commands as a pending change has them
}

// parseACL reads a line of ACL LIST's, or of a file: "user app on #… ~app:* -@all +get".
func parseACL(line string) (name string, a acl) {
	w := strings.Fields(line)
	if len(w) < 2 {
		return "", a
	}
	a.Commands = []string{"-@all"}
	for i := 2; i < len(w); i++ {
		word := w[i]
		if strings.HasPrefix(word, "(") { // a selector, up to its end
			end := i
			for end < len(w)-1 && !strings.HasSuffix(w[end], ")") {
				end++
			}
			a.Rest = append(a.Rest, strings.Join(w[i:end+1], " "))
			i = end
			continue
		}
		a.read(word)
	}
	return w[1], a
}

// read adds one rule.
func (a *acl) read(word string) {
	lower := strings.ToLower(word)
	switch {
	case lower == "on" || lower == "off":
		a.On = lower == "on"
	case lower == "sanitize-payload": // what Redis does anyway, and tells or doesn't
	case lower == "nopass":
		a.Open, a.Sums = true, nil
	case lower == "resetpass":
		a.Open, a.Sums = false, nil
	case word[0] == '#':
		a.Sums = append(a.Sums, word[1:])
	case word[0] == '>':
		a.Sums = append(a.Sums, host.ContentOf([]byte(word[1:]), true).Sum)
	case lower == "resetkeys":
		a.Keys = nil
	case lower == "allkeys":
		a.Keys = []string{"~*"}
	case word[0] == '~' || word[0] == '%':
		a.Keys = append(a.Keys, keyPattern(word))
	case lower == "resetchannels":
		a.Channels = nil
	case lower == "allchannels":
		a.Channels = []string{"&*"}
	case word[0] == '&':
		a.Channels = append(a.Channels, word)
	case lower == "reset":
		*a = acl{Commands: []string{"-@all"}}
	case lower == "allcommands" || lower == "+@all":
		a.Commands = []string{"+@all"}
	case lower == "nocommands" || lower == "-@all":
		a.Commands = []string{"-@all"}
	case word[0] == '+' || word[0] == '-':
		a.Commands = append(a.Commands, lower)
	default:
		a.Rest = append(a.Rest, word)
	}
}

// keyPattern is a pattern of keys as Redis has it.
func keyPattern(p string) string {
	switch {
	case strings.HasPrefix(strings.ToUpper(p), "%RW~"), strings.HasPrefix(strings.ToUpper(p), "%WR~"):
		return p[3:]
	case strings.HasPrefix(p, "%"):
		flags, pattern, _ := strings.Cut(p, "~")
		return strings.ToUpper(flags) + "~" + pattern
	case strings.HasPrefix(p, "~"):
		return p
	}
	return "~" + p
}

// rules are the user as a line has it, and as Redis takes it.
func (a *acl) rules() (list []string) {
	list = append(list, map[bool]string{true: "on", false: "off"}[a.On])
	if a.Open {
		list = append(list, "nopass")
	}
	for _, s := range a.Sums {
		list = append(list, "#"+s)
	}
	list = append(list, a.Keys...)
	if !slices.Contains(a.Channels, "&*") {
		list = append(list, "resetchannels")
	}
	list = append(list, a.Channels...)
	return append(append(list, a.Commands...), a.Rest...)
}

func (a *acl) line(name string) string {
	return "user " + name + " " + strings.Join(a.rules(), " ")
}

// alike reports whether two lists have the same in them.
func alike(a, b []string) bool {
	x, y := slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b)))
	return slices.Equal(x, y)
}

// same reports whether two are one, apart from their commands.
func (a *acl) same(b *acl) bool {
	return a.On == b.On && a.Open == b.Open && alike(a.Sums, b.Sums) && alike(a.Keys, b.Keys) && alike(a.Channels, b.Channels) && alike(a.Rest, b.Rest)
}
