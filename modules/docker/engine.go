package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// Engine is Docker's daemon: its settings, /etc/docker/daemon.json, and that it runs with
// them. The file is the task's as a whole: what it had besides goes, and the plan shows it.
//
// The smallest act follows a change: a reload where the daemon can load all that changed
// without a restart, else a restart. The plan says which, and names the containers that a
// restart stops. Then the daemon itself is asked. Where it doesn't come up with the
// settings, the file that was there before is put back and loaded, and the task fails. A daemon
// that hasn't loaded its file, or doesn't run, is found as well.
//
// Docker has to be installed by an earlier task; the role "docker" does all of it.
type Engine struct {
	// The settings, by the names that they have in daemon.json: "log-driver",
	// "registry-mirrors". What isn't given is Docker's default.
	Settings map[string]any `arg:"settings"`
	// Whether containers go on running while the daemon is restarted. Swarm mode
	// needs false.
	LiveRestore bool `arg:"live_restore" default:"true"`
}

const (
	configFolder = "/etc/docker"
	configFile   = "/etc/docker/daemon.json"
	configLimit  = 1 << 20 // the size, in bytes, up to which configurations are read
)

// Check refuses what daemon.json doesn't take.
func (e *Engine) Check(unknown func(string) bool) []modules.ArgError {
	c := &checker{}
	all := daemonSettings()
	names := slices.Sorted(maps.Keys(all))
	want := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(e.Settings)) {
		at := fmt.Sprintf("[%q]", key)
		s, known := all[key]
		switch {
		case key == "live-restore":
			c.fail(at, "Conflicting arguments", fmt.Sprintf("live_restore = %v", e.Settings[key]), `Whether containers outlive a restart is an argument of its own, "live_restore".`)
		case !known:
			c.unknown(at, key, names)
		default:
			want[key] = c.take(s.form, at, e.Settings[key])
		}
	}
	if len(c.errs) == 0 {
		c.together(want, unknown("settings"))
	}
	return c.errs
}

// together refuses settings that don't go with each other.
func (c *checker) together(want map[string]any, open bool) {
	labels := map[string]string{}
	for i, l := range settingTexts(want["labels"]) {
		name, value, _ := strings.Cut(l, "=")
		if was, ok := labels[name]; ok && was != value {
			c.fail(fmt.Sprintf(`["labels"][%d]`, i), "Conflicting arguments", "", "The label %q has two values, %q and %q.", name, was, value)
		}
		labels[name] = value
	}
	runtimes, _ := want["runtimes"].(map[string]any)
	if runtimes["runc"] != nil {
		c.fail(`["runtimes"]["runc"]`, "Wrong value", "", `"runc" is the runtime that Docker brings: give yours another name.`)
	}
	if name := settingText(want["default-runtime"], "runc"); !open && name != "runc" && runtimes[name] == nil && !strings.HasPrefix(name, "io.containerd.") {
		c.fail(`["default-runtime"]`, "Wrong value", "", "There is no runtime %q: define it in \"runtimes\".", name)
	}
	if hosts := settingTexts(want["hosts"]); len(hosts) > 0 && !open && !slices.ContainsFunc(hosts, listensLocally) {
		c.fail(`["hosts"]`, "Wrong value", "", "The daemon has to listen on %s too, where muster and the command docker ask it: add \"unix://%s\".", socket, socket)
	}
	if want["host-gateway-ip"] != nil && want["host-gateway-ips"] != nil {
		c.fail(`["host-gateway-ip"]`, "Conflicting arguments", "", `This is the old name of "host-gateway-ips": give one of them.`)
	}
}

// listensLocally reports whether an address that the daemon listens on is the one it is asked on.
func listensLocally(settingAddress string) bool {
	return strings.HasPrefix(settingAddress, "fd://") || settingAddress == "unix://"+socket || settingAddress == "unix:///var"+socket
}

// settings are those that daemon.json is to hold, where the daemon is started so; nil
// where that isn't known.
func (e *Engine) settings(s *unitStart) map[string]any {
	c, all := &checker{}, daemonSettings()
	want := map[string]any{"live-restore": e.LiveRestore}
	if s != nil {
		if f := s.of("live-restore"); f != nil && (f.value != "false") == e.LiveRestore {
			delete(want, "live-restore") // which can't be given twice
		}
	}
	for key, value := range e.Settings {
		if v := c.take(all[key].form, "", value); v != nil {
			want[key] = v
		}
	}
	return want
}

// May is the file, and the daemon.
func (e *Engine) May() []host.Effect {
	return []host.Effect{
		host.Open(host.Files, configFile), host.Open(host.Files, configFolder),
		host.Open(host.Units, unit), host.Open(settingsKey.Space, settingsKey.Name),
	}
}

// Reads is the unit: a part of it that comes later would count only after the next run.
func (e *Engine) Reads() []string { return []string{"the unit " + unit} }

// Writes is nothing.
func (e *Engine) Writes() []string { return nil }

// Plan compares the file, and what the daemon has loaded of it.
func (e *Engine) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root may set up Docker: give the task "become = true"`)
	}
	plan, err := e.plan(ctx, v)
	if errors.Is(err, host.ErrNotYet) {
		plan = modules.Plan{Then: e.forecast(ctx, v)}
	}
	return plan, err
}

// forecast is what may be left to do once the daemon can be asked.
func (e *Engine) forecast(ctx context.Context, v *host.View) []host.Description {
	old, err := v.ReadFile(ctx, configFile, configLimit)
	file := host.Description{Action: host.Update, Target: configFile, Impact: "where it doesn't hold that by then"}
	if file.Diff = host.Diff(old, []byte(daemonJSON(e.settings(nil)))); err != nil {
		file.Action = host.Create
	}
	return []host.Description{file, {Action: host.Update, Target: unit, Impact: "a start, a reload or a restart, where it hasn't loaded that"}}
}

func (e *Engine) plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	s, err := unitStartOf(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	if s == nil {
		return modules.Plan{}, fmt.Errorf(`there is no %s on this host: install Docker in an earlier task, task "package" "docker.io" {}, or with the role "docker"`, unit)
	}
	want := e.settings(s)
	if err := flagConflict(want, s); err != nil {
		return modules.Plan{}, err
	}
	now, err := e.engineNow(ctx, v, want, s)
	if err != nil {
		return modules.Plan{}, err
	}
	var changes []host.Change
	write, old, err := e.file(ctx, v, want)
	if err != nil {
		return modules.Plan{}, err
	}
	changes = append(changes, write...)
	keys := now.changed(want)
	if len(keys) == 0 && now.Running && (len(write) == 0 || now.exact || now.info == nil) {
		return modules.Plan{Changes: changes, Atomic: len(changes) > 0}, nil
	}
	if now.info != nil || !now.Running {
		if err := e.accepted(ctx, v, want, s, now); err != nil {
			return modules.Plan{}, err
		}
	}
	act, err := e.act(ctx, v, now, want, old, keys)
	if err != nil {
		return modules.Plan{}, err
	}
	return modules.Plan{Changes: append(changes, act), Atomic: true}, nil
}

// flagConflict returns an error for a setting that the unit gives as a flag, too: the daemon
// doesn't start then.
func flagConflict(want map[string]any, s *unitStart) error {
	for _, f := range s.flags {
		if f.name == "config-file" && f.value != configFile {
			return fmt.Errorf("the flag %q in %s has Docker read another file than %s: take it out with a part of the unit in an earlier task, such as\n%s", f, f.from, configFile, exampleUnit(s, f))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		f := s.of(key)
		if f == nil || key == "runtimes" { // these are merged
			continue
		}
		arg := fmt.Sprintf("settings[%q]", key)
		if key == "live-restore" {
			arg = "live_restore"
		}
		return fmt.Errorf("%s is given twice, which Docker refuses: by %s, for %s, and by the flag %q in %s. Leave one of them out; the unit's command line is changed by a part of it in an earlier task, such as\n%s",
			key, arg, configFile, f, f.from, exampleUnit(s, *f))
	}
	return nil
}

// exampleUnit is a task that takes a flag out of the unit.
func exampleUnit(s *unitStart, without unitFlag) string {
	line := s.program
	for _, f := range s.flags {
		if f != without {
			line += " " + f.String()
		}
	}
	return fmt.Sprintf("task \"unit\" \"%s.d/muster.conf\" {\n  content = \"[Service]\\nExecStart=\\nExecStart=%s\\n\"\n}", unit, line)
}

// file plans daemon.json, and returns what it held. One that means the same is left.
func (e *Engine) file(ctx context.Context, v *host.View, want map[string]any) (changes []host.Change, old map[string]any, err error) {
	folder, err := v.Stat(configFolder)
	if err != nil {
		return nil, nil, err
	}
	if !folder.Exists() {
		mode := host.Mode(0o755)
		changes = append(changes, &host.MakeDir{Path: configFolder, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
	}
	data, err := v.ReadFile(ctx, configFile, configLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	readable := json.Unmarshal(data, &old) == nil
	if err == nil && readable && sameSetting(old, want) {
		return nil, old, nil
	}
	text := daemonJSON(want)
	write, err := v.Rewrite(ctx, configFile, func(string) (string, error) { return text, nil })
	if err != nil {
		return nil, nil, err
	}
	for _, c := range write {
		w := c.(*host.WriteFile)
		if !readable && len(data) > 0 {
			w.Note = "what stands there is no JSON"
		}
		if open := openHost(want); open != "" {
			w.Note = strings.TrimPrefix(w.Note+"; whoever reaches "+open+" is root on this host: there is no tlsverify", "; ")
		}
		if w.Before == nil || !w.Before.Exists() {
			hideProxy(w, want)
		}
	}
	return append(changes, write...), old, nil
}

// openHost is an address that anybody may use who reaches it, "" where there is none.
func openHost(want map[string]any) string {
	for _, h := range settingTexts(want["hosts"]) {
		name := strings.TrimPrefix(h, "tcp://")
		loopback := strings.HasPrefix(name, "127.") || strings.HasPrefix(name, "localhost") || strings.HasPrefix(name, "[::1]")
		if name != h && !loopback && want["tlsverify"] != true {
			return h
		}
	}
	return ""
}

// hideProxy keeps a new file from others where it holds a proxy's password.
func hideProxy(w *host.WriteFile, want map[string]any) {
	if strings.Contains(encodeSetting(want["proxies"]), "@") {
		mode := host.Mode(0o600)
		w.After.Mode, w.Attr.Mode = mode, &mode
	}
}

// daemonJSON is settings as a file.
func daemonJSON(settings map[string]any) string {
	b := &strings.Builder{}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(settings) // of strings, bools, numbers, lists and maps
	return b.String()
}

// accepted asks all that can be asked about settings before they land: what this
// version of the daemon takes, what it has, and the daemon's own check where it has one.
func (e *Engine) accepted(ctx context.Context, v *host.View, want map[string]any, s *unitStart, now *engine) error {
	version, err := versionOf(ctx, v, s.program)
	if err != nil {
		return err
	}
	all := daemonSettings()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if why := all[key].missing(version); why != "" {
			return fmt.Errorf("settings[%q]: the Docker of this host is version %d and doesn't take it: %s", key, version, why)
		}
	}
	if i := now.info; i != nil {
		if driver := settingText(want["log-driver"], "json-file"); len(i.Plugins.Log) > 0 && !slices.Contains(i.Plugins.Log, driver) && !strings.Contains(driver, "/") && !strings.Contains(driver, ":") {
			return fmt.Errorf("settings[\"log-driver\"]: this Docker has no driver %q: it has %s", driver, enumerate(i.Plugins.Log))
		}
		if e.LiveRestore && i.Swarm.LocalNodeState != "" && i.Swarm.LocalNodeState != "inactive" {
			return errors.New("this host is part of a swarm, in which Docker refuses live restore: set live_restore = false")
		}
	}
	if version < 23 {
		return nil
	}
	return validated(ctx, v, want, s)
}

// versionOf is the number before the first point of dockerd's version, 0 where it
// can't be told.
func versionOf(ctx context.Context, v *host.View, program string) (int, error) {
	out, err := v.Query(ctx, host.Command{Argv: []string{program, "--version"}}, host.File(program))
	if err != nil {
		return 0, err
	}
	var n int
	_, _ = fmt.Sscanf(string(out.Stdout), "Docker version %d.", &n)
	return n, nil
}

// validated has dockerd look at a private copy of the file.
func validated(ctx context.Context, v *host.View, want map[string]any, s *unitStart) error {
	scratch, err := v.Scratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	tmp, err := scratch.Write("daemon.json", []byte(daemonJSON(want)), 0o600)
	if err != nil {
		return err
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{s.program, "--validate", "--config-file", tmp}}, host.File(s.program))
	if err != nil || out.ExitCode == 0 {
		return err
	}
	out.Stderr = []byte(strings.ReplaceAll(string(out.Stderr), tmp, configFile))
	return fmt.Errorf("dockerd refuses these settings: %w", &host.ExitError{Argv: []string{s.program, "--validate"}, Output: out})
}
