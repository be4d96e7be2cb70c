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
			return false
		}
		if o.Path != "" {
			paths = append(paths, o.Path)
		}
	}
	if s.preview.Beyond(host.Files, host.Users, host.Groups, "account") {
		return true
	}
	return slices.ContainsFunc(paths, s.touched)
}
