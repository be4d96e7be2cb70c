package systemd

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// Unit is a unit as systemd knows it, or as a plan will leave it.
type Unit struct {
	ID         string    `json:"id"` // its own name, whatever alias was asked for
	Names      []string  `json:"names,omitempty"`
	Load       string    `json:"load"` // loaded, not-found, masked, bad-setting, error
	Active     string    `json:"active"`
	Sub        string    `json:"sub,omitempty"`
	File       string    `json:"file,omitempty"` // enabled, disabled, static, …
	Fragment   string    `json:"fragment,omitempty"`
	Source     string    `json:"source,omitempty"` // what a generator made it from
	DropIns    []string  `json:"drop_ins,omitempty"`
	Reread     bool      `json:"reread,omitempty"` // its file has changed on disk
	Invocation string    `json:"invocation,omitempty"`
	Restarts   int       `json:"restarts,omitempty"`
	Type       string    `json:"type,omitempty"`
	Remain     bool      `json:"remain,omitempty"`
	Reloads    bool      `json:"reloads,omitempty"` // it has a reload
	Result     string    `json:"result,omitempty"`
	PID        int       `json:"pid,omitempty"`
	Started    time.Time `json:"started"`
	Reloaded   time.Time `json:"reloaded"` // the last that may have been a successful reload
	// Pending is a unit that a planned change leaves: what isn't known yet
	// isn't asked for. Loads is what it will then have loaded.
	Pending bool   `json:"pending,omitempty"`
	Loads   *stamp `json:"loads,omitempty"`
}

func (u *Unit) running() bool {
	return u.Active == "active" || u.Active == "reloading" || u.Active == "refreshing"
}

// ends reports whether the unit is one that runs to its end.
func (u *Unit) ends() bool { return u.Type == "oneshot" && !u.Remain }

func (u *Unit) masked() bool {
	return u.Load == "masked" || u.File == "masked" || u.File == maskedRuntime
}

const properties = "Id,Names,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,SourcePath,DropInPaths,NeedDaemonReload,InvocationID,NRestarts,Type,RemainAfterExit,CanReload,Result,MainPID,ExecMainStartTimestamp,ActiveEnterTimestamp,StateChangeTimestamp,ReloadResult"

// manager is the systemd that is asked: the system's or a user's.
type manager struct{ user bool }

func managerOf(scope string) manager { return manager{user: scope == "user"} }

func (m manager) argv(args ...string) []string {
	argv := []string{"systemctl", "--no-ask-password", "--no-pager"}
	if m.user {
		argv = append(argv, "--user")
	}
	return append(argv, args...)
}

func (m manager) env() []string {
	if !m.user {
		return []string{"TZ=UTC"}
	}
	return []string{"TZ=UTC", fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", os.Geteuid())}
}

// present returns an error where there is no such manager.
func (m manager) present() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return fmt.Errorf("systemd doesn't run on this host (there is no /run/systemd/system): its units can't be managed")
	}
	if m.user {
		dir := fmt.Sprintf("/run/user/%d/systemd", os.Geteuid())
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("this user has no systemd of its own (there is no %s): let it linger with loginctl enable-linger", dir)
		}
	}
	return nil
}

// units is what was asked of a manager since the host was last changed.
type units struct {
	m     manager
	known map[string]*Unit // by every name; nil where there is none
	bulk  map[string]bool  // types of which all loaded units are known
	asked int
	// expected are units that tasks to come will ask for.
	expected []string
	ask      func(ctx context.Context, v *host.View, names ...string) ([]*Unit, error)
}

// expect notes the services of tasks to come.
func expect(v *host.View, names []string) {
	for _, m := range []manager{{}, {user: true}} {
		us := m.units(v)
		for _, n := range names {
			if nameForm.MatchString(n) && !strings.HasPrefix(n, "-") {
				us.expected = append(us.expected, unitName(n))
			}
		}
	}
}

// expectTimers is expect for timers, each of which has a service.
func expectTimers(v *host.View, names []string) {
	var units []string
	for _, n := range names {
		units = append(units, n+".timer", n+".service")
	}
	expect(v, units)
}

func (m manager) units(v *host.View) *units {
	u, _ := host.Once(v, fmt.Sprintf("units %t", m.user), func() (*units, error) {
		return &units{m: m, known: map[string]*Unit{}, bulk: map[string]bool{}, ask: m.show}, nil
	})
	return u
}

// askLimit is how many units are asked for at once.
const askLimit = 200

// get returns a unit of the host; nil where there is none. It is asked for with
// all that are expected: one more takes a tenth of the time of a question. Where
// none is, a second question asks for all loaded units of the type.
func (us *units) get(ctx context.Context, v *host.View, name string) (*Unit, error) {
	if u, ok := us.known[name]; ok {
		return u, nil
	}
	suffix := name[strings.LastIndexByte(name, '.'):]
	us.asked++
	names := us.due(name)
	if len(names) == 1 && us.asked > 1 && !us.bulk[suffix] {
		all, err := us.ask(ctx, v, "*"+suffix)
		if err != nil {
			return nil, err
		}
		us.bulk[suffix] = true
		for _, u := range all {
			us.keep(u)
		}
		if u, ok := us.known[name]; ok {
			return u, nil
		}
	}
	found, err := us.ask(ctx, v, names...)
	if len(names) > 1 && (err != nil || len(found) != len(names)) {
		// One that systemd can't answer for spoils it for all.
		names = names[:1]
		found, err = us.ask(ctx, v, name)
	}
	if err != nil {
		return nil, err
	}
	for i, n := range names { // answers come in the order of the names
		us.known[n] = nil
		if i < len(found) && found[i].Load != notFound {
			us.keep(found[i])
			us.known[n] = found[i]
		}
	}
	return us.known[name], nil
}

// due takes what to ask for together with name, which comes first.
func (us *units) due(name string) []string {
	names := []string{name}
	for len(us.expected) > 0 && len(names) < askLimit {
		n := us.expected[0]
		us.expected = us.expected[1:]
		if _, known := us.known[n]; !known && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func (us *units) keep(u *Unit) {
	if u.Load == notFound {
		return
	}
	us.known[u.ID] = u
	for _, n := range u.Names {
		us.known[n] = u
	}
}

// show asks systemctl for units, by name or pattern.
func (m manager) show(ctx context.Context, v *host.View, patterns ...string) ([]*Unit, error) {
	if err := m.present(); err != nil {
		return nil, err
	}
	return parseShow(m.ask(patterns, func(c host.Command) (host.Output, error) { return v.Query(ctx, c) }))
}

// ask runs systemctl show with run and returns what it printed.
func (m manager) ask(patterns []string, run func(host.Command) (host.Output, error)) ([]byte, error) {
	argv := m.argv(append([]string{"show", "--timestamp=us+utc", "-p", properties, "--"}, patterns...)...)
	out, err := run(host.Command{Argv: argv, Env: m.env(), OutputLimit: 16 << 20})
	if err == nil && out.ExitCode != 0 && strings.Contains(string(out.Stderr), "--timestamp") { // systemd before 248: whole seconds
		argv = m.argv(append([]string{"show", "-p", properties, "--"}, patterns...)...)
		out, err = run(host.Command{Argv: argv, Env: m.env(), OutputLimit: 16 << 20})
	}
	if err != nil {
		return nil, fmt.Errorf("asking systemd about %s: %w", patterns[0], err)
	}
	if out.ExitCode != 0 {
		return nil, fmt.Errorf("asking systemd about %s: %w", patterns[0], &host.ExitError{Argv: argv, Output: out})
	}
	return out.Stdout, nil
}

func parseShow(data []byte, err error) ([]*Unit, error) {
	if err != nil {
		return nil, err
	}
	var list []*Unit
	for _, block := range strings.Split(string(data), "\n\n") {
		u := &Unit{}
		var change time.Time
		var reload string
		for _, line := range strings.Split(block, "\n") {
			name, value, _ := strings.Cut(line, "=")
			switch name {
			case "Id":
				u.ID = value
			case "Names":
				u.Names = strings.Fields(value)
			case "LoadState":
				u.Load = value
			case "ActiveState":
				u.Active = value
			case "SubState":
				u.Sub = value
			case "UnitFileState":
				u.File = value
			case "FragmentPath":
				u.Fragment = value
			case "SourcePath":
				u.Source = value
			case "DropInPaths":
				u.DropIns = strings.Fields(value)
			case "NeedDaemonReload":
				u.Reread = value == "yes"
			case "InvocationID":
				u.Invocation = value
			case "NRestarts":
				u.Restarts, _ = strconv.Atoi(value)
			case "Type":
				u.Type = value
			case "RemainAfterExit":
				u.Remain = value == "yes"
			case "CanReload":
				u.Reloads = value == "yes"
			case "Result":
				u.Result = value
			case "MainPID":
				u.PID, _ = strconv.Atoi(value)
			case "ExecMainStartTimestamp":
				if t := parseTime(value); !t.IsZero() {
					u.Started = t
				}
			case "ActiveEnterTimestamp":
				if u.Started.IsZero() {
					u.Started = parseTime(value)
				}
			case "StateChangeTimestamp":
				change = parseTime(value)
			case "ReloadResult":
				reload = value
			}
		}
		if u.ID == "" {
			continue
		}
		if u.Load == "masked" && (u.File == "masked" || u.File == maskedRuntime) {
			u.Reread = false // systemd asks for it without end where a masked unit has drop-ins
		}
		// A failed reload moves the state's time too, and loaded nothing.
		if u.Reloaded = u.Started; reload == "success" && change.After(u.Started) {
			u.Reloaded = change
		}
		list = append(list, u)
	}
	return list, nil
}

// parseTime reads systemd's times, with or without microseconds; the zero
// time is one that never came.
func parseTime(s string) time.Time {
	for _, layout := range []string{"Mon 2006-01-02 15:04:05.999999 MST", "Mon 2006-01-02 15:04:05 MST"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

// lookup returns a unit through the preview; nil where there is none and no
// earlier task can bring it.
func (m manager) lookup(ctx context.Context, v *host.View, name string) (*Unit, error) {
	u, err := host.Read(v, m.key(name), func() (*Unit, error) {
		u, err := m.units(v).get(ctx, v, name)
		if behind := u.behindMask(); behind != "" && err == nil {
			u, err = m.units(v).get(ctx, v, behind)
		}
		if err != nil || u == nil || u.ID == name {
			return u, err
		}
		return host.Read(v, m.key(u.ID), func() (*Unit, error) { return u, nil }) // an alias
	})
	if u != nil || err != nil && !isNotYet(err) {
		return u, err
	}
	if i, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.'); i >= 0 {
		template, ok, _, terr := v.Look(m.key(name[:i+1] + name[dot:]))
		if ok && template != nil && terr == nil {
			file := "disabled"
			if strings.Contains(string(template), `"file":"static"`) {
				file = "static"
			}
			return &Unit{ID: name, Load: "loaded", Active: "inactive", File: file, Pending: true}, nil
		}
	}
	return u, err
}
