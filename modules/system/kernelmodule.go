package system

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
)

// KernelModule is a module of the kernel: loaded at once and at boot, or kept from being loaded.
//
// What it says lies in files of its own, muster-NAME.conf in /etc/modules-load.d and /etc/modprobe.d. Others that name the
// module, as /etc/modules may, are left alone.
type KernelModule struct {
	// The module, as lsmod shows it: "br_netfilter".
	Name string `arg:"name,key,required"`
	// Parameters, for when it is loaded the next time: { hashsize = "65536" }. One that is loaded
	// keeps those that it has; the plan says so.
	Options map[string]string `arg:"options"`
	// "present" loads it, at once and at boot. "absent" takes that back and unloads it. "blacklisted"
	// keeps it from being loaded, also by hand or for another module, and unloads it.
	State string `arg:"state" oneof:"present absent blacklisted" default:"present"`
}

const modprobe = "/sbin/modprobe"

var (
	moduleForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)
	moduleOptions = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// Check refuses what is no module.
func (k *KernelModule) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, path, summary, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !moduleForm.MatchString(k.Name) {
		fail("name", "", "Wrong value", `%q is no module: it takes a name as lsmod shows it, such as "br_netfilter", without a path or ".ko".`, k.Name)
	}
	if k.Options != nil && k.State != "present" {
		fail("options", "", "Conflicting arguments", "A module that isn't to be loaded has no parameters.")
	}
	for _, name := range slices.Sorted(maps.Keys(k.Options)) {
		if !moduleOptions.MatchString(name) || strings.ContainsAny(k.Options[name], "\n\r\x00\"") {
			fail("options", fmt.Sprintf("[%q]", name), "Wrong value", "%s=%s is no parameter: it is one line, without double quotes.", name, k.Options[name])
		}
	}
	return errs
}

// module is the name as the kernel has it: modprobe(8) takes "-" and "_" for one.
func (k *KernelModule) module() string { return strings.ReplaceAll(k.Name, "-", "_") }

func (k *KernelModule) key() host.Key { return host.Key{Space: "kernel module", Name: k.module()} }

// files are those that are the module's alone: what is loaded at boot, its parameters, and
// what keeps it out.
func (k *KernelModule) files() (load, options, blacklist string) {
	name := "muster-" + k.module() + ".conf"
	return "/etc/modules-load.d/" + name, "/etc/modprobe.d/" + name, "/etc/modprobe.d/blacklist-" + name
}

// May is the module and its files.
func (k *KernelModule) May() []host.Effect {
	if k.Name == "" {
		return []host.Effect{host.Open(k.key().Space, ""), host.Open(host.Files, "")}
	}
	list := []host.Effect{host.Open(k.key().Space, k.key().Name)}
	load, options, blacklist := k.files()
	for _, path := range []string{load, options, blacklist} {
		list = append(list, host.Open(host.Files, path))
	}
	return list
}

// loadedModule is a module that the kernel has; Builtin ones can't be unloaded.
type loadedModule struct {
	Builtin bool `json:"builtin,omitempty"`
}

// now is the module as the kernel has it; nil where it hasn't.
func (k *KernelModule) now(v *host.View) (*loadedModule, error) {
	return host.Read(v, k.key(), func() (*loadedModule, error) {
		if _, err := os.Stat("/sys/module/" + k.module()); err != nil {
			return nil, nil
		}
		_, err := os.Stat("/sys/module/" + k.module() + "/initstate")
		return &loadedModule{Builtin: err != nil}, nil
	})
}

// Plan compares the kernel and the files. A blacklist is written before the module is unloaded, and taken away
// before it is loaded.
func (k *KernelModule) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	now, err := k.now(v)
	if err != nil {
		return plan, err
	}
	load, options, blacklist := k.files()
	want := map[string]string{}
	switch k.State {
	case "present":
		want[load] = k.module() + "\n"
		if len(k.Options) > 0 {
			want[options] = k.optionsLine()
		}
	case "blacklisted":
		want[blacklist] = "blacklist " + k.module() + "\ninstall " + k.module() + " /bin/false\n"
	}
	files := func(paths ...string) error {
		for _, path := range paths {
			var changes []host.Change
			var err error
			if text, there := want[path]; there {
				changes, err = whole{path: path, text: text}.changes(ctx, v)
			} else {
				changes, err = gone(ctx, v, path)
			}
			if err != nil {
				return err
			}
			plan.Changes = append(plan.Changes, changes...)
		}
		return nil
	}
	before, after := []string{blacklist, options}, []string{load}
	if k.State != "present" {
		before, after = []string{blacklist, load, options}, nil
	}
	if err := files(before...); err != nil {
		return modules.Plan{}, err
	}
	if k.State == "present" && now != nil && !now.Builtin && len(plan.Changes) > 0 && len(k.Options) > 0 {
		plan.Notes = append(plan.Notes, fmt.Sprintf("The module %s is loaded, and keeps the parameters that it has until it is loaded anew.", k.module()))
	}
	if err := k.live(v, &plan, now); err != nil {
		return modules.Plan{}, err
	}
	if err := files(after...); err != nil {
		return modules.Plan{}, err
	}
	return plan, nil
}

func (k *KernelModule) optionsLine() string {
	line := "options " + k.module()
	for _, name := range slices.Sorted(maps.Keys(k.Options)) {
		value := k.Options[name]
		if strings.ContainsAny(value, " \t") {
			value = `"` + value + `"`
		}
		line += " " + name + "=" + value
	}
	return line + "\n"
}

// live plans that the module is loaded or unloaded.
func (k *KernelModule) live(v *host.View, plan *modules.Plan, now *loadedModule) error {
	wanted := k.State == "present"
	switch {
	case wanted == (now != nil):
		return nil
	case now != nil && now.Builtin:
		return fmt.Errorf("%s is built into this host's kernel, and can't be unloaded: take the task out", k.module())
	}
	if !host.IsRoot() {
		return errors.New(`only root can load a module: give the task "become = true"`)
	}
	program, err := v.Stat(modprobe)
	if err != nil {
		return err
	}
	if !program.Exists() {
		return fmt.Errorf(`there is no modprobe on this host: install it in an earlier task, task "package" "kmod" {}`)
	}
	run := &host.RunProgram{
		Argv: []string{modprobe, "--", k.module()}, UndoArgv: []string{modprobe, "-r", "--", k.module()},
		Does:   host.Description{Action: host.Update, Target: k.module(), Diff: "loaded: no → yes"},
		Leaves: []host.Effect{host.Is(k.key(), loadedModule{})},
	}
	if !wanted {
		run.Argv, run.UndoArgv = run.UndoArgv, run.Argv
		run.Does.Diff, run.Leaves = "loaded: yes → no", []host.Effect{host.Gone(k.key())}
	}
	plan.Changes = append(plan.Changes, run)
	return nil
}
