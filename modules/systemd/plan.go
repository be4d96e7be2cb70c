package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
	"muster/modules/loaded"
)

func isNotYet(err error) bool { return errors.Is(err, host.ErrNotYet) }

// Plan compares the unit with what is wanted.
func (s *Service) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	p := planner{Service: s, m: managerOf(s.Scope), name: unitName(s.Name), v: v}
	u, err := p.m.lookup(ctx, v, p.name)
	switch {
	case isNotYet(err):
		return modules.Plan{Then: p.forecast()}, err
	case err != nil:
		return modules.Plan{}, err
	case u == nil && s.content(v):
		u = &Unit{ID: p.name, Load: notFound, File: notFound, Active: "inactive"}
	case u == nil:
		return modules.Plan{}, fmt.Errorf("there is no unit %s on this host, and no earlier task brings it: check the name, or add the package or unit task that does", p.name)
	}
	p.unit, p.after = u, *u
	if !u.Pending && (u.Load == "bad-setting" || u.Load == "error") && !u.Reread {
		return modules.Plan{}, fmt.Errorf("systemd can't read %s (%s): systemd-analyze verify %s says why", p.name, u.Load, p.name)
	}
	return p.plan()
}

// content reports whether a unit that doesn't exist is as it is wanted, but for
// a mask: it doesn't run, and nothing starts it. Behind an unguarded command, it
// may be what that brings.
func (s *Service) content(v *host.View) bool {
	if s.Masked != nil && *s.Masked {
		return true
	}
	return s.stopped() && (s.Enabled == nil || !*s.Enabled) && !v.Tainted()
}

// planner plans one service.
type planner struct {
	*Service
	m       manager
	name    string
	v       *host.View
	unit    *Unit
	after   Unit // as the changes so far leave it
	changes []host.Change
}

// forecast is what may be left to do once the unit is there.
func (p *planner) forecast() []host.Description {
	d := host.Description{Action: host.Update, Target: p.name, Diff: "state: unknown → running", Impact: "once an earlier task has brought it"}
	if p.stopped() {
		d.Diff = "state: unknown → stopped"
	}
	return []host.Description{d}
}

func (p *planner) plan() (modules.Plan, error) {
	u := p.unit
	if p.Masked != nil && *p.Masked && u.ID != p.name {
		return modules.Plan{}, fmt.Errorf("%s is another name of %s: mask that one", p.name, u.ID)
	}
	if u.Reread {
		p.after.Reread = false
		p.add(&host.RunProgram{
			Argv: p.m.argv("daemon-reload"), Env: p.m.env(),
			Does: host.Description{Action: host.Update, Target: p.name, Impact: "systemd reads its unit file again, which changed on disk"},
		})
	}
	if u.masked() && p.Masked != nil && !*p.Masked {
		argv := []string{"unmask"}
		if u.File == maskedRuntime {
			argv = append(argv, "--runtime")
		}
		p.mask("masked: yes → no", append(argv, u.ID), []string{"mask", u.ID}, host.Gone(host.File(p.m.maskOf(u))))
		if err := p.m.permitted(p.v, p.name); err != nil {
			return modules.Plan{}, err
		}
		// What is behind the mask shows only once it is gone.
		return modules.Plan{Changes: p.changes, Then: p.forecast()}, nil
	}
	if u.masked() && !p.stopped() {
		return modules.Plan{}, fmt.Errorf("%s is masked, so that nothing can start it: set masked = false if that is to end", p.called())
	}
	mask := p.Masked != nil && *p.Masked && (!u.masked() || u.File == maskedRuntime)
	if mask {
		if err := p.maskable(); err != nil {
			return modules.Plan{}, err
		}
	}
	if err := p.boot(); err != nil {
		return modules.Plan{}, err
	}
	if err := p.run(); err != nil {
		if isNotYet(err) {
			return modules.Plan{Then: p.forecast()}, err
		}
		return modules.Plan{}, err
	}
	if mask {
		diff := "masked: no → yes"
		if u.masked() {
			diff = "masked: until the next boot → yes"
		}
		p.after.Load, p.after.File = "masked", "masked"
		p.mask(diff, []string{"mask", u.ID}, []string{"unmask", u.ID}, host.Is(host.File(p.m.maskOf(&p.after)), maskLink()))
	}
	if len(p.changes) > 0 {
		return modules.Plan{Changes: p.changes}, p.m.permitted(p.v, p.name)
	}
	out, err := json.Marshal(Output{State: u.Active, Enabled: u.File, PID: u.PID})
	return modules.Plan{Output: out}, err
}

// effects are the unit as planned so far, under all its names.
func (p *planner) effects() []host.Effect {
	return effectsOf(p.m, p.name, p.after)
}

func effectsOf(m manager, name string, after Unit) []host.Effect {
	after.Pending, after.PID = true, 0
	names := append([]string{name, after.ID}, after.Names...)
	slices.Sort(names)
	var list []host.Effect
	for _, n := range slices.Compact(names) {
		list = append(list, host.Is(m.key(n), after))
	}
	return list
}

func (p *planner) add(c *host.RunProgram) {
	c.Leaves = p.effects()
	p.changes = append(p.changes, c)
}

func (p *planner) program(does host.Description, argv, undo []string) *host.RunProgram {
	c := &host.RunProgram{Argv: p.m.argv(argv...), Env: p.m.env(), UndoArgv: p.m.argv(undo...), Does: does}
	p.add(c)
	return c
}

// boot plans what makes the unit start at boot, or not.
func (p *planner) boot() error {
	if p.Enabled == nil || p.unit.masked() && !*p.Enabled {
		return nil
	}
	on, err := p.enabled()
	if err != nil || on == *p.Enabled {
		return err
	}
	if !*p.Enabled && !p.stopped() {
		if loses, err := p.losesName(); err != nil {
			return err
		} else if loses {
			return fmt.Errorf("%s is a name that %s has only while it is enabled, so that enabled = false can't be held to it: name %s in the task", p.name, p.unit.ID, p.unit.ID)
		}
	}
	verb, back, diff := "enable", "disable", "enabled: no → yes"
	p.after.File = "enabled"
	if !*p.Enabled {
		verb, back, diff = "disable", "enable", "enabled: yes → no"
		p.after.File = "disabled"
	}
	does := host.Description{Action: host.Update, Target: p.name, Diff: diff}
	if verb == "disable" && p.unit.File == "enabled-runtime" {
		p.program(does, []string{"disable", "--runtime", p.unit.ID}, []string{"enable", "--runtime", p.unit.ID})
		return nil
	}
	p.program(does, []string{verb, p.unit.ID}, []string{back, p.unit.ID})
	return nil
}

// linkable is a unit file that says which unit is to start it.
var linkable = regexp.MustCompile(`(?m)^\s*(WantedBy|RequiredBy|UpheldBy)\s*=`)

// enabled reports whether the unit starts at boot: systemctl(1), is-enabled.
// Where nothing can be done about it, the answer is what is wanted.
func (p *planner) enabled() (bool, error) {
	switch u := p.unit; u.File {
	case "enabled":
		return true, nil
	case "enabled-runtime": // until the next boot only
		return !*p.Enabled, nil
	case "static", "transient", "alias":
		return *p.Enabled, nil // there is nothing to enable in it: others start it
	case "indirect":
		return p.also()
	case "generated":
		if name := filepath.Base(u.Source); strings.HasPrefix(u.Source, "/etc/init.d/") {
			links, err := filepath.Glob("/etc/rc[2345].d/S[0-9][0-9]" + name)
			return len(links) > 0, err
		}
		if !*p.Enabled {
			return false, fmt.Errorf("%s is made by a generator from %s and can't be disabled: change that, or set masked = true", p.name, u.Source)
		}
		return true, nil
	case "bad":
		return false, fmt.Errorf("systemd can't tell whether %s is enabled: its unit file is bad", p.name)
	}
	return false, nil
}

// also reports whether an indirect unit is enabled: linked to under its own
// name, or where nothing can link to it, the units are enabled that it names
// in its place ("Also=" in systemd.unit(5)).
func (p *planner) also() (bool, error) {
	data, err := os.ReadFile(p.unit.Fragment)
	if err != nil {
		return false, err
	}
	if linkable.Match(data) {
		links, err := filepath.Glob("/etc/systemd/system/*.*/" + p.unit.ID)
		return len(links) > 0, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		names, _ := strings.CutPrefix(strings.TrimSpace(line), "Also=")
		for _, n := range strings.Fields(names) {
			if n == p.unit.ID || names == strings.TrimSpace(line) {
				continue
			}
			u, err := p.m.lookup(context.Background(), p.v, n)
			if err != nil {
				return false, err
			}
			if on := u != nil && u.File == "enabled"; on != *p.Enabled && (u == nil || u.File != "static") {
				return on, nil
			}
		}
	}
	return *p.Enabled, nil
}

// run plans a start, stop, restart or reload.
func (p *planner) run() error {
	u := p.unit
	up := u.running() || u.Active == "activating" && u.Sub != "auto-restart"
	if p.stopped() {
		if u.running() || u.Active == "activating" || u.Active == "deactivating" {
			p.act(stop, "", nil)
		}
		return nil
	}
	st := p.noted()
	if u.ends() && !up && u.Result == "success" && (u.Invocation != "" || st != nil) {
		up = true
	}
	restart := p.restartNames()
	if !up {
		p.act(start, "", restart)
		return nil
	}
	was := p.loads(st)
	stale, err := loaded.Changed(p.v, restart, was.Restart, u.Started)
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		p.act(again, strings.Join(stale, ", ")+" changed", restart)
		return nil
	}
	return p.reload(was, restart)
}

// reload plans a reload where the unit has loaded other files than there are: was is what
// is noted of it.
func (p *planner) reload(was stamp, restart []string) error {
	stale, err := loaded.Changed(p.v, p.ReloadOn, was.Reload, p.unit.Reloaded)
	if err != nil || len(stale) == 0 {
		return err
	}
	if !p.unit.Reloads && !p.unit.Pending {
		return fmt.Errorf("%s has no reload, and reload_on asks for one because %s changed: use restart_on", p.name, strings.Join(stale, ", "))
	}
	p.act(reload, strings.Join(stale, ", ")+" changed", restart)
	return nil
}

// noted is what is noted of what the unit has loaded.
func (p *planner) noted() *stamp {
	if p.unit.Pending && p.unit.Loads != nil {
		return p.unit.Loads
	}
	return p.m.readStamp(p.unit.ID)
}

// loads is that note where it is of the processes that run.
func (p *planner) loads(st *stamp) stamp {
	if st != nil && (st.Invocation == p.unit.Invocation || p.unit.Pending || p.unit.ends()) {
		return *st
	}
	return stamp{}
}

// restartNames are the files whose change calls for a restart: those that the
// task names, and the unit's own. Of the latter, a package's don't count
// unless the task names something: its scripts know what to do.
func (p *planner) restartNames() []string {
	names := slices.Clone(p.RestartOn)
	for _, f := range append([]string{p.unit.Fragment}, p.unit.DropIns...) {
		if f == "" || f == "/dev/null" || strings.HasPrefix(f, "/run/") || slices.Contains(names, f) {
			continue
		}
		if len(p.RestartOn) > 0 || strings.HasPrefix(f, "/etc/") {
			names = append(names, f)
		}
	}
	return names
}

func (p *planner) act(verb verb, why string, restart []string) {
	a := &Act{Unit: p.unit.ID, Target: p.name, Verb: verb, Why: why, Restart: restart, Reload: p.ReloadOn, User: p.m.user}
	a.was = p.unit.Active
	a.after = p.after
	switch verb {
	case stop:
		a.after.Active, a.after.Sub, a.after.Loads = "inactive", "dead", nil
	default:
		a.after.Active = "active"
		if p.unit.ends() {
			a.after.Active, a.after.Result = "inactive", "success"
		}
		// Other tasks' files are loaded with it.
		was := p.loads(p.noted())
		a.Reload = with(a.Reload, was.Reload)
		if verb != reload {
			a.Restart = with(a.Restart, was.Restart)
		}
		st := &stamp{}
		st.Restart, _ = loaded.Sums(p.v, a.Restart)
		st.Reload, _ = loaded.Sums(p.v, a.Reload)
		if verb == reload && p.unit.Pending {
			st.Restart = loaded.Merged(st.Restart, was.Restart)
		}
		a.after.Loads = st
	}
	p.after = a.after
	p.changes = append(p.changes, a)
}

// with returns names with those of sums that aren't among them.
func with(names []string, sums map[string]string) []string {
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if !slices.Contains(names, name) {
			names = append(slices.Clip(names), name)
		}
	}
	return names
}
