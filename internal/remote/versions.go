package remote

import (
	"context"

	"muster/host"
	"muster/modules"
)

// settledOtherwise returns a task's plan, or the one that finds nothing to do with other
// versions of its secrets: while a secret is rotated, what has been made with any that is
// valid is as it is to be.
func (s *Session) settledOtherwise(ctx context.Context, t *task, v *host.View, plan modules.Plan) modules.Plan {
	for _, args := range t.Others {
		module, errs := s.Kinds.Decode(t.Kind, args)
		if len(errs) > 0 || len(unknownArgs(args)) > 0 {
			continue
		}
		for _, c := range s.Kinds.Schema(t.Kind).Contents(module) {
			s.Host.Bodies.Hold(c.Content)
		}
		if p, err := module.Plan(ctx, v); err == nil && len(p.Changes)+len(p.Then) == 0 {
			return p
		}
	}
	return plan
}
