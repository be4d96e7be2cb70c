package systemd

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// UnitFile is a unit file, or a drop-in, in /etc/systemd/system. Systemd reads
// it anew after every change. A unit that is to be absent is stopped and
// disabled first.
type UnitFile struct {
	// The file's name: "app.service", "app@.service", or for a part of another
	// unit "ssh.service.d/limits.conf".
	Name string `arg:"name,key,required"`
	// What it holds.
	Content *host.Content `arg:"content"`
	// A file of the project that holds it.
	Source *host.Content `arg:"source,file"`
	// Whether it is there at all.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const unitDir = "/etc/systemd/system"

var fileForm = regexp.MustCompile(`^([A-Za-z0-9:_.\\@-]+\.(?:service|socket|timer|path|target|mount|automount|swap|slice))(?:\.d/[A-Za-z0-9_.@-]+\.conf)?$`)

// Check refuses a name without type, and contradictions.
func (f *UnitFile) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if !unknown("name") && (!fileForm.MatchString(f.Name) || strings.HasPrefix(f.Name, "-")) {
		fail("name", "Wrong value", fmt.Sprintf("%q is no unit file's name: it takes one such as \"app.service\", \"app@.service\", \"app.timer\" or \"ssh.service.d/limits.conf\".", f.Name))
	}
	given := 0
	for _, c := range []*host.Content{f.Content, f.Source} {
		if c != nil {
			given++
		}
	}
	switch {
	case given == 2:
		fail("source", "Conflicting arguments", `A unit's content comes from "content" or from "source", not from both.`)
	case f.State == "absent" && given > 0:
		fail("state", "Conflicting arguments", `A unit that is to be absent has no content.`)
	case f.State != "absent" && given == 0 && !unknown("content") && !unknown("source") && !unknown("state"):
		fail("content", "Missing argument", `A unit needs its "content", or a "source" that holds it.`)
	}
	return errs
}

// Writes is the unit that the file is, or is a part of: a service that stands before it
// would run with it only after the next run.
func (f *UnitFile) Writes() []string {
	m := fileForm.FindStringSubmatch(f.Name)
	if m == nil || f.State == "absent" {
		return nil
	}
	return []string{"the unit " + m[1]}
}

// Reads is nothing.
func (f *UnitFile) Reads() []string { return nil }

func (f *UnitFile) path() string { return filepath.Join(unitDir, f.Name) }

// unit is the unit that the file is of.
func (f *UnitFile) unit() string {
	if m := fileForm.FindStringSubmatch(f.Name); m != nil {
		return m[1]
	}
	return f.Name
}

func (f *UnitFile) dropIn() bool { return strings.Contains(f.Name, "/") }

// May is the file, a drop-in's directory, and the unit.
func (f *UnitFile) May() []host.Effect {
	if f.Name == "" {
		return []host.Effect{host.Open(host.Files, ""), host.Open(host.Units, "")}
	}
	list := []host.Effect{host.Open(host.Files, f.path()), host.Open(host.Units, f.unit())}
	if f.dropIn() {
		list = append(list, host.Effect{Key: host.File(filepath.Dir(f.path())), State: host.Possible})
	}
	return list
}

// Plan compares the file, and what systemd has read of it.
func (f *UnitFile) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	m := manager{}
	if err := m.present(); err != nil {
		return modules.Plan{}, err
	}
	at, err := v.Place(f.path(), false)
	if err != nil {
		return modules.Plan{}, err
	}
	before, err := v.Lstat(at)
	if err != nil && !isNotYet(err) {
		return modules.Plan{}, err
	}
	unforeseen := err != nil
	u, err := f.lookup(ctx, v, m)
	if err != nil {
		return modules.Plan{}, err
	}
	if before.Exists() && before.Type != host.Regular && before.Type != host.Symlink {
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a unit file", f.path(), before.Type)
	}
	if f.State == "absent" {
		if isMask(before) && !f.dropIn() {
			return modules.Plan{}, nil // it isn't the unit's file that is there
		}
		return f.remove(v, m, u, at, before)
	}
	switch {
	case !isMask(before):
	case f.dropIn():
		return modules.Plan{}, fmt.Errorf("%s is masked: end that first, by a link task %q with state = \"absent\" before this one", f.Name, f.path())
	default:
		return modules.Plan{}, fmt.Errorf("%s is masked: end that first, by a service task with masked = false and state = \"stopped\" before this one", f.Name)
	}
	content := f.Content
	if content == nil {
		content = f.Source
	}
	if before.Type == host.Regular {
		if before.Sum, err = v.Sum(at); err != nil {
			return modules.Plan{}, err
		}
	}
	var plan modules.Plan
	after := f.after(ctx, v, u, content)
	if before.Sum != content.Sum {
		if plan.Changes, err = f.write(ctx, v, at, before, unforeseen, content); err != nil {
			return modules.Plan{}, err
		}
	}
	if len(plan.Changes) > 0 || u != nil && u.Reread {
		plan.Changes = append(plan.Changes, f.reread(m, after))
	}
	return plan, nil
}

// lookup returns the unit, nil where there is none or it is a template.
func (f *UnitFile) lookup(ctx context.Context, v *host.View, m manager) (*Unit, error) {
	if strings.Contains(f.unit(), "@.") {
		return nil, nil
	}
	u, err := m.lookup(ctx, v, f.unit())
	if isNotYet(err) {
		return nil, nil
	}
	return u, err
}

// after is the unit as systemd will know it.
func (f *UnitFile) after(ctx context.Context, v *host.View, u *Unit, content *host.Content) Unit {
	after := Unit{ID: f.unit(), Active: "inactive", File: "static"}
	if u != nil {
		after = *u
	}
	after.Reread, after.Pending = false, true
	if f.dropIn() {
		after.DropIns = append(append([]string{}, after.DropIns...), f.path())
		return after
	}
	after.Load, after.Fragment = "loaded", f.path()
	if u == nil {
		if data, err := v.Body(ctx, *content, 1<<20); err == nil && strings.Contains("\n"+string(data), "\n[Install]") {
			after.File = "disabled"
		}
		after.Type = "simple"
	}
	return after
}

// write plans the file at its resolved path, and the folder of a drop-in.
func (f *UnitFile) write(ctx context.Context, v *host.View, at string, before host.FileInfo, unforeseen bool, content *host.Content) ([]host.Change, error) {
	var changes []host.Change
	if dir := filepath.Dir(at); f.dropIn() {
		info, err := v.Stat(dir)
		if err != nil && !isNotYet(err) {
			return nil, err
		}
		if !info.Exists() {
			mode := host.Mode(0o755)
			changes = append(changes, &host.MakeDir{Path: dir, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
		}
	}
	after := host.FileInfo{Type: host.Regular, Mode: 0o644, Owner: "root", Group: "root"}
	if content.Sensitive {
		after.Mode = 0o600
	}
	if before.Type == host.Regular {
		after.Mode, after.Owner, after.Group = before.Mode, before.Owner, before.Group
	}
	after.Sum, after.Size, after.Sensitive = content.Sum, content.Size, content.Sensitive
	w := &host.WriteFile{Path: at, Content: *content, Before: &before, After: after}
	if unforeseen {
		w.Before, w.Note = nil, "replaces whatever an earlier task brings"
	}
	switch {
	case content.Sensitive || before.Sensitive:
		w.Diff = "(sensitive content)"
	case content.Size > host.DiffLimit || before.Size > host.DiffLimit:
		w.Diff = "(" + host.Counted(content.Size, "byte", "bytes") + ")"
	default:
		data, err := v.Body(ctx, *content, host.DiffLimit)
		if err != nil {
			return nil, err
		}
		var old []byte
		if before.Type == host.Regular {
			if old, err = v.ReadFile(ctx, at, host.DiffLimit); err != nil {
				return nil, err
			}
		}
		w.Diff = host.Diff(old, data)
	}
	return append(changes, w), nil
}

// reread makes systemd read its files again.
func (f *UnitFile) reread(m manager, after Unit) host.Change {
	return &host.RunProgram{
		Argv:   m.argv("daemon-reload"),
		Does:   host.Description{Action: host.Reload, Target: "systemd", Impact: "reads " + f.Name + " again"},
		Leaves: effectsOf(m, f.unit(), after),
	}
}

// remove plans a unit's end: stopped, disabled, gone, forgotten.
func (f *UnitFile) remove(v *host.View, m manager, u *Unit, at string, before host.FileInfo) (modules.Plan, error) {
	var plan modules.Plan
	own := u != nil && !f.dropIn() && u.Fragment == f.path()
	if own && u.running() {
		a := &Act{Unit: u.ID, Target: u.ID, Verb: stop, was: u.Active, after: *u}
		a.after.Active, a.after.Sub = "inactive", "dead"
		plan.Changes = append(plan.Changes, a)
	}
	if own && (u.File == "enabled" || u.File == "enabled-runtime") {
		after := *u
		after.Active, after.File = "inactive", "disabled"
		plan.Changes = append(plan.Changes, &host.RunProgram{
			Argv: m.argv("disable", u.ID), Does: host.Description{Action: host.Update, Target: u.ID, Diff: "enabled: yes → no"},
			Leaves: effectsOf(m, u.ID, after),
		})
	}
	if before.Exists() {
		plan.Changes = append(plan.Changes, &host.Remove{Path: at, Before: before})
	}
	if len(plan.Changes) == 0 && (u == nil || !u.Reread) {
		return plan, nil
	}
	var leaves []host.Effect
	if !f.dropIn() {
		leaves = []host.Effect{host.Gone(key(f.unit()))}
		if f.elsewhere(v) {
			leaves = []host.Effect{{Key: key(f.unit()), State: host.Unknown}}
		}
	}
	plan.Changes = append(plan.Changes, &host.RunProgram{
		Argv: m.argv("daemon-reload"), Does: host.Description{Action: host.Reload, Target: "systemd", Impact: "forgets " + f.Name}, Leaves: leaves,
	})
	return plan, nil
}

// elsewhere reports whether the unit also has a file that a package brought, or may
// have one: an earlier task may put it there.
func (f *UnitFile) elsewhere(v *host.View) bool {
	for _, dir := range []string{"/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"} {
		if is, err := v.Stat(filepath.Join(dir, f.Name)); err != nil || is.Exists() {
			return true
		}
	}
	return false
}
