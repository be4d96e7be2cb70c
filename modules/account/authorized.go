package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"muster/host"
	"muster/modules"
)

// keySpace is the space of a user's authorized keys, by user name.
const keySpace = "authorized_keys"

// keyFileLimit is the size, in bytes, of the largest file of keys.
const keyFileLimit = 1 << 20

// AuthorizedKey is the public keys that log a user in, in authorized_keys. What
// would make sshd refuse them is an error: an option that it can't read, a file
// or a home that others may write to. The modes of the file and of .ssh are
// mended, those of the home aren't; a file of root's stays root's.
type AuthorizedKey struct {
	// The user who can log in with the keys.
	User string `arg:"user,key,required"`
	// The public keys, each as in a .pub file: the type, the key, and a
	// comment if you like; options may stand before it. One element may hold
	// several, a line each. A key that is given twice has the same options.
	Keys []string `arg:"keys,united"`
	// Remove every other key.
	Exclusive bool `arg:"exclusive" default:"false"`
	// What the keys are allowed, as sshd(8) of OpenSSH 9.1 and later has it:
	// `from="10.0.0.0/8",no-pty`;
	// "" for no limits. By default what each key says itself, and else the
	// options that stand in the file are kept.
	Options *string `arg:"options"`
	// The file. By default .ssh/authorized_keys in the user's home, which is
	// made with its directory where it is missing.
	Path string `arg:"path,path"`
	// Whether the keys are there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// Check refuses keys that are none.
func (a *AuthorizedKey) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("user") {
		errs = append(errs, checkName("user", a.User)...)
	}
	if a.Path != "" && (!filepath.IsAbs(a.Path) || filepath.Clean(a.Path) != a.Path) {
		errs = append(errs, modules.ArgError{Arg: "path", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no absolute path in its shortest form.", a.Path)})
	}
	if !unknown("keys") {
		_, bad := a.parse()
		errs = append(errs, bad...)
		if len(a.Keys) == 0 && !a.Exclusive {
			errs = append(errs, modules.ArgError{Arg: "keys", Summary: "Missing argument", Detail: `Name the keys. An empty list with "exclusive = true" removes all.`})
		}
	}
	if a.Options != nil && !isOptions(*a.Options) {
		errs = append(errs, modules.ArgError{Arg: "options", Summary: "Wrong value", Detail: `Options stand in one line, with commas and without spaces between, and quotes in pairs: from="10.0.0.0/8",no-pty.`})
	} else if a.Options != nil {
		errs = append(errs, checkOptions("options", "", *a.Options)...)
	}
	if a.State == "absent" && (a.Exclusive || a.Options != nil) {
		errs = append(errs, modules.ArgError{Arg: "state", Summary: "Conflicting arguments", Detail: `Keys that are to be absent have no options, and "exclusive" would remove the others: leave it out.`})
	}
	return errs
}

// isOptions reports whether a text can stand before a key and is read as its
// options again. A "#" would make the line a comment, a key's type the key.
func isOptions(s string) bool {
	if s == "" {
		return true
	}
	o, rest := cutOptions(s + " x")
	return o == s && rest == "x" && s[0] != '#' && !keyType(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// checkOptions refuses options that sshd doesn't take.
func checkOptions(arg, path, options string) []modules.ArgError {
	_, err := readOptions(options)
	var wrong *optionError
	if !errors.As(err, &wrong) {
		return nil
	}
	return []modules.ArgError{{Arg: arg, Path: path, Summary: "Wrong value", Hint: wrong.hint,
		Detail: sentence(err) + " With that before it sshd refuses the key, and whoever has it is locked out."}}
}

var commentLines = regexp.MustCompile(`(?m)^\s*#.*$`)

// parse reads the keys; each once, the last of its kind counting.
func (a *AuthorizedKey) parse() (keys []publicKey, errs []modules.ArgError) {
	for i, text := range a.Keys {
		path := fmt.Sprintf("[%d]", i)
		if strings.Trim(commentLines.ReplaceAllString(text, ""), " \t\r\n") == "" {
			errs = append(errs, modules.ArgError{Arg: "keys", Path: path, Summary: "Wrong value", Detail: "It holds no key: is the file it comes from empty?"})
		}
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			k, err := parseKey(line)
			if err == nil && a.State != "absent" {
				err = k.usable()
			}
			if err != nil {
				errs = append(errs, modules.ArgError{Arg: "keys", Path: path, Summary: "Wrong value", Detail: sentence(err)})
				continue
			}
			if a.State != "absent" {
				errs = append(errs, checkOptions("keys", path, k.options)...)
			}
			double := false
			for n := range keys {
				if !keys[n].same(k) {
					continue
				}
				if a.Options == nil && a.State != "absent" && keys[n].options != k.options {
					errs = append(errs, modules.ArgError{Arg: "keys", Path: path, Summary: "Conflicting values",
						Detail: fmt.Sprintf("The key %s is given twice, %s and %s: give it once.", k.short(), keys[n].withOptions(), k.withOptions())})
				}
				keys[n], double = k, true
			}
			if !double {
				keys = append(keys, k)
			}
		}
	}
	return keys, errs
}

func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// Withhold hides the options, or the rest of each line.
func (a *AuthorizedKey) Withhold(diff string, sensitive []string) (string, bool) {
	hides := func(arg string) bool { return slices.Contains(sensitive, arg) }
	for _, s := range sensitive {
		if s != "keys" && s != "options" {
			return "", false
		}
	}
	lines := strings.Split(diff, "\n")
	for i, line := range lines {
		if line == "" || !strings.Contains("+- ", line[:1]) {
			continue // a mode, or where a hunk begins
		}
		// Without options of the task's own, the keys may bring them.
		lines[i] = line[:1] + withheld(line[1:], hides("options") || a.Options == nil, hides("keys"))
	}
	return strings.Join(lines, "\n"), true
}

// May is the file, wherever it is: known once the user is.
func (a *AuthorizedKey) May() []host.Effect {
	own := host.Open(keySpace, a.User)
	if a.Path != "" {
		return []host.Effect{own, host.Open(host.Files, a.Path)}
	}
	return []host.Effect{own, host.May(host.Files)}
}

// Plan compares the keys with those in the file.
func (a *AuthorizedKey) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	db, err := read(v)
	if err != nil {
		return modules.Plan{}, err
	}
	u, open, err := db.user(ctx, v, a.User)
	if err != nil {
		return modules.Plan{}, err
	}
	if u == nil && !open {
		u, err = v.User(ctx, a.User) // also those of a name service log in
	}
	switch {
	case err != nil:
		return modules.Plan{}, err
	case u == nil && open:
		return modules.Plan{}, host.NotYet(host.Key{Space: host.Users, Name: a.User})
	case u == nil && a.State == "absent":
		return modules.Plan{}, nil
	case u == nil:
		return modules.Plan{}, fmt.Errorf("there is no user %q on this host to log in with keys, and no earlier task makes it", a.User)
	}
	r, err := readerOf(v, db, *u)
	if err != nil {
		return modules.Plan{}, err
	}
	f, err := a.file(ctx, v, r)
	if err != nil {
		return modules.Plan{}, err
	}
	if a.State != "absent" && len(a.Keys) > 0 {
		if err := f.unlock(ctx, v, r); err != nil {
			return modules.Plan{}, err
		}
	}
	c, err := a.compare(ctx, v, f)
	if err != nil || c == nil {
		return modules.Plan{}, err
	}
	if !host.IsRoot() && (os.Geteuid() != u.UID || f.there.file.Owner == "root") {
		return modules.Plan{}, fmt.Errorf(`the keys in %s can be changed by %s alone: give the task "become = true"`, f.path(), f.changers())
	}
	return modules.Plan{Changes: []host.Change{c}}, nil
}

// readerOf is the user who is to log in, as pending changes leave them.
func readerOf(v *host.View, db *database, u host.User) (reader, error) {
	t, err := db.details(v, u)
	if err != nil {
		return reader{}, err
	}
	return reader{User: u, db: db, group: t.Group, groups: append(db.memberships(v, u.Name), t.Group)}, nil
}

// keyFile is where a user's keys stand, and what stands there.
type keyFile struct {
	place
	owner, group string // of a new file
	userGroup    string
	there        keyState
	mend         map[string]mend // modes that would keep the user out, by path
}

// file looks at the file of keys, as pending changes leave it.
func (a *AuthorizedKey) file(ctx context.Context, v *host.View, u reader) (f keyFile, err error) {
	f.User, f.owner, f.group, f.userGroup, f.mend = u.Name, u.Name, u.group, u.group, map[string]mend{}
	if u.Home == "" && a.Path == "" {
		return f, fmt.Errorf("the user %s has no home directory for keys: give the file as path", a.User)
	}
	path := a.Path
	if path == "" {
		path = filepath.Join(u.Home, ".ssh", "authorized_keys")
	}
	f.Base = filepath.Dir(path)
	if u.Home != "" && within(f.Base, u.Home) && u.Home != "/" {
		f.Base = u.Home
	}
	rest := strings.TrimPrefix(path, f.Base+"/")
	if f.Base, err = a.base(v, f.Base, u.User); err != nil {
		return f, err
	}
	f.Names = strings.Split(rest, "/")
	f.Owned = a.Path == "" || within(path, u.Home)
	if !f.Owned {
		f.owner, f.group = "root", "root"
		if !host.IsRoot() {
			f.owner, f.group = host.UserName(uint32(os.Geteuid())), host.GroupName(uint32(os.Getegid()))
		}
	}
	if !host.IsRoot() { // a user's own links lead where the user wants
		real, err := v.Follow(f.path())
		if err != nil {
			return f, err
		}
		if real != f.path() {
			f.Base, f.Names = filepath.Dir(real), []string{filepath.Base(real)}
		}
	}
	now := -1
	if r, ok := u.db.users[u.Name]; ok {
		now = r.UID
	}
	f.there, err = f.look(ctx, v, u.UID, now)
	return f, err
}

// changers are who may change the file.
func (f keyFile) changers() string {
	if f.there.file.Owner == "root" {
		return "root"
	}
	return f.User + " and root"
}

// base resolves the directory that the file is in or below.
func (a *AuthorizedKey) base(v *host.View, path string, u host.User) (string, error) {
	at, err := v.Place(path, true)
	if err != nil {
		return "", err
	}
	info, err := v.Lstat(at)
	switch {
	case err != nil:
		return "", err
	case !info.Exists() && path == u.Home:
		return "", fmt.Errorf("the home %s of %s isn't there: give the user create_home = true, or the keys another path", path, a.User)
	case !info.Exists():
		return "", fmt.Errorf("the directory %s isn't there: add a directory task before this one", path)
	case info.Type != host.Directory:
		return "", fmt.Errorf("%s is a %s, not a directory", path, info.Type)
	}
	return at, nil
}

// compare returns the change that fulfils the wish, nil if it is.
func (a *AuthorizedKey) compare(ctx context.Context, v *host.View, f keyFile) (host.Change, error) {
	keys, _ := a.parse()
	w := wish{keys: keys, options: a.Options, absent: a.State == "absent", exclusive: a.Exclusive}
	now := f.there
	if a.Path != "" && noKeys(now.content) {
		return nil, fmt.Errorf("%s holds no key in any of its lines, so it is something else: give another path", f.path())
	}
	content, standing := w.apply(now.content)
	if !now.file.Exists() && content == "" {
		return nil, nil
	}
	if err := f.readable(ctx, v, standing); err != nil {
		return nil, err
	}
	after := host.FileInfo{Type: host.Regular, Mode: 0o600, Owner: f.owner, Group: f.group}
	if !f.Owned {
		after.Mode = 0o644 // sshd reads it as the user
	}
	if now.file.Exists() {
		after.Mode, after.Owner = now.file.Mode, now.file.Owner // root's is as good for sshd
		if after.Group = now.file.Group; after.Owner == f.User {
			after.Group = f.userGroup
		}
	}
	if m, ok := f.mend[f.path()]; ok {
		after.Mode = m.after.Mode
	}
	dir, mends := f.mend[filepath.Dir(f.path())]
	if content == now.content && after.Mode == now.file.Mode && !mends {
		return nil, nil
	}
	body := v.Keep([]byte(content), false)
	after.Sum, after.Size = body.Sum, body.Size
	c := &WriteKeys{Place: f.place, Content: body, After: after, Group: f.group, Before: now.sum}
	var diff []string
	if now.file.Exists() && after.Mode != now.file.Mode {
		diff = append(diff, fmt.Sprintf("mode: %s → %s", now.file.Mode, after.Mode))
	}
	if mends {
		c.Mended = &dir.after
		diff = append(diff, fmt.Sprintf("mode of %s: %s → %s", filepath.Dir(f.path()), dir.from, dir.after.Mode))
	}
	if d := host.Diff([]byte(now.content), []byte(content)); d != "" {
		diff = append(diff, d)
	}
	c.Diff, c.Missing, c.New = strings.Join(diff, "\n"), now.missing, !now.file.Exists()
	c.Wants = fmt.Sprintf("%q", a.Keys) + fmt.Sprint(a.Exclusive, a.State)
	if a.Options != nil {
		c.Wants += fmt.Sprintf("%q", *a.Options)
	}
	return c, nil
}

// look reads what stands there: through the preview where that has the file
// or its directory, else from the host by descriptors.
func (f keyFile) look(ctx context.Context, v *host.View, uid, realUID int) (keyState, error) {
	var s keyState
	_, laid, _, err := v.Look(host.File(f.path()))
	if err != nil {
		return s, err
	}
	if !v.Pending() {
		return f.read(uid)
	}
	planned := f.Base
	for _, name := range f.Names[:len(f.Names)-1] {
		planned = filepath.Join(planned, name)
		info, err := v.Lstat(planned)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return s, err
		}
		if !info.Exists() {
			s.missing++
		}
	}
	if laid {
		info, err := v.Lstat(f.path())
		if err != nil || !info.Exists() {
			return s, err
		}
		if info.Type != host.Regular {
			return s, fmt.Errorf("%s is a %s, not a file of keys", f.path(), info.Type)
		}
		data, err := v.ReadFile(ctx, f.path(), keyFileLimit)
		s.file, s.content = info, string(data)
		return s, err
	}
	if s.missing > 0 {
		return s, nil
	}
	if _, err := os.Lstat(filepath.Dir(f.path())); errors.Is(err, os.ErrNotExist) {
		return s, nil // it comes with the home, without keys
	}
	if uid < 0 || realUID >= 0 && realUID != uid { // whose it is can't be told before the user is changed
		return s, host.NotYet(host.Key{Space: host.Users, Name: f.User})
	}
	now, err := f.read(uid)
	if err != nil {
		return s, err
	}
	now.missing = s.missing
	return now, nil
}
