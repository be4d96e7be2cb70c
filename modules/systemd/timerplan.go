package systemd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
	"muster/modules/calendar"
)

// Plan compares both units and whether the timer runs.
func (t *Timer) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if err := (manager{}).present(); err != nil {
		return modules.Plan{}, err
	}
	if t.State == "absent" {
		return t.absent(ctx, v)
	}
	if err := t.possible(ctx, v); err != nil {
		return modules.Plan{}, err
	}
	var times []*calendar.Calendar
	for _, text := range t.OnCalendar {
		c, err := calendar.OnCalendar(text)
		if err != nil {
			return modules.Plan{}, fmt.Errorf("the timer %s: %w", t.Name, err)
		}
		times = append(times, c)
	}
	what, when := v.Keep([]byte(t.service()), false), v.Keep([]byte(t.timer(times)), false)
	service, timer := t.units(&what, &when)
	plan, err := inOrder(ctx, v, service, timer, t.running())
	if err != nil || len(plan.Changes) == 0 {
		return plan, err
	}
	for _, c := range times {
		notes, err := t.told(ctx, v, c)
		if err == nil {
			err = t.accepted(ctx, v, c)
		}
		if err != nil && !isNotYet(err) {
			return modules.Plan{}, err
		}
		plan.Notes = append(plan.Notes, notes...)
	}
	return plan, nil
}

// possible returns an error where the names are taken, or nobody could run the command.
func (t *Timer) possible(ctx context.Context, v *host.View) error {
	for _, name := range []string{t.Name + ".service", t.Name + ".timer"} {
		for _, dir := range []string{"/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"} {
			at := filepath.Join(dir, name)
			if is, err := v.Stat(at); err == nil && is.Exists() {
				return fmt.Errorf("there is a unit %s already (%s), which this timer's would replace: choose another name, or manage that one by a service task", name, at)
			} else if err != nil && !isNotYet(err) {
				return err
			}
		}
	}
	u, err := v.User(ctx, t.User)
	if err != nil && !isNotYet(err) {
		return err
	}
	if err == nil && u == nil {
		return fmt.Errorf("there is no user %s on this host, and no earlier task makes one: the timer %s couldn't run its command", t.User, t.Name)
	}
	return nil
}

// accepted asks the host's systemd about times that it hasn't read yet.
func (t *Timer) accepted(ctx context.Context, v *host.View, c *calendar.Calendar) error {
	out, err := v.Query(ctx, host.Command{Argv: []string{"systemd-analyze", "calendar", "--", c.Text}})
	if err != nil {
		return fmt.Errorf("asking systemd about the times of %s: %w", t.Name, err)
	}
	if out.ExitCode != 0 {
		return fmt.Errorf("this host's systemd refuses the times of %s: %s", t.Name, strings.TrimSpace(string(out.Stderr)))
	}
	return nil
}

// told says which zone counts, and what clock changes do.
func (t *Timer) told(ctx context.Context, v *host.View, c *calendar.Calendar) ([]string, error) {
	told, err := c.Tell(ctx, v, time.Now().Year())
	if err != nil {
		return nil, fmt.Errorf("the times of %s: %w", t.Name, err)
	}
	var notes []string
	if told.Own && told.Zone != "" {
		notes = append(notes, fmt.Sprintf("The times of %s, %s, are of this host's zone, %s.", t.Name, c.Text, told.Zone))
	}
	if s := told.Skipped; s != nil {
		notes = append(notes, fmt.Sprintf("The clock skips %s on %s in %s: %s doesn't run at that time then.", s.At, s.Day.Format(time.DateOnly), told.Zone, t.Name))
	}
	if r := told.Twice; r != nil {
		notes = append(notes, fmt.Sprintf("The clock shows %s twice on %s in %s: %s runs at the first of them only.", r.At, r.Day.Format(time.DateOnly), told.Zone, t.Name))
	}
	return notes, nil
}

// absent plans the end of both units, and of what systemd has noted of the timer's runs: one
// of the same name would be made up for at once.
func (t *Timer) absent(ctx context.Context, v *host.View) (modules.Plan, error) {
	service, timer := t.units(nil, nil)
	plan, err := inOrder(ctx, v, timer, service)
	if err != nil {
		return plan, err
	}
	at, err := v.Place(t.stamp(), false)
	if err != nil {
		return modules.Plan{}, err
	}
	stamp, err := v.Lstat(at)
	if err != nil {
		return modules.Plan{}, err
	}
	if stamp.Type == host.Regular {
		plan.Changes = append(plan.Changes, &host.Remove{Path: at, Before: stamp, Note: "when it ran last"})
	}
	return plan, nil
}

// inOrder plans modules of this package, each behind those before it. systemd reads its
// files once, behind the last that was changed.
func inOrder(ctx context.Context, v *host.View, list ...modules.Module) (modules.Plan, error) {
	var all modules.Plan
	var before *host.RunProgram // the last time that systemd reads its files
	for _, m := range list {
		plan, err := m.Plan(ctx, v)
		if err != nil {
			return modules.Plan{Then: plan.Then}, err
		}
		for _, c := range plan.Changes {
			v = v.Behind(c.Effects())
			if r, ok := c.(*host.RunProgram); ok && r.Does.Target == "systemd" {
				if before != nil {
					all.Changes = without(all.Changes, before)
					r.Leaves = append(before.Leaves, r.Leaves...)
					r.Does.Impact = before.Does.Impact + ", " + r.Does.Impact
				}
				before = r
			}
			all.Changes = append(all.Changes, c)
		}
	}
	return all, nil
}

// without returns the changes but one.
func without(list []host.Change, change host.Change) (rest []host.Change) {
	for _, c := range list {
		if c != change {
			rest = append(rest, c)
		}
	}
	return rest
}
