package systemd

import (
	"context"
	"fmt"

	"muster/host"
)

// Enable returns the changes that have a unit of the system start at boot, as a service
// task with enabled = true plans them. It is for kinds that need the unit for what they
// are about; whether it runs is none of theirs. Where there is no such unit, or it can't
// be enabled, it returns an error; where systemd doesn't run, nothing.
func Enable(ctx context.Context, v *host.View, unit string) ([]host.Change, error) {
	return atBoot(ctx, v, unit, true)
}

// Disable returns the changes that have a unit of the system not start at boot. Where there
// is no such unit, or systemd doesn't run, it returns nothing.
func Disable(ctx context.Context, v *host.View, unit string) ([]host.Change, error) {
	return atBoot(ctx, v, unit, false)
}

func atBoot(ctx context.Context, v *host.View, unit string, on bool) ([]host.Change, error) {
	running, err := v.Stat("/run/systemd/system")
	if err != nil || !running.Exists() {
		return nil, err
	}
	p := planner{Service: &Service{Name: unit, Enabled: &on}, m: managerOf("system"), name: unitName(unit), v: v}
	switch p.unit, err = p.m.lookup(ctx, v, p.name); {
	case err != nil:
		return nil, err
	case p.unit == nil && !on:
		return nil, nil
	case p.unit == nil:
		return nil, fmt.Errorf("there is no unit %s on this host", p.name)
	case p.unit.masked() && on:
		return nil, fmt.Errorf("%s is masked", p.called())
	}
	p.after = *p.unit
	err = p.boot()
	return p.changes, err
}

// Reload returns the reload of a unit of the system that runs and has loaded its files
// before they last changed, as a service task with reload_on plans it; nil where there is
// nothing to do, as where the unit doesn't run: then whatever starts it loads them. The
// files are those that v shows.
func Reload(ctx context.Context, v *host.View, unit string, files []string) (*Act, error) {
	running, err := v.Stat("/run/systemd/system")
	if err != nil || !running.Exists() {
		return nil, err
	}
	p := planner{Service: &Service{Name: unit, ReloadOn: files}, m: managerOf("system"), name: unitName(unit), v: v}
	p.unit, err = p.m.lookup(ctx, v, p.name)
	if err != nil || p.unit == nil || !p.unit.running() {
		return nil, err
	}
	p.after = *p.unit
	if err := p.reload(p.loads(p.noted()), p.restartNames()); err != nil || len(p.changes) == 0 {
		return nil, err
	}
	return p.changes[0].(*Act), p.m.permitted(v, p.name)
}
