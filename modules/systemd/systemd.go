// Package systemd has the kinds that manage systemd's units.
//
// There are no handlers: a service is restarted where it was started before
// one of its files last changed. A stamp under /run/muster/stamps holds what a
// start or reload loaded; it dies with the boot, as the processes do. Without
// one, times are compared.
package systemd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "service", Output: Output{}, Expect: expect, New: func() modules.Module { return &Service{} }},
		{Name: "unit", New: func() modules.Module { return &UnitFile{} }},
		{Name: "timer", Expect: expectTimers, New: func() modules.Module { return &Timer{} }},
	}
}

// Service is a unit of systemd that runs or not, at once and after a boot.
type Service struct {
	// The unit; ".service" may be left out. Also a timer, a socket, a path.
	Name string `arg:"name,key,required"`
	// Whether it runs. With masked = true the default is stopped. A unit of
	// type oneshot runs once for each boot, and again for restart_on. One that
	// doesn't exist counts as stopped.
	State string `arg:"state" oneof:"running stopped" means:"running"`
	// Whether it starts at boot. What isn't given is left as it is.
	Enabled *bool `arg:"enabled"`
	// Whether it is masked, so that nothing can start it. A unit whose own
	// file is in /etc/systemd/system can't be: its mask would stand there. Nor
	// can another name of a unit: mask the unit.
	Masked *bool `arg:"masked"`
	// Files, folders and patterns ("/etc/x/*.conf"): the unit is restarted if
	// one of them, or its unit file, was changed after it was started.
	RestartOn []string `arg:"restart_on"`
	// The same for a reload, which fits where the unit has one.
	ReloadOn []string `arg:"reload_on"`
	// "user": the units of the user who the task runs as.
	Scope string `arg:"scope" oneof:"system user" default:"system"`
}

// Output is what a service task offers.
type Output struct {
	// What systemd calls it: active, inactive, failed.
	State string `json:"state"`
	// What systemd says of whether it starts at boot: enabled,
	// disabled, static, masked, not-found and so on.
	Enabled string `json:"enabled"`
	// The process number of the main process; 0 if there is none.
	PID int `json:"pid"`
}

// suffixes are the types of units: systemd.unit(5).
func suffixes() []string {
	return []string{".service", ".socket", ".timer", ".path", ".target", ".mount", ".automount", ".swap", ".slice", ".scope", ".device"}
}

// unitName adds ".service" where no type is named.
func unitName(name string) string {
	for _, s := range suffixes() {
		if strings.HasSuffix(name, s) {
			return name
		}
	}
	return name + ".service"
}

// nameForm is what systemd takes in a unit's name: no pattern, so that one
// task means one unit.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+$`)

// Reads is the unit, and the template that it is an instance of, where it is to run or
// to be enabled.
func (s *Service) Reads() []string {
	if s.stopped() || s.Name == "" {
		return nil
	}
	name := unitName(s.Name)
	list := []string{"the unit " + name}
	if before, after, instance := strings.Cut(name, "@"); instance {
		list = append(list, "the unit "+before+"@"+after[strings.LastIndex(after, "."):])
	}
	return list
}

// Writes is nothing.
func (s *Service) Writes() []string { return nil }

// Check refuses names that aren't one unit's, and contradictions.
func (s *Service) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if !unknown("name") {
		switch name := unitName(s.Name); {
		case !nameForm.MatchString(s.Name) || strings.HasPrefix(s.Name, "-") || len(name) > 255:
			fail("name", "Wrong value", fmt.Sprintf("%q is no unit's name.", s.Name))
		case strings.Contains(name, "@."):
			fail("name", "Wrong value", fmt.Sprintf("%q is a template: name an instance of it, such as %q.", s.Name, strings.Replace(name, "@.", "@NAME.", 1)))
		}
	}
	if s.Masked != nil && *s.Masked && s.State == "running" {
		fail("masked", "Conflicting arguments", `A masked unit can't run: leave out state, or set state = "stopped".`)
	}
	if s.Masked != nil && *s.Masked && s.Enabled != nil && *s.Enabled {
		fail("masked", "Conflicting arguments", `A masked unit can't be enabled.`)
	}
	if s.stopped() && len(s.RestartOn)+len(s.ReloadOn) > 0 {
		fail("state", "Conflicting arguments", `A unit that is to be stopped has no restart_on and no reload_on.`)
	}
	relative := func(arg string, paths []string) {
		for _, p := range paths {
			if !filepath.IsAbs(p) && !unknown(arg) {
				fail(arg, "Wrong value", fmt.Sprintf("%q is no absolute path on the host: it has to begin with \"/\".", p))
			}
		}
	}
	relative("restart_on", s.RestartOn)
	relative("reload_on", s.ReloadOn)
	return errs
}

func (s *Service) stopped() bool {
	return s.State == "stopped" || s.State == "" && s.Masked != nil && *s.Masked
}

// Withhold hides the lines of what is sensitive.
func (s *Service) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "state", "enabled", "masked")
}

// May is the unit, and the one behind its name where that is an alias; where it
// may be masked, the folders of masks too.
func (s *Service) May() []host.Effect {
	m := managerOf(s.Scope)
	own := m.key(unitName(s.Name))
	list := append([]host.Effect{{Key: own, State: host.Unknown}, host.May(own.Space)}, m.mounts(own.Name)...)
	if s.Masked == nil {
		return list
	}
	for _, file := range []string{"", maskedRuntime} {
		at := m.maskOf(&Unit{ID: unitName(s.Name), File: file})
		list = append(list, host.Effect{Key: host.File(filepath.Dir(at)), State: host.Possible})
	}
	return list
}

// key is a unit's: a user's units are others than the system's.
func (m manager) key(unit string) host.Key {
	if m.user {
		return host.Key{Space: "user unit", Name: unit}
	}
	return key(unit)
}

func key(unit string) host.Key { return host.Key{Space: host.Units, Name: unit} }
