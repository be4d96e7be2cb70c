package haproxy

import (
	"context"
	"errors"
	"fmt"
	"muster/host"
	"time"
)

// each looks at the server again and again, until done says so or fails. HAProxy may be
// gone for a moment, as it is in a reload.
func (c *serverControl) each(ctx context.Context, done func(r *row, now time.Time) (bool, error)) error {
	answered := c.clock.now()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := c.look(ctx)
		now := c.clock.now()
		switch {
		case err == nil:
			answered = now
			if ok, err := done(r, now); ok || err != nil {
				return err
			}
		case errors.Is(err, errNoServer) || now.Sub(answered) >= gapTime:
			return err
		}
		if err := c.clock.sleep(ctx, pollTime); err != nil {
			return err
		}
	}
}

// awaitOut waits until the server has no sessions left, and sees to it that it stays out.
// An agent that was being asked when its check was switched off may still bring it back,
// so that it is looked at until the agent would have been asked twice.
func (c *serverControl) awaitOut(ctx context.Context, s *SetServer) error {
	began := c.clock.now()
	until, settled, interval := began.Add(s.Wait), began, time.Duration(0)
	lifts, told, ended := 0, -1, time.Time{}
	return c.each(ctx, func(r *row, now time.Time) (bool, error) {
		if r.hasAgent() && interval == 0 {
			interval = agentInterval(c.config, c.backend, c.server)
			settled = now.Add(2 * interval)
		}
		if r.forced() == ready || r.agentOn() {
			if lifts++; lifts > mostLifts {
				return false, fmt.Errorf("it is put back by somebody else each time that it is taken out: its agent, a run of another tool, or an operator")
			}
			if settled = now.Add(2 * interval); r.Weight != s.To.Weight {
				s.To.Weight = r.Weight // theirs
			}
			return false, c.set(ctx, s.To)
		}
		c.tell(ctx, s.To.State)
		left := r.Sessions + c.oldSessions(ctx)
		switch {
		case left == 0:
			return !now.Before(settled), nil
		case now.Before(until):
		case !s.Force:
			return false, fmt.Errorf("%s left after %s: give them longer, drain_timeout, or have them ended, force = true", host.Counted(left, "session is", "sessions are"), s.Wait)
		case ended.IsZero():
			ended = now
			return false, c.end(ctx)
		case now.Sub(ended) >= cutTime:
			return false, fmt.Errorf("%s left though HAProxy was told to end them", host.Counted(left, "session is", "sessions are"))
		}
		if left != told && c.host.Report != nil {
			c.host.Report(host.Counted(left, "session", "sessions") + " left")
		}
		told = left
		return false, nil
	})
}

// awaitChecked waits until the server's check has passed or failed once.
func (c *serverControl) awaitChecked(ctx context.Context, until time.Time) error {
	return c.each(ctx, func(r *row, now time.Time) (bool, error) {
		return r.Healthy || r.Op == opStopped || !r.checked() || !now.Before(until), nil
	})
}

// awaitUp waits until the server is up: where it is checked, until its check has passed.
func (c *serverControl) awaitUp(ctx context.Context, until time.Time, wait time.Duration) error {
	return c.each(ctx, func(r *row, now time.Time) (bool, error) {
		switch {
		case r.state() == ready && (r.Healthy || !r.checked()):
			return true, nil
		case r.Admin&(inheritedDrain|inheritedMaint) != 0:
			return false, fmt.Errorf("it is %s as the server is that it follows (track)", inWords(r.state()))
		case !now.Before(until):
			return false, fmt.Errorf("it isn't up after %s (%s): see what its check asks for; muster leaves it for HAProxy to use as soon as it is up", wait, r.Says)
		}
		return false, nil
	})
}
