package openssh

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// KnownHosts is the keys by which ssh on this host knows another one: those of one name or
// address, and of one port. Lines of other hosts, comments and the order of all lines stay
// as they are. So do patterns and the lines that begin with @cert-authority or @revoked.
type KnownHosts struct {
	// The other host, as it is named to ssh: a host name or an address.
	Name string `arg:"name,key,required"`
	// The port of its sshd.
	Port int `arg:"port" default:"22"`
	// All keys of the host, each as "ssh-ed25519 AAAA…": others that the file has for it are
	// taken out. `ssh-keyscan HOST` prints them behind the host's name; compare them with
	// those on the host itself (/etc/ssh/*.pub).
	Keys []string `arg:"keys"`
	// Write the host's name as a hash, so that the file doesn't tell who is known. Lines that
	// have a right key stay as they are, hashed or not.
	Hash bool `arg:"hash" default:"false"`
	// A user of this host, whose ~/.ssh/known_hosts it is. Without a user and a path it is
	// the file of all users, /etc/ssh/ssh_known_hosts.
	User string `arg:"user"`
	// Another file, in place of those.
	Path string `arg:"path"`
	// "absent" takes the keys out or, without keys, all that the host has.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// allUsers is the file that ssh reads for every user: ssh_config(5), GlobalKnownHostsFile.
const allUsers = "/etc/ssh/ssh_known_hosts"

var (
	// knownForm is a name or an address as a line of the file has it. Commas, patterns and
	// spaces would be read as more than one.
	knownForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?$`)
	loginForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)
)

// Check refuses what ssh would pass over.
func (k *KnownHosts) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !knownForm.MatchString(k.Name) {
		fail("name", "", "Wrong value", "%q is no host name or address: it takes one, without a port (see \"port\") and without a pattern.", k.Name)
	}
	if k.Port < 1 || k.Port > 65535 {
		fail("port", "", "Wrong value", "%d is no port: it takes 1 to 65535.", k.Port)
	}
	if k.User != "" && !loginForm.MatchString(k.User) {
		fail("user", "", "Wrong value", "%q is no user's name.", k.User)
	}
	if k.Path != "" && !filepath.IsAbs(k.Path) {
		fail("path", "", "Wrong value", "%q is no absolute path on the host: it has to begin with \"/\".", k.Path)
	}
	if k.Path != "" && k.User != "" {
		fail("path", "", "Conflicting arguments", `The file is the user's or that of the path: give one of "user" and "path".`)
	}
	var seen []string
	for i, text := range k.Keys {
		at := fmt.Sprintf("[%d]", i)
		key, err := keyOf(text)
		if err != nil {
			fail("keys", at, "Wrong value", "%q is no host's key: %v.", text, err)
		} else if slices.Contains(seen, key) {
			fail("keys", at, "Key given twice", "It stands in the list before.")
		}
		seen = append(seen, key)
	}
	if len(k.Keys) == 0 && k.State != "absent" && !unknown("state") {
		fail("keys", "", "Missing argument", `A known host has at least one key. To forget the host, write state = "absent".`)
	}
	return errs
}

// line is the name that a line of the file has for the host: sshd(8), "SSH_KNOWN_HOSTS FILE
// FORMAT".
func (k *KnownHosts) line() string {
	name := strings.ToLower(k.Name)
	if k.Port != 22 {
		return fmt.Sprintf("[%s]:%d", name, k.Port)
	}
	return name
}

// May is the file and its folder, where that is known without asking the host.
func (k *KnownHosts) May() []host.Effect {
	switch {
	case k.Path != "":
		return []host.Effect{host.Open(host.Files, k.Path)}
	case k.User == "":
		return []host.Effect{host.Open(host.Files, allUsers)}
	}
	return []host.Effect{host.Open(host.Files, "")}
}

// Plan compares the lines of the host.
func (k *KnownHosts) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if k.Path == "" && k.User != "" {
		return k.users(ctx, v)
	}
	path := k.Path
	if path == "" {
		path = allUsers
	}
	folder, err := v.Stat(filepath.Dir(path))
	switch {
	case errors.Is(err, host.ErrNotYet):
	case err != nil:
		return modules.Plan{}, err
	case folder.Type != host.Directory && k.State != "absent":
		return modules.Plan{}, fmt.Errorf("there is no folder %s on this host: install openssh-client, or make it in an earlier task", filepath.Dir(path))
	case folder.Type != host.Directory:
		return modules.Plan{}, nil
	}
	changes, err := k.rewrite(ctx, v, path)
	return modules.Plan{Changes: changes}, err
}

// users plans the file of a user.
func (k *KnownHosts) users(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	user, err := v.User(ctx, k.User)
	if err != nil {
		return plan, err
	}
	if user == nil && k.State == "absent" {
		return plan, nil
	}
	if user == nil {
		return plan, fmt.Errorf("there is no user %s on this host: make it in an earlier task, task \"user\" %q {}", k.User, k.User)
	}
	dir := filepath.Join(user.Home, ".ssh")
	at, err := v.Place(dir, true)
	if err != nil {
		return plan, err
	}
	folder, err := v.Lstat(at)
	if err != nil {
		return plan, err
	}
	group := k.group(user)
	switch {
	case folder.Exists() && folder.Type != host.Directory:
		return plan, fmt.Errorf("%s is a %s, not a directory: look at it, and remove it", dir, folder.Type)
	case !folder.Exists() && k.State == "absent":
		return plan, nil
	case !folder.Exists():
		if home, err := v.Stat(user.Home); err != nil {
			return plan, err
		} else if home.Type != host.Directory {
			return plan, fmt.Errorf("the home of %s, %s, isn't a directory: make it in an earlier task", k.User, user.Home)
		}
		mode := host.Mode(0o700)
		plan.Changes = append(plan.Changes, &host.MakeDir{
			Path: at, Attr: host.Attr{Mode: &mode, Owner: k.User, Group: group},
			After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: k.User, Group: group},
		})
	case folder.Owner == "root" && k.User != "root" && folder.Mode == 0o700 && k.State != "absent":
		// A run that was cut off, or somebody as root, has made it: the user can't get in.
		after := folder
		after.Owner, after.Group = k.User, group
		plan.Changes = append(plan.Changes, &host.SetAttr{Path: at, Attr: host.Attr{Owner: k.User, Group: group}, Before: folder, After: after})
	}
	file, err := k.rewrite(ctx, v, filepath.Join(dir, "known_hosts"))
	if err != nil {
		return modules.Plan{}, err
	}
	for _, c := range file { // a new file is the user's, who adds to it
		if w := c.(*host.WriteFile); w.Before == nil || !w.Before.Exists() {
			mode := host.Mode(0o600)
			w.Attr = host.Attr{Mode: &mode, Owner: k.User, Group: group}
			w.After.Mode, w.After.Owner, w.After.Group = mode, k.User, group
		}
	}
	plan.Changes = append(plan.Changes, file...)
	return plan, nil
}

// group is the name of the user's group.
func (k *KnownHosts) group(user *host.User) string {
	if user.GID >= 0 {
		return host.GroupName(uint32(user.GID))
	}
	return k.User // the system chooses it: the group of the user's own
}

// rewrite plans the lines in a file.
func (k *KnownHosts) rewrite(ctx context.Context, v *host.View, path string) ([]host.Change, error) {
	var pepper []byte
	if k.Hash {
		var err error
		if pepper, err = v.ReadFile(ctx, "/etc/machine-id", 4096); err != nil && !errors.Is(err, host.ErrNotYet) {
			pepper = nil // a salt is no secret: this one only differs from host to host
		}
	}
	return v.Rewrite(ctx, path, func(old string) (string, error) {
		text, err := k.edit(old, pepper)
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return text, err
	})
}
