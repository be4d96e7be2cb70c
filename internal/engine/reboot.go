package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster/internal/lang/plays"
	"muster/internal/wire"
	"muster/modules"
)

// A host that reboots ends its connection, and the task that ordered it has been made when
// it greets with another boot id. Till then it is connected to again and again, those that
// are reached through it begin nothing, and where their connections are lost, too, they wait
// for it.

// reboot is one that a host was told it may order.
type reboot struct {
	it    *item
	boot  string    // the id of the boot that is to end
	until time.Time // it is waited for no longer
	over  bool      // that time is over: the old boot will do, to be told so
}

// bootPause is how long is waited before each attempt.
const bootPause = 2 * time.Second

var (
	errSameBoot   = errors.New("it is still in the boot that was to end")
	errOwnMachine = errors.New("this is the machine that muster itself runs on: a reboot would end the run, and nobody would go on with it. Reboot it by hand")
)

// reboots reports whether the item's host reboots for it.
func (it *item) reboots() bool {
	return it.owner.run.reboots(it.inst.Task)
}

func (r *Run) reboots(t *plays.Task) bool {
	k := r.o.Kinds.Kind(t.Kind)
	return k != nil && k.Reboots
}

// bound is how long the item may take at most; 0: nobody has said it.
func (it *item) bound() time.Duration {
	if it.reboots() {
		return cmp.Or(it.ev.Timeout, modules.RebootTime)
	}
	return it.ev.Timeout
}

// makeReboot makes an item of which its host reboots. Those that are reached through the
// host come past the same task first, and begin nothing until it is back.
func (h *hostRun) makeReboot(ctx context.Context, it *item) bool {
	if it.on == h && it.ev.When != nil && it.ev.When.Decide(h.truth) == modules.False {
		return h.makeAlone(ctx, it) // the host says that it is skipped
	}
	r := h.run
	c := &claim{it: it}
	r.mu.Lock()
	for _, o := range r.order {
		if o != h && o != it.on && r.leads(it.on, o) {
			c.hosts = append(c.hosts, o)
		}
	}
	r.mu.Unlock()
	if len(c.hosts) == 0 {
		return h.makeAlone(ctx, it)
	}
	held, err := r.claim(ctx, c, func() bool { return !it.awaitedBy(c.hosts) }, func() bool { return h.err != nil || it.on.err != nil || r.stop })
	defer r.release(c)
	if !held || err != nil {
		return false
	}
	return h.makeAlone(ctx, it)
}

// leads reports whether a host is reached through another.
func (r *Run) leads(through, to *hostRun) bool {
	return r.o.Behind != nil && slices.Contains(r.o.Behind(through.name), to.name)
}

// awaitedBy reports whether one of hosts has the item's task still to make in this batch.
// Nobody waits for ever: no host is reached through one that is reached through it. The
// mutex is held.
func (it *item) awaitedBy(hosts []*hostRun) bool {
	return slices.ContainsFunc(hosts, func(o *hostRun) bool {
		same := o.outcomes[it.inst.ID]
		return same != nil && same.owner == o && slices.Contains(it.owner.peers, o) && !same.over()
	})
}

// reboot answers a host that asks whether it may reboot: for a task that it was told to
// make, and that does so.
func (l *link) reboot(m *wire.Reboot) error {
	h, r := l.host, l.host.run
	r.mu.Lock()
	defer r.mu.Unlock()
	it := h.sentTo(m.ID)
	if it == nil || !it.making || !it.reboots() || m.Boot == "" {
		return fmt.Errorf("%w: a reboot that no task orders", wire.ErrFrame)
	}
	answer := &wire.Reboot{ID: m.ID}
	switch {
	case r.stop:
		answer.Error = ErrStopped.Error()
	case m.Boot == r.o.Boot:
		answer.Error = errOwnMachine.Error()
	default:
		h.rebooting = &reboot{it: it, boot: m.Boot, until: time.Now().Add(it.bound())}
	}
	r.working.Add(1)
	go func() {
		defer r.working.Done()
		_ = l.conn.Send(&wire.Message{Reboot: answer})
	}()
	return nil
}

// rebooted notes that an item is over. The mutex is held.
func (h *hostRun) rebooted(it *item) {
	if h.rebooting != nil && h.rebooting.it == it {
		h.rebooting = nil
	}
}

// otherBoot returns an error where a host that is to reboot greets from the boot that it
// was in.
func (h *hostRun) otherBoot(facts []byte) error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.rebooting == nil || h.rebooting.over {
		return nil
	}
	var said struct {
		Boot string `json:"boot_id"`
	}
	if err := json.Unmarshal(facts, &said); err != nil {
		return fmt.Errorf("its facts: %w", err)
	}
	if said.Boot == h.rebooting.boot {
		return errSameBoot
	}
	return nil
}

// awaitWay waits until no host reboots through which this one is reached. It returns false
// where the run is over.
func (h *hostRun) awaitWay() bool {
	r := h.run
	return r.await(r.life, func() bool {
		return !slices.ContainsFunc(r.order, func(o *hostRun) bool { return o.rebooting != nil && r.leads(o, h) })
	}) == nil
}

// awaitBoot connects to a host until it is back, and goes on there.
func (h *hostRun) awaitBoot(l *link, b *reboot) {
	r := h.run
	bound := b.it.bound()
	r.emit(&ProgressEvent{Host: h.name, Task: b.it.id(), Text: "it reboots: waiting for its next boot"})
	ctx, cancel := context.WithDeadline(r.life, b.until)
	defer cancel()
	last := error(ErrLost)
	for ctx.Err() == nil {
		if !h.awaitWay() {
			break
		}
		var err error
		l, err = h.reconnect(ctx, l, cmp.Or(r.o.BootPause, bootPause))
		var unknown *outcomeUnknown
		switch {
		case err == nil:
			return
		case errors.As(err, &unknown):
			h.giveUp(err)
			return
		case ctx.Err() == nil:
			last = err
		}
	}
	if r.life.Err() != nil {
		h.giveUp(ErrLost)
		return
	}
	if errors.Is(last, errSameBoot) {
		r.mu.Lock()
		b.over = true
		r.mu.Unlock()
		if _, last = h.reconnect(r.life, l, 0); last == nil {
			return
		}
	}
	h.notBack(b, fmt.Errorf("it was told to reboot and wasn't back within %s, with another boot id than %s; the last attempt to connect: %w", bound, b.boot, last))
}

// notBack fails the task of a host that can't be reached any more after its reboot.
func (h *hostRun) notBack(b *reboot, why error) {
	h.run.mu.Lock()
	pending := b.it.making && b.it.done == nil
	b.it.making = false
	h.run.mu.Unlock()
	if pending {
		b.it.owner.finish(b.it, &wire.Done{ID: b.it.id(), Status: wire.Failed, Error: h.run.redactedError(why).Error()})
	}
	h.giveUp(why)
}
