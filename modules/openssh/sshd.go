package openssh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/systemd"
)

// SSHD is settings of the host's sshd: a file of their own in /etc/ssh/sshd_config.d. Other files stay as they
// are.
//
// sshd has to accept its whole configuration with the file in it (sshd -t), while planning and again
// before the file lands. Then sshd is reloaded, and the settings are kept only if a new login to the host
// succeeds; else the host puts back what was there. Sessions go on. sshd has one configuration, so that
// a host which restarts before the login comes back with the new one.
type SSHD struct {
	// The file's name, without ".conf". Of a setting that stands in several files sshd takes
	// the first, in the order of the names.
	Name string `arg:"name,key,required"`
	// Settings by their keyword: { PasswordAuthentication = "no", AllowUsers = ["ops", "deploy"] }.
	// It is an error if another file sets one of them before.
	Settings map[string]modules.OneOrMore `arg:"settings"`
	// The whole file, in place of settings: for "Match" and what follows it.
	Content *host.Content `arg:"content"`
	// Whether the file is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const (
	sshd       = "/usr/sbin/sshd"
	mainFile   = "/etc/ssh/sshd_config"
	dropIns    = "/etc/ssh/sshd_config.d"
	sshdLimit  = 1 << 20 // the size, in bytes, of the largest file that is read
	sshService = "ssh.service"
	// sshdService is what others than Debian call it.
	sshdService = "sshd.service"
)

var (
	dropInForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	keywordForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
)

// adding are the keywords of which each line adds something: sshd_config(5). Of all others
// the first line counts.
func adding() []string {
	return []string{"acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers", "hostcertificate", "hostkey", "listenaddress", "permitlisten", "permitopen", "port", "setenv", "subsystem"}
}

// commas are the keywords whose list has commas.
func commas() []string {
	return []string{"casignaturealgorithms", "ciphers", "hostbasedacceptedalgorithms", "hostkeyalgorithms", "kexalgorithms", "macs", "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes"}
}

// Check refuses names that sshd doesn't read, and settings that aren't any.
func (s *SSHD) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	switch {
	case !dropInForm.MatchString(s.Name):
		fail("name", "", "Wrong value", `%q is no name for a file in %s: it takes letters, digits, "_", "-" and ".", such as "50-hardening".`, s.Name, dropIns)
	case strings.HasSuffix(s.Name, ".conf"):
		fail("name", "", "Wrong value", `Leave out the ending: %q is the file %s/%s.`, strings.TrimSuffix(s.Name, ".conf"), dropIns, s.Name)
	}
	given := s.Settings != nil || s.Content != nil
	switch {
	case s.Settings != nil && s.Content != nil:
		fail("content", "", "Conflicting arguments", `The settings come from "settings" or from "content", not from both.`)
	case s.State == "absent" && given:
		fail("state", "", "Conflicting arguments", "A file that is to be absent has no settings.")
	case s.State != "absent" && !given && !unknown("content") && !unknown("state"):
		fail("settings", "", "Missing argument", "Give the settings, as a map or as content.")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		s.checkSetting(name, func(format string, a ...any) {
			fail("settings", fmt.Sprintf("[%q]", name), "Wrong setting", format, a...)
		})
	}
	return errs
}

func (s *SSHD) checkSetting(name string, fail func(format string, a ...any)) {
	lower := strings.ToLower(name)
	for other := range s.Settings {
		if other < name && strings.ToLower(other) == lower {
			fail("%s and %s are one keyword: give it once.", other, name)
		}
	}
	switch {
	case !keywordForm.MatchString(name):
		fail("%q is no keyword of sshd_config(5), such as PasswordAuthentication.", name)
		return
	case lower == "match" || lower == "include":
		fail("%s isn't a setting of the whole server: write the file as content.", name)
		return
	case len(s.Settings[name]) == 0:
		fail("A setting has a value.")
	}
	for _, value := range s.Settings[name] {
		switch {
		case strings.TrimSpace(value) == "":
			fail("A setting has a value; \"none\" is what many take for nothing.")
		case strings.ContainsAny(value, "\n\r\x00"):
			fail("A value is one line.")
		case value == "true" || value == "false":
			fail("sshd has no %s: it takes \"yes\" or \"no\".", value)
		}
	}
}

func (s *SSHD) path() string { return dropIns + "/" + s.Name + ".conf" }

// text is the file that the settings make.
func (s *SSHD) text() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		values, lower := s.Settings[name], strings.ToLower(name)
		switch {
		case slices.Contains(adding(), lower):
			for _, v := range values {
				fmt.Fprintf(&b, "%s %s\n", name, v)
			}
		case slices.Contains(commas(), lower):
			fmt.Fprintf(&b, "%s %s\n", name, strings.Join(values, ","))
		default:
			fmt.Fprintf(&b, "%s %s\n", name, strings.Join(values, " "))
		}
	}
	return b.String()
}

// May is the file, and the server.
func (s *SSHD) May() []host.Effect {
	path := ""
	if s.Name != "" {
		path = s.path()
	}
	return []host.Effect{host.Open(host.Files, path), host.Open(host.Units, sshService), host.Open(host.Units, sshdService)}
}

// Plan compares the file, and what sshd has loaded of it.
func (s *SSHD) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if !host.IsRoot() {
		return plan, errors.New(`only root can change the settings of sshd: give the task "become = true"`)
	}
	program, err := v.Stat(sshd)
	if err != nil {
		return plan, err
	}
	if !program.Exists() && s.State == "absent" {
		return s.left(v)
	}
	if !program.Exists() {
		return plan, errors.New(`there is no sshd on this host: install it in an earlier task, task "package" "openssh-server" {}`)
	}
	before, err := v.Lstat(s.path())
	if err != nil {
		return plan, err
	}
	if before.Exists() && before.Type != host.Regular {
		return plan, fmt.Errorf("%s is a %s, not a file of settings: look at it, and remove it", s.path(), before.Type)
	}
	var old []byte
	if before.Exists() {
		if old, err = v.ReadFile(ctx, s.path(), sshdLimit); err != nil {
			return plan, err
		}
		if before.Sum, err = v.Sum(s.path()); err != nil {
			return plan, err
		}
	}
	edit, err := s.edit(ctx, v, before, string(old))
	if err != nil {
		return plan, err
	}
	after := v
	if edit != nil {
		plan.Changes = append(plan.Changes, edit)
		after = v.Behind(edit.Effects())
	}
	reload, err := reloading(ctx, after, s.path())
	if err != nil {
		return modules.Plan{}, err
	}
	if reload != nil {
		plan.Changes = append(plan.Changes, reload)
	}
	if len(plan.Changes) > 0 {
		plan.Probation = &modules.Probation{Changes: len(plan.Changes), Revert: s.revert(before.Exists() && edit != nil, string(old))}
	}
	return plan, nil
}

// left plans that a file goes which no sshd reads.
func (s *SSHD) left(v *host.View) (modules.Plan, error) {
	before, err := v.Lstat(s.path())
	if err != nil || !before.Exists() {
		return modules.Plan{}, err
	}
	return modules.Plan{Changes: []host.Change{&host.Remove{Path: s.path(), Before: before}}}, nil
}

// edit is the change to the file; nil where it is as it should be.
func (s *SSHD) edit(ctx context.Context, v *host.View, before host.FileInfo, old string) (host.Change, error) {
	if s.State == "absent" {
		if !before.Exists() {
			return nil, nil
		}
		c := &RemoveSettings{host.Remove{Path: s.path(), Before: before}}
		return c, accepts(ctx, v, proposal{path: s.path()})
	}
	text, sensitive := s.text(), false
	if s.Content != nil {
		body, err := v.Body(ctx, *s.Content, sshdLimit)
		if err != nil {
			return nil, err
		}
		text, sensitive = string(body), s.Content.Sensitive
	}
	p := proposal{path: s.path(), text: text, there: true, sensitive: sensitive}
	if err := s.shadowed(ctx, v, p); err != nil {
		return nil, err
	}
	content := v.Keep([]byte(text), sensitive)
	mode := host.Mode(0o644)
	if sensitive {
		mode = 0o600
	}
	attr := host.Attr{Mode: &mode, Owner: "root", Group: "root"}
	after := host.FileInfo{Type: host.Regular, Mode: mode, Owner: "root", Group: "root", Sum: content.Sum, Size: content.Size, Sensitive: sensitive}
	if before.Exists() {
		if mode = before.Mode &^ 0o022; sensitive {
			mode &^= 0o077
		}
		after.Mode = mode
		if text == old && before.Mode == mode && before.Owner == "root" {
			return nil, nil
		}
	}
	w := &WriteSettings{host.WriteFile{Path: s.path(), Content: content, Attr: attr, Before: &before, After: after, Diff: "(sensitive content)"}}
	if !sensitive && !before.Sensitive {
		w.Diff = host.Diff([]byte(old), []byte(text))
	}
	return w, accepts(ctx, v, p)
}

// backScript puts the old file back, or takes the new one away, and has sshd read that.
const backScript = `path=$1
if [ "$2" = old ]; then
	cat >"$path.old"
	chmod --reference="$path" "$path.old" 2>/dev/null || chmod 600 "$path.old"
	mv "$path.old" "$path"
else
	rm -f "$path"
fi
for unit in ssh.service sshd.service; do
	case $(systemctl show -p ActiveState --value "$unit" 2>/dev/null) in
	active|reloading|refreshing|failed|activating) exec systemctl reload-or-restart "$unit" ;;
	esac
done
`

// revert is what the host does where no login proves the settings.
func (s *SSHD) revert(there bool, old string) host.Revert {
	was := "none"
	if there {
		was = "old"
	}
	return host.Revert{Argv: []string{"/bin/sh", "-c", backScript, "sh", s.path(), was}, Input: []byte(old)}
}

// WriteSettings writes a file of settings that sshd takes together with those beside it.
type WriteSettings struct{ host.WriteFile }

// Type is "sshd.write/1".
func (*WriteSettings) Type() string { return "sshd.write/1" }

// Apply has sshd check its configuration as it is by then, and writes the file.
func (w *WriteSettings) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	body, err := h.Bodies.Read(ctx, w.Content, sshdLimit)
	if err != nil {
		return host.Result{}, err
	}
	if _, err := os.Stat(sshd); err != nil {
		return host.Result{}, fmt.Errorf("checking %s: %w", w.Path, err)
	}
	p := proposal{path: w.Path, text: string(body), there: true, sensitive: w.Content.Sensitive}
	if err := accepts(ctx, host.NewView(h, nil), p); err != nil {
		return host.Result{}, err
	}
	return w.WriteFile.Apply(ctx, h)
}

// RemoveSettings removes a file of settings that sshd can do without.
type RemoveSettings struct{ host.Remove }

// Type is "sshd.remove/1".
func (*RemoveSettings) Type() string { return "sshd.remove/1" }

// Apply has sshd check what is left, and removes the file.
func (r *RemoveSettings) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	if err := accepts(ctx, host.NewView(h, nil), proposal{path: r.Path}); err != nil {
		return host.Result{}, err
	}
	return r.Remove.Apply(ctx, h)
}

// reloading is the reload of an sshd that runs and hasn't loaded the file as v shows it; nil
// where none does. One that systemd starts for each connection reads it by itself.
func reloading(ctx context.Context, v *host.View, path string) (host.Change, error) {
	for _, unit := range []string{sshService, sshdService} {
		act, err := systemd.Reload(ctx, v, unit, []string{path})
		if err != nil {
			return nil, err
		}
		if act != nil {
			return &ReloadServer{act}, nil
		}
	}
	return nil, nil
}
