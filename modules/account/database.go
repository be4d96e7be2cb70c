package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"muster/host"
)

// accountSpace is the space of what host.User doesn't tell.
const accountSpace = "account"

// details is the rest of an account, as pending changes leave it.
type details struct {
	Group  string  `json:"group"`            // the primary group's name
	Shadow *shadow `json:"shadow,omitempty"` // nil where it can't be read
}

// shadow is a line of shadow(5), without the hash itself.
type shadow struct {
	// Password is the SHA-256 of the hash without the mark of a locked one;
	// "" where there is no password that could be given.
	Password string `json:"password,omitempty"`
	Locked   bool   `json:"locked,omitempty"`  // no password is accepted
	Expires  int    `json:"expires,omitempty"` // days since 1970 counted from 1; 0: never
}

// database is the account files of the host, read once.
type database struct {
	users     map[string]host.User
	groups    map[string]host.Group
	byUID     map[int][]string
	byGID     map[int][]string
	memberOf  map[string][]string // the groups that list a user
	passwords map[string]string   // of users whose hash stands in passwd itself
	shadows   map[string][]string // nil where they can't be read
	shadowErr error
}

// read returns the account files.
func read(v *host.View) (*database, error) { return host.Once(v, "account files", readDatabase) }

func readDatabase() (*database, error) {
	d := &database{
		users: map[string]host.User{}, groups: map[string]host.Group{}, byUID: map[int][]string{}, byGID: map[int][]string{},
		memberOf: map[string][]string{}, passwords: map[string]string{}, shadows: map[string][]string{},
	}
	err := table("/etc/passwd", 7, func(f []string) {
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if _, double := d.users[f[0]]; double || err1 != nil || err2 != nil {
			return
		}
		d.users[f[0]] = host.User{Name: f[0], UID: uid, GID: gid, Comment: f[4], Home: f[5], Shell: f[6]}
		d.byUID[uid] = append(d.byUID[uid], f[0])
		if f[1] != "x" {
			d.passwords[f[0]] = f[1]
		}
	})
	if err != nil {
		return nil, err
	}
	err = table("/etc/group", 4, func(f []string) {
		gid, err := strconv.Atoi(f[2])
		if _, double := d.groups[f[0]]; double || err != nil {
			return
		}
		g := host.Group{Name: f[0], GID: gid}
		for _, m := range strings.Split(f[3], ",") {
			if m != "" {
				g.Members = append(g.Members, m)
				d.memberOf[m] = append(d.memberOf[m], g.Name)
			}
		}
		d.groups[f[0]] = g
		d.byGID[gid] = append(d.byGID[gid], f[0])
	})
	if err != nil {
		return nil, err
	}
	d.shadowErr = table("/etc/shadow", 8, func(f []string) { d.shadows[f[0]] = f })
	return d, nil
}

// table calls do with the fields of each line that has enough of them. A file
// that isn't there is empty.
func table(path string, fields int, do func([]string)) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range bytes.Lines(data) {
		f := strings.Split(strings.TrimRight(string(line), "\r\n"), ":")
		if len(f) >= fields && f[0] != "" && !strings.ContainsAny(f[0][:1], "#+-") {
			do(f)
		}
	}
	return nil
}

// lookup answers a key through the preview. open says that "none" isn't final:
// a package that is to be installed may bring it.
func lookup[T any](v *host.View, key host.Key, real func() *T) (t *T, open bool, err error) {
	value, ok, open, err := v.Look(key)
	switch {
	case err != nil || ok && value == nil:
		return nil, false, err
	case ok:
		t = new(T)
		if err := host.Unmarshal(value, t); err != nil {
			return nil, false, fmt.Errorf("the planned value of %s: %w", key, err)
		}
		return t, false, nil
	}
	t = real()
	return t, open && t == nil, nil
}

// user returns an account, nil if there is none.
func (d *database) user(ctx context.Context, v *host.View, name string) (u *host.User, open bool, err error) {
	u, open, err = lookup(v, host.Key{Space: host.Users, Name: name}, func() *host.User {
		if u, ok := d.users[name]; ok {
			return &u
		}
		return nil
	})
	if err != nil || u != nil {
		return u, open, err
	}
	return nil, open, nil
}

// group returns a group, nil if there is none.
func (d *database) group(v *host.View, name string) (g *host.Group, open bool, err error) {
	return lookup(v, host.Key{Space: host.Groups, Name: name}, func() *host.Group {
		if g, ok := d.groups[name]; ok {
			return &g
		}
		return nil
	})
}

// foreign returns an error for an account that exists, but not in the files.
func foreignUser(ctx context.Context, v *host.View, name string) error {
	if u, err := v.User(ctx, name); err == nil && u != nil {
		return fmt.Errorf("the user %q comes from a name service (LDAP or such), not from /etc/passwd: muster can't change it here", name)
	}
	return nil
}

func foreignGroup(ctx context.Context, v *host.View, name string) error {
	if g, err := v.Group(ctx, name); err == nil && g != nil {
		return fmt.Errorf("the group %q comes from a name service (LDAP or such), not from /etc/group: muster can't change it here", name)
	}
	return nil
}

// details returns what host.User doesn't tell of an account that exists.
func (d *database) details(v *host.View, u host.User) (details, error) {
	t, _, err := lookup(v, host.Key{Space: accountSpace, Name: u.Name}, func() *details {
		t := details{Group: d.groupName(u.GID)}
		if d.shadowErr == nil {
			s := d.shadow(u.Name)
			t.Shadow = &s
		}
		return &t
	})
	if err != nil || t == nil {
		return details{}, err
	}
	return *t, nil
}

// groupName returns the name of a number, or the number itself.
func (d *database) groupName(gid int) string {
	if names := d.byGID[gid]; len(names) > 0 {
		return names[0]
	}
	return strconv.Itoa(gid)
}

// shadow reads the line of a user. Without one there is no password, and the
// account never expires.
func (d *database) shadow(name string) shadow {
	hash, inPasswd := d.passwords[name]
	f := d.shadows[name]
	if f == nil && !inPasswd {
		return shadow{Locked: true}
	}
	if !inPasswd {
		hash = f[1]
	}
	s := shadow{Locked: strings.HasPrefix(hash, "!"), Password: passwordSum(hash)}
	if hash != "" && s.Password == "" {
		s.Locked = true // "*", or "x" where a line was lost: nothing matches that
	}
	if f != nil && f[7] != "" {
		if days, err := strconv.Atoi(f[7]); err == nil && days >= 0 {
			s.Expires = days + 1
		}
	}
	return s
}

// passwordSum identifies a hash, locked or not; "" where it matches nothing.
func passwordSum(hash string) string {
	hash = strings.TrimLeft(hash, "!")
	if hash == "" || hash == "*" || hash == "x" {
		return ""
	}
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:])
}

// ownerOf returns another user's name that will have this number, "" if none.
func (d *database) ownerOf(ctx context.Context, v *host.View, uid int, except string) string {
	for _, name := range slices.Concat(d.byUID[uid], v.Laid(host.Users)) {
		if u, _, err := d.user(ctx, v, name); err == nil && u != nil && u.UID == uid && name != except {
			return name
		}
	}
	return ""
}

// groupOf returns a group's name that will have this number, "" if none.
func (d *database) groupOf(v *host.View, gid int, except string) string {
	for _, name := range slices.Concat(d.byGID[gid], v.Laid(host.Groups)) {
		if g, _, err := d.group(v, name); err == nil && g != nil && g.GID == gid && name != except {
			return name
		}
	}
	return ""
}

// memberships returns the groups that will list a user, sorted.
func (d *database) memberships(v *host.View, name string) []string {
	var list []string
	for _, g := range slices.Concat(d.memberOf[name], v.Laid(host.Groups)) {
		if group, _, err := d.group(v, g); err == nil && group != nil && slices.Contains(group.Members, name) {
			list = append(list, g)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// primaryOf returns the users whose primary group this will be, sorted.
func (d *database) primaryOf(ctx context.Context, v *host.View, g host.Group) []string {
	var list []string
	check := func(name string) {
		u, _, err := d.user(ctx, v, name)
		if err != nil || u == nil {
			return
		}
		if t, err := d.details(v, *u); u.GID >= 0 && u.GID == g.GID || err == nil && t.Group == g.Name {
			list = append(list, name)
		}
	}
	for name, u := range d.users {
		if u.GID == g.GID {
			check(name)
		}
	}
	for _, name := range v.Laid(host.Users) {
		check(name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// defaults reads KEY=value or KEY value lines of login.defs(5) and
// /etc/default/useradd.
func defaults(ctx context.Context, v *host.View, path string) (map[string]string, error) {
	data, err := v.ReadFile(ctx, path, 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.SplitSeq(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		name, value, ok := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), "=")
		if !ok {
			name, value, ok = strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		}
		if ok {
			m[strings.TrimSpace(name)] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return m, nil
}
