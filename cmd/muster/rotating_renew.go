package main

import (
	"context"
	"fmt"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/rotate"
	"muster/internal/view"
)

// Renew lets the first host that accepts the value know that its rotation is still in hand.
// It does so by a connection of its own, and not by a run: one's own part may have the host.
func (t *rotator) Renew(ctx context.Context, r *plays.Rotation) error {
	if len(r.Accept) == 0 {
		return nil
	}
	reach := newReach(t.loaded.inventory, t.loaded.dialing(func(string) {})) // it was said
	reach.password = t.app.becomePassword
	defer reach.close()
	reach.login, reach.asRoot = t.app.login, t.app.asRoot
	stream, err := reach.connect(ctx, r.Accept[0], engine.Start{Root: true})
	if err != nil {
		return err
	}
	a, err := engine.Renew(ctx, stream, r.Secret, t.by)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", r.Accept[0], err)
	case a.Error != "":
		return fmt.Errorf("%s: %s", r.Accept[0], view.CleanLine(a.Error))
	case a.By != t.by:
		return fmt.Errorf("%w: %s", rotate.ErrTaken, view.CleanLine(a.By))
	}
	return nil
}
