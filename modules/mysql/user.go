package mysql

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"muster/host"
	"muster/modules"
)

// User is an account of the MariaDB or MySQL server on the host, which is asked as root
// through its socket. An account is a name and where it may log in from: accounts of the
// same name and other hosts are others, and are left alone.
//
// That a password is right is proved by a login with it. Where no login through the
// server's socket leads to the account (it is of another host, or locked, or needs a client's
// certificate), muster keeps a sum of what it has set, and sets the password once where
// it hasn't.
type User struct {
	// The account's name.
	Name string `arg:"name,key,required"`
	// Where it logs in from: a name, an address, a pattern such as "10.0.%", or a network such
	// as "10.0.1.0/255.255.255.0" (from MySQL 8.0.23 on "10.0.1.0/24", too). "localhost" is the
	// server's socket.
	Host string `arg:"host" default:"localhost"`
	// Its password. While the secret in it is rotated, an account that lets the new one in
	// as well as the old one keeps both.
	Password string `arg:"password,sensitive"`
	// Another password that lets it in, too, while clients go over from this one to that:
	// MySQL's dual passwords, MariaDB's second way to be let in. Not given, while the
	// password is: a second one is taken away.
	OldPassword string `arg:"old_password,sensitive"`
	// The plugin that lets it in: "ed25519", "unix_socket", "caching_sha2_password". Not
	// given: it stays; a new account with a password gets the server's usual one.
	Plugin string `arg:"plugin"`
	// What it may do, all of it: lists of privileges by object. An object is "*.*",
	// "DATABASE.*", "DATABASE.TABLE", "function DATABASE.NAME" or "procedure
	// DATABASE.NAME"; in "like PATTERN.*" the signs "_" and "%" stand for other letters, and
	// only there. A privilege is "SELECT", "ALL PRIVILEGES", "GRANT OPTION", or for columns
	// "SELECT (a, b)". What else the account may do is revoked. Roles stay as they are. Not
	// given: all stay.
	Privileges map[string]modules.OneOrMore `arg:"privileges"`
	// Whether its connections have to be TLS. With true, an account that needs a client's
	// certificate besides stays so.
	RequireTLS *bool `arg:"require_tls" means:"as it is"`
	// What it may do at most.
	Limits *Limits `arg:"limits"`
	// Whether it is there at all. "absent" drops it with its privileges; its connections
	// go on until they end. With "existing" only the password of an account that is there is
	// set, as a rotation does: a missing one is an error, and so is one that, asked for two
	// passwords, is let in by neither.
	State string `arg:"state" oneof:"present existing absent" default:"present"`
	// With true, a server that replicates from another is waited for until it has the password
	// from there, which is proved as on any other. It goes with state = "existing".
	Replicated bool `arg:"replicated"`
	// What becomes of sessions that were opened before muster set the password, and so with
	// another one: "count" tells how many go on, "end" ends them. It goes where the second
	// password is taken away, and not with old_password. Not given: nothing is said of them.
	// On a replica they aren't known.
	OldSessions string `arg:"old_sessions" oneof:"count end"`

	// Valid are all versions of the password that are to go on letting the account in.
	Valid []string `versions:"password"`

	proofs *proofs
}

// Limits are what an account may do at most; 0 is no limit. What isn't given stays.
type Limits struct {
	// Statements in an hour.
	Queries *int `arg:"queries_per_hour"`
	// Statements that change something, in an hour.
	Updates *int `arg:"updates_per_hour"`
	// Logins in an hour.
	Connections *int `arg:"connections_per_hour"`
	// Connections at once.
	AtOnce *int `arg:"connections"`
}

// all are the limits in the order of type limits.
func (l *Limits) all() [4]*int {
	if l == nil {
		return [4]*int{}
	}
	return [4]*int{l.Queries, l.Updates, l.Connections, l.AtOnce}
}

// limitNames are the arguments' names in that order.
var limitNames = [4]string{"queries_per_hour", "updates_per_hour", "connections_per_hour", "connections"}

// users is the space of their keys.
const users = "mysql_user"

func userKey(name, at string) host.Key { return host.Key{Space: users, Name: accountName(name, at)} }

var pluginForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Check refuses what no server takes.
func (u *User) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	for _, a := range []struct{ arg, value string }{{"name", u.Name}, {"host", u.Host}} {
		if !utf8.ValidString(a.value) || strings.ContainsFunc(a.value, func(r rune) bool { return r < ' ' || r > 0xffff }) || strings.TrimSpace(a.value) != a.value || utf8.RuneCountInString(a.value) > 255 {
			fail(a.arg, "", "Wrong value", "%q is no %s of an account: it has a letter that can't be there, or spaces around it.", a.value, a.arg)
		}
	}
	if name, at, ok := strings.Cut(u.Name, "@"); ok && (at == "%" || at == "localhost" || strings.Trim(at, "0123456789.%/") == "") {
		errs = append(errs, modules.ArgError{Arg: "name", Summary: "Wrong value", Detail: fmt.Sprintf("Where an account logs in from is an argument of its own: name = %q, host = %q.", name, at), Hint: fmt.Sprintf("name = %q", name)})
	}
	if why, hint := wrongHost(u.Host); why != "" && !unknown("host") {
		errs = append(errs, modules.ArgError{Arg: "host", Summary: "Wrong value", Detail: why, Hint: hint})
	}
	if why := serversOwn(u.Name, u.Host, u.State); why != "" && !unknown("host") && !unknown("state") {
		fail("name", "", "Not muster's to change", "%s", why)
	}
	if u.Plugin != "" && !pluginForm.MatchString(u.Plugin) {
		fail("plugin", "", "Wrong value", "%q is no plugin's name.", u.Plugin)
	}
	if strings.ContainsRune(u.Password, 0) || !utf8.ValidString(u.Password) {
		fail("password", "", "Wrong value", "A password is UTF-8, without the byte 0: no client could send it.")
	}
	switch old := u.OldPassword; {
	case old == "":
	case strings.ContainsRune(old, 0) || !utf8.ValidString(old):
		fail("old_password", "", "Wrong value", "A password is UTF-8, without the byte 0: no client could send it.")
	case u.Password == "" && !unknown("password"):
		fail("old_password", "", "Conflicting arguments", "It is valid beside another one: give the account a password.")
	case u.Password == old:
		fail("old_password", "", "Conflicting arguments", "It is the password itself: leave it out.")
	}
	for i, n := range u.Limits.all() {
		if n != nil && (*n < 0 || int64(*n) > 1<<32-1) {
			fail("limits", "."+limitNames[i], "Wrong value", "It is 0, for no limit, or more, up to 4294967295.")
		}
	}
	errs = append(errs, u.checkExisting(unknown)...)
	if u.OldSessions != "" && (u.OldPassword != "" || u.State == "absent") && !unknown("state") {
		fail("old_sessions", "", "Conflicting arguments", "Sessions are told or ended once the password is the account's only one: leave it out here.")
	}
	if u.State == "absent" {
		for _, a := range []struct {
			arg   string
			given bool
		}{{"password", u.Password != ""}, {"old_password", u.OldPassword != ""}, {"plugin", u.Plugin != ""}, {"privileges", u.Privileges != nil}, {"require_tls", u.RequireTLS != nil}, {"limits", u.Limits != nil}} {
			if a.given {
				fail(a.arg, "", "Conflicting arguments", "An account that is to be absent has no %s.", a.arg)
			}
		}
	}
	if !unknown("privileges") {
		_, more := wanted(u.Privileges, nil, func(s string) string { return s })
		errs = append(errs, more...)
	}
	return errs
}

// Withhold hides the lines of what is sensitive. The password is in none.
func (u *User) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "password", "old_password", "plugin", "privileges", "require_tls", "limits")
}

// May is the account, and what is noted of it.
func (u *User) May() []host.Effect {
	if u.Name == "" || u.Host == "" {
		return []host.Effect{host.Open(users, ""), host.Begins(host.Files, stateDir), {Key: host.File("/var/lib/muster"), State: host.Possible}}
	}
	return append(noteEffects(u.Name, u.Host), host.Open(users, accountName(u.Name, u.Host)))
}
