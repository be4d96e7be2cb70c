package engine

import (
	"context"
	"slices"

	"muster/internal/wire"
)

// claim is an item that needs its companions' hosts: it gets all of them at once or none.
// Those that wait stand in the order in which they asked, and one that shares a host with
// an earlier one stays behind it. What holds the first up is only what hosts have in hand,
// which ends: so each comes through, whoever names whom.
type claim struct {
	it    *item
	hosts []*hostRun // that it holds
	had   bool
}

// about reports whether a claim needs a host.
func (c *claim) about(h *hostRun) bool { return c.it.on == h || slices.Contains(c.hosts, h) }

// busy reports whether a host has something in hand that a companion there would meet.
// The mutex is held.
func (h *hostRun) busy() bool {
	if h.starting > 0 || h.engaged > 0 {
		return true
	}
	return h.waited()
}

// free reports whether a host may begin something: no task holds it, and none waits for
// it to be idle. The mutex is held.
func (h *hostRun) free() bool {
	if h.holds > 0 {
		return false
	}
	return !slices.ContainsFunc(h.run.claims, func(c *claim) bool { return !c.had && slices.Contains(c.hosts, h) })
}

// ready reports whether a claim may be had. The mutex is held.
func (c *claim) ready() bool {
	if c.it.on.holds > 0 {
		return false
	}
	for _, h := range c.hosts {
		if h.holds >= wire.MaxSends || h.busy() {
			return false
		}
	}
	for _, o := range c.it.owner.run.claims {
		if o == c {
			return true
		}
		if !o.had && (c.about(o.it.on) || slices.ContainsFunc(o.hosts, c.about)) {
			return false
		}
	}
	return true
}

// hold waits until an item's companions are idle, and keeps them so until release is
// called. Before, what stands before the item in the play is over there.
func (h *hostRun) hold(ctx context.Context, it *item) (release func(), err error) {
	r := h.run
	c := &claim{it: it}
	for _, o := range it.companions {
		c.hosts = append(c.hosts, o.on)
	}
	lost := func() bool {
		return h.err != nil || it.on.err != nil || r.stop || slices.ContainsFunc(c.hosts, func(o *hostRun) bool { return o.err != nil })
	}
	held, err := r.claim(ctx, c, func() bool { return !it.precededOn(c.hosts) }, lost)
	release = func() { r.release(c) }
	if !held {
		release()
		for _, o := range it.companions {
			if gone := o.on.unusableTo("needs"); gone != nil && err == nil {
				err = unaccompanied{o, gone}
			}
		}
		if err == nil {
			err = ErrStopped
		}
	}
	return release, err
}

// claim waits until a claim's time has come, and then until it is had. It returns false
// where it isn't: with an error, or where it is lost meanwhile.
func (r *Run) claim(ctx context.Context, c *claim, come, lost func() bool) (bool, error) {
	if err := r.awaitOthers(ctx, func() bool { return lost() || come() }); err != nil {
		return false, err
	}
	r.mu.Lock()
	r.claims = append(r.claims, c)
	r.mu.Unlock()
	err := r.awaitOthers(ctx, func() bool {
		if c.had || lost() {
			return true
		}
		if c.had = c.ready(); c.had {
			c.it.on.engaged++
			for _, o := range c.hosts {
				o.holds++
			}
		}
		return c.had
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	c.it.held = c.had && err == nil
	return c.it.held, err
}

// release gives a claim's hosts back, once nothing is sent any more for its item.
func (r *Run) release(c *claim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.it.held = false
	if c.had {
		c.it.on.engaged--
	}
	r.change.Broadcast()
	if !r.flowing(c.it) {
		r.letGo(c)
		return
	}
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		_ = r.await(r.life, func() bool { return !r.flowing(c.it) })
		r.mu.Lock()
		defer r.mu.Unlock()
		r.letGo(c)
	}()
}

// letGo ends a claim. The mutex is held.
func (r *Run) letGo(c *claim) {
	if c.had {
		for _, h := range c.hosts {
			h.holds--
		}
	}
	r.claims = slices.DeleteFunc(r.claims, func(o *claim) bool { return o == c })
	r.change.Broadcast()
}

// precededOn reports whether a task is still to come on one of hosts that stands before
// the item in its play: what it brings there may be what the companion needs. Nobody waits
// for ever: what is waited for stands earlier. The mutex is held.
func (it *item) precededOn(hosts []*hostRun) bool {
	if it.at == nil {
		return false
	}
	for _, h := range hosts {
		for _, o := range h.outcomes {
			if o.on != h || o.at == nil || o.planned != nil && o.planned.Status == wire.Failed || !slices.Equal(o.at[:2], it.at[:2]) || o.over() {
				continue
			}
			if o.stands().compare(it.stands()) < 0 {
				return true
			}
		}
	}
	return false
}

// begin waits until a host may begin something, and keeps claims off it until begun is
// called: what is granted in between counts. It returns false where the run is over.
func (r *Run) begin(ctx context.Context, h *hostRun) bool {
	ok := false
	err := r.awaitOthers(ctx, func() bool {
		if !ok && h.free() {
			ok = true
			h.starting++
		}
		return ok || h.err != nil || r.stop
	})
	if err != nil && ok {
		r.begun(h)
	}
	return err == nil && ok
}

func (r *Run) begun(h *hostRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.starting--
	r.change.Broadcast()
}
