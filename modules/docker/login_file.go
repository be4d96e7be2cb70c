package docker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"muster/host"
)

// logins is the space of what credential helpers keep: CONFIG and REGISTRY.
const logins = "docker_login"

// credential is who logs in at a registry.
type credential struct {
	User, Password string
	sum            string // of one that a pending change leaves, whose password isn't told
	token          string // what the registry has given for the password
}

// until tells what differs from a credential that is wanted; "" where it is the same. A
// nil one is no login.
func (c *credential) until(want *credential, registry string) string {
	switch {
	case c == nil && want == nil, c != nil && want != nil && c.digest(registry) == want.digest(registry):
		return ""
	case c == nil:
		return "user: " + want.User + "\npassword: (given)"
	case want == nil:
		return "user: - " + c.User
	case c.User != want.User:
		return fmt.Sprintf("user: %s → %s\npassword: (another)", c.User, want.User)
	}
	return "password: (another)"
}

// digest tells two credentials for a registry apart.
func (c credential) digest(registry string) string {
	if c.sum != "" {
		return c.sum
	}
	sum := sha256.Sum256([]byte(registry + "\x00" + c.User + "\x00" + c.Password))
	return hex.EncodeToString(sum[:])
}

// loginFile is a config.json of Docker's.
type loginFile struct {
	path   string
	before host.FileInfo
	text   string
	helper string // what keeps the registry's credentials instead; "" for the file itself
	diff   string // what the task changes in it
}

// file reads the file as pending changes leave it.
func (l *Login) file(ctx context.Context, v *host.View) (f loginFile, err error) {
	f.path = l.Config
	if f.path == "" {
		name := host.UserName(uint32(os.Geteuid()))
		u, err := v.User(ctx, name)
		switch {
		case err != nil:
			return f, err
		case u == nil || u.Home == "":
			return f, fmt.Errorf("the user %s has no home for .docker/config.json: give the file as config", name)
		}
		f.path = filepath.Join(u.Home, ".docker", "config.json")
	}
	if f.path, err = v.Place(f.path, true); err != nil {
		return f, err
	}
	if f.before, err = v.Lstat(f.path); err != nil {
		return f, err
	}
	switch f.before.Type {
	case host.NoFile:
	case host.Regular:
		data, err := v.ReadFile(ctx, f.path, configLimit)
		if err != nil {
			return f, err
		}
		if f.before.Sum, err = v.Sum(f.path); err != nil {
			return f, err
		}
		f.text = string(data)
	default:
		return f, fmt.Errorf("%s is a %s, not a file of Docker's", f.path, f.before.Type)
	}
	var c struct {
		Auths   map[string]json.RawMessage `json:"auths"`
		Store   string                     `json:"credsStore"`
		Helpers map[string]string          `json:"credHelpers"`
	}
	if strings.TrimSpace(f.text) != "" {
		if err := json.Unmarshal([]byte(f.text), &c); err != nil {
			return f, fmt.Errorf("%s isn't what Docker writes (%w): mend it, or remove it", f.path, err)
		}
	}
	if f.helper = c.Helpers[l.key()]; f.helper == "" {
		f.helper = c.Store
	}
	return f, nil
}

// kept returns the credential that is kept for a registry, nil where there is none.
func (f loginFile) kept(ctx context.Context, v *host.View, registry string) (*credential, error) {
	if f.helper != "" {
		return f.ask(ctx, v, registry)
	}
	var c struct {
		Auths map[string]struct {
			Auth     string `json:"auth"`
			Identity string `json:"identitytoken"`
		} `json:"auths"`
	}
	_ = json.Unmarshal([]byte(f.text), &c) // an entry of another form is none
	entry, ok := c.Auths[registry]
	if !ok {
		for _, key := range sortedKeys(c.Auths) {
			if hostnameOf(key) == hostnameOf(registry) {
				entry, ok = c.Auths[key], true
			}
		}
	}
	if !ok || entry.Auth == "" && entry.Identity == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(entry.Auth)
	user, password, both := strings.Cut(string(data), ":")
	if err != nil || !both || entry.Identity != "" { // of a token nobody can tell whose password made it
		return &credential{User: user, token: entry.Identity}, nil
	}
	return &credential{User: user, Password: strings.TrimRight(password, "\x00")}, nil
}

// auth is a credential as the file has it.
func (c credential) auth() string {
	return base64.StdEncoding.EncodeToString([]byte(c.User + ":" + c.Password))
}

// edited returns the text with the registry's entry as it has to be: with the credential,
// or where a helper keeps that without one. Nothing else in it is touched.
func (f loginFile) edited(registry string, want *credential) (string, error) {
	text := f.text
	edit := func(change func(text string) (string, error)) (err error) {
		text, err = change(text)
		return err
	}
	entries, err := namesIn(text, "auths")
	if err != nil {
		return "", err
	}
	if want == nil {
		for _, key := range entries {
			if key == registry || hostnameOf(key) == hostnameOf(registry) {
				if err := edit(func(t string) (string, error) { return without(t, "auths", key) }); err != nil {
					return "", err
				}
			}
		}
		return text, nil
	}
	for _, key := range entries {
		if key != registry && (f.helper == "" || hostnameOf(key) != hostnameOf(registry)) {
			continue
		}
		stale := []string{"identitytoken", "registrytoken", "username", "password"}
		if f.helper != "" { // or the password would stay behind in clear
			stale = append(stale, "auth")
		}
		for _, name := range stale {
			if err := edit(func(t string) (string, error) { return without(t, "auths", key, name) }); err != nil {
				return "", err
			}
		}
	}
	if f.helper != "" {
		return text, nil
	}
	err = edit(func(t string) (string, error) { return with(t, want.auth(), "auths", registry, "auth") })
	return text, err
}

// write plans the file with the registry's entry, and its folder.
func (f loginFile) write(v *host.View, l *Login, want *credential) (changes []host.Change, err error) {
	text := f.text
	if f.diff != "" || f.helper != "" {
		if text, err = f.edited(l.key(), want); err != nil {
			return nil, fmt.Errorf("%s isn't what Docker writes (%w): mend it, or remove it", f.path, err)
		}
	}
	private := host.Mode(0o600)
	if text == f.text {
		if want == nil || !f.before.Exists() || f.before.Mode == private {
			return nil, nil
		}
		after := f.before
		after.Mode = private
		return []host.Change{&host.SetAttr{Path: f.path, Attr: host.Attr{Mode: &private}, Before: f.before, After: after}}, nil
	}
	after, attr := f.before, host.Attr{Mode: &private}
	if !f.before.Exists() {
		owner, err := f.folder(v)
		if err != nil {
			return nil, err
		}
		attr.Owner, attr.Group = owner.Owner, owner.Group
		after = host.FileInfo{Type: host.Regular, Owner: owner.Owner, Group: owner.Group}
		if owner.made != nil {
			changes = append(changes, owner.made)
		}
	}
	content := v.Keep([]byte(text), true)
	after.Mode, after.Sum, after.Size, after.Sensitive = private, content.Sum, content.Size, true
	w := &host.WriteFile{Path: f.path, Content: content, Attr: attr, Before: &f.before, After: after, Diff: f.diff, Note: "the login at " + l.Registry}
	if f.helper != "" {
		w.Diff, w.Note = "", "without the login at "+l.Registry+", which "+f.program()+" keeps"
	}
	if f.before.Exists() {
		w.Diff = strings.Trim(host.AttrDiff(f.before, after)+"\n"+w.Diff, "\n")
	}
	return append(changes, w), nil
}

// owner is whose a new file is, and the change that makes its folder, if it has to be made.
type owner struct {
	Owner, Group string
	made         host.Change
}

// folder looks at the folder that the file comes into. What root makes in a user's folder
// is the user's.
func (f loginFile) folder(v *host.View) (o owner, err error) {
	o = owner{Owner: host.UserName(uint32(os.Geteuid())), Group: host.GroupName(uint32(os.Getegid()))}
	dir := filepath.Dir(f.path)
	info, err := v.Lstat(dir)
	if err != nil {
		return o, err
	}
	missing := !info.Exists()
	if missing {
		if info, err = v.Lstat(filepath.Dir(dir)); err != nil {
			return o, err
		}
	}
	if info.Type != host.Directory {
		return o, fmt.Errorf("there is no folder %s: add a directory task before this one", dir)
	}
	if host.IsRoot() {
		o.Owner, o.Group = info.Owner, info.Group
	}
	if missing {
		mode := host.Mode(0o700)
		o.made = &host.MakeDir{Path: dir, Attr: host.Attr{Mode: &mode, Owner: o.Owner, Group: o.Group}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: o.Owner, Group: o.Group}}
	}
	return o, nil
}
