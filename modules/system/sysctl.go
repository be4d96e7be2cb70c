package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/modules"
)

// Sysctl is a parameter of the kernel: its value at this moment, and the one
// that it gets at boot.
type Sysctl struct {
	// The parameter: "net.ipv4.ip_forward". A name that has dots of its own
	// is written with slashes: "net/ipv4/conf/eth0.100/forwarding".
	Name string `arg:"name,key,required"`
	// Its value. Several numbers stand in one string: "32768 60999".
	Value string `arg:"value"`
	// The file that sets it at boot. Other lines of it are left alone.
	File string `arg:"file" default:"/etc/sysctl.d/99-muster.conf"`
	// "absent" takes the line out of the file; the value stays until the next boot.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// SysctlOutput is what a sysctl task offers.
type SysctlOutput struct {
	// The value that the kernel has.
	Value string `json:"value"`
}

var parameterForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_:@+-]*([./][A-Za-z0-9_:@+*-]+)+$`)

// May is the parameter and the file.
func (s *Sysctl) May() []host.Effect {
	return []host.Effect{host.Open(host.Kernel, parameterKey(s.Name).Name), host.Open(host.Files, s.File)}
}

// Check refuses names that aren't any, and contradictions.
func (s *Sysctl) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if !unknown("name") && !parameterForm.MatchString(s.Name) {
		fail("name", "Wrong value", fmt.Sprintf("%q is no kernel parameter: it takes one such as \"net.ipv4.ip_forward\".", s.Name))
	}
	if s.File != "" && !filepath.IsAbs(s.File) {
		fail("file", "Wrong value", fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", s.File))
	}
	if strings.ContainsAny(s.Value, "\n\x00") {
		fail("value", "Wrong value", `A value is a single line.`)
	}
	switch {
	case s.State == "absent" && s.Value != "":
		fail("value", "Conflicting arguments", `A parameter that is to be absent has no value.`)
	case s.State != "absent" && s.Value == "" && !unknown("value") && !unknown("state"):
		fail("value", "Missing argument", `A parameter needs its "value".`)
	}
	return errs
}

// parameterPath is where the kernel shows a parameter: sysctl.d(5).
func parameterPath(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = swapped(name)
	}
	return "/proc/sys/" + name
}

// swapped is a name with its dots for slashes, and its slashes for dots.
func swapped(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// parameterKey is a parameter's key, however its name is written: with dots.
func parameterKey(name string) host.Key {
	if name != "" {
		name = swapped(strings.TrimPrefix(parameterPath(name), "/proc/sys/"))
	}
	return host.Key{Space: host.Kernel, Name: name}
}

// texts are the parameters that may look like numbers, and take any text.
var texts = []string{"kernel.hostname", "kernel.domainname", "kernel.core_pattern", "kernel.modprobe", "kernel.poweroff_cmd", "kernel.hotplug"}

// numberForm is a number, or a list of them and of ranges, such as ports are: as
// proc_dointvec and proc_do_large_bitmap of the kernel take them.
var numberForm = regexp.MustCompile(`^[+-]?(0[xX][0-9A-Fa-f]+|[0-9]+([,-][0-9]+)*,?)$`)

// notNumber returns the first word of a value that is no number; "" for none.
func notNumber(value string) string {
	for _, word := range strings.Fields(value) {
		if !numberForm.MatchString(word) {
			return word
		}
	}
	return ""
}

// words are a value without regard to its spaces: the kernel shows tabs.
func words(value string) string { return strings.Join(strings.Fields(value), " ") }

// Plan compares the kernel's value and the file's.
func (s *Sysctl) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	now, err := host.Read(v, parameterKey(s.Name), func() (*string, error) {
		data, err := os.ReadFile(parameterPath(s.Name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		value := words(string(data))
		return &value, err
	})
	if err != nil {
		return plan, err
	}
	if s.State != "absent" {
		if now == nil {
			return plan, fmt.Errorf("this kernel has no parameter %s (%s): check the name, or load the module that brings it first", s.Name, parameterPath(s.Name))
		}
		if *now != words(s.Value) {
			if wrong := notNumber(s.Value); wrong != "" && notNumber(*now) == "" && *now != "" && !slices.Contains(texts, parameterKey(s.Name).Name) {
				return plan, fmt.Errorf("%s takes numbers (it is %s), and %q is none", s.Name, *now, wrong)
			}
			plan.Changes = append(plan.Changes, &SetSysctl{Name: s.Name, Value: words(s.Value), Before: *now})
		}
	}
	file, err := s.persist(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	if plan.Changes = append(plan.Changes, file...); len(plan.Changes) == 0 && now != nil {
		plan.Output, err = json.Marshal(SysctlOutput{Value: *now})
	}
	return plan, err
}

// persist plans the line in the file.
func (s *Sysctl) persist(ctx context.Context, v *host.View) ([]host.Change, error) {
	path := s.File
	var old string
	data, err := v.ReadFile(ctx, path, 1<<20)
	switch {
	case err == nil:
		old = string(data)
	case errors.Is(err, fs.ErrNotExist):
		if s.State == "absent" {
			return nil, nil
		}
	default:
		return nil, err
	}
	var changes []host.Change
	if dir := filepath.Dir(path); s.State != "absent" {
		info, err := v.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.Exists() && dir == "/etc/sysctl.d" {
			mode := host.Mode(0o755)
			changes = append(changes, &host.MakeDir{Path: dir, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
		} else if !info.Exists() {
			return nil, fmt.Errorf("the directory %s doesn't exist: add a directory task before this one", dir)
		}
	}
	text := editParameter(old, s.Name, s.Value, s.State == "absent")
	if text == old {
		return nil, nil
	}
	write, err := v.Rewrite(ctx, path, func(string) (string, error) { return text, nil })
	return append(changes, write...), err
}

// editParameter sets name in the text of a file as sysctl.d(5) has it, or
// takes it out: in its first place, with others of it taken out.
func editParameter(text, name, value string, absent bool) string {
	want := parameterPath(name)
	var out []string
	done := absent
	for _, line := range strings.SplitAfter(text, "\n") {
		key, have, ok := strings.Cut(strings.TrimSpace(line), "=")
		key = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(key), "-"))
		if !ok || key == "" || key[0] == '#' || key[0] == ';' || parameterPath(key) != want {
			out = append(out, line)
			continue
		}
		if done {
			continue
		}
		done = true
		if words(have) == words(value) {
			out = append(out, line)
		} else {
			out = append(out, name+" = "+words(value)+"\n")
		}
	}
	text = strings.Join(out, "")
	if !done {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += name + " = " + words(value) + "\n"
	}
	return text
}

// SetSysctl gives a parameter of the running kernel a value.
type SetSysctl struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Before string `json:"before"`
}

// Type is "sysctl.set/1".
func (*SetSysctl) Type() string { return "sysctl.set/1" }

// Describe shows both values.
func (s *SetSysctl) Describe() host.Description {
	return host.Description{Action: host.Update, Target: s.Name, Diff: fmt.Sprintf("value: %s → %s", s.Before, s.Value)}
}

// Effects is the value.
func (s *SetSysctl) Effects() []host.Effect {
	return []host.Effect{host.Is(parameterKey(s.Name), s.Value)}
}

// Obstacle finds parameters that can only be read: for root, too, their permissions count.
func (s *SetSysctl) Obstacle(*host.View) error {
	path := parameterPath(s.Name)
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
	if !host.IsRoot() || !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EROFS) {
		return nil // whoever isn't root is told so
	}
	return &host.Obstacle{Path: path, Err: err, Text: fmt.Sprintf("%s can only be read on this host: %s can't be written to, not by root either (%v)", s.Name, path, err)}
}

// Apply writes the value and reads it back: the kernel may take another.
func (s *SetSysctl) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	path := parameterPath(s.Name)
	data, err := os.ReadFile(path)
	if err != nil {
		return host.Result{}, err
	}
	if now := words(string(data)); now != s.Before && now != s.Value {
		return host.Result{}, fmt.Errorf("%s is %s: %w", s.Name, now, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&SetSysctl{Name: s.Name, Value: s.Before, Before: s.Value}}}); err != nil {
		return host.Result{}, err
	}
	if err := host.Overwrite(path, []byte(s.Value+"\n")); err != nil {
		return host.Result{}, fmt.Errorf("setting %s to %q: %w", s.Name, s.Value, err)
	}
	if data, err = os.ReadFile(path); err != nil {
		return host.Result{}, err
	}
	if now := words(string(data)); now != s.Value {
		return host.Result{}, fmt.Errorf("the kernel made %s of %s = %s: set that value", now, s.Name, s.Value)
	}
	return host.Result{}, h.At("set the parameter")
}
