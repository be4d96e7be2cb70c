package remote

import (
	"context"
	"errors"
	"slices"

	"muster/host"
	"muster/modules"
)

// obstacle returns why one of a plan's changes couldn't be made on v, each as those
// before it leave the host; nil where nothing is known against them.
func (s *Session) obstacle(plan modules.Plan, v *host.View) error {
	for i, c := range plan.Changes {
		o, ok := c.(host.Obstructed)
		if !ok {
			continue
		}
		err := o.Obstacle(v)
		if err != nil && i > 0 {
			var before []host.Effect
			for _, c := range plan.Changes[:i] {
				before = append(before, c.Effects()...)
			}
			err = o.Obstacle(v.Behind(before))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mayLift reports whether a pending change may remove an obstacle before the task's
// turn: one at its path or above, whoever becomes somebody else, and anything that
// isn't merely a file or an account: a service may mount, a program may do anything.
func (s *Session) mayLift(ctx context.Context, t *task, err error) bool {
	if !s.preview.Pending() {
		return false
	}
	if s.preview.Tainted() || s.moving(ctx) {
		return true
	}
	paths := t.paths()
	if o := (*host.Obstacle)(nil); errors.As(err, &o) {
		if o.Planned {
			return s.loosened(o.Path)
		}
		if o.Path != "" {
			paths = append(paths, o.Path)
		}
	}
	return s.loosened("") || slices.ContainsFunc(paths, s.touched)
}

// loosened reports whether pending changes may do more than edit files and accounts: a
// service may mount, a program of a package may do anything. What they do to a place that
// is planned behind them is no matter.
func (s *Session) loosened(place string) bool {
	for _, l := range slices.Backward(s.layers) {
		for _, e := range l.effects {
			if !slices.Contains([]string{host.Files, host.Users, host.Groups, "account"}, e.Key.Space) {
				return true
			}
		}
		if slices.ContainsFunc(l.effects, func(e host.Effect) bool { return e.Key == host.File(place) && e.State == host.Present }) {
			return false
		}
	}
	return false
}
