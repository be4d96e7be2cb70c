package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
	"muster/modules"
)

// window is how many tasks a host is granted at once. Half as many may be left
// to do when it is granted the next ones: so that no task waits for the
// controller or its journal.
const window = 16

// ErrStopped is a run that was told to stop.
var ErrStopped = errors.New("interrupted")

// Apply makes what Plan found. Hosts on which planning failed are left alone.
// Cancelling ctx aborts; see Stop for a clean end.
func (r *Run) Apply(ctx context.Context) *Summary {
	defer context.AfterFunc(ctx, r.abort)()
	r.mu.Lock()
	r.applying = true
	for _, h := range r.order {
		h.failed = h.failed || r.disagreed
		h.unplanned = h.failed
		h.ready()
	}
	r.lineUp()
	r.mu.Unlock()
	for _, h := range r.order {
		if h.hasFailed() {
			h.journalEnd() // nothing is made there
		}
	}
	r.takeBack(ctx)
	for i, p := range r.o.Playbook.Plays {
		var hosts []*hostRun
		for _, h := range r.order {
			if h.playRun(p) != nil {
				hosts = append(hosts, h)
			}
		}
		if len(hosts) == 0 {
			continue
		}
		r.emit(&PlayEvent{Play: p.Name})
		if !r.play(ctx, r.o.Playbook.Plays[i], hosts) {
			break
		}
		r.gather(ctx, p)
	}
	if ctx.Err() == nil && !r.stopping() {
		r.reviewMade(ctx)
		r.regain(ctx)
	}
	for _, h := range r.order {
		h.tellInHand()
		h.tellNotReached()
		h.journalEnd()
		h.acknowledge()
	}
	return r.Summary()
}

// ready marks what is still to be granted on the host: everything from the
// first pending task on.
func (h *hostRun) ready() {
	begun := false
	h.eachItem(func(it *item) {
		begun = begun || it.pending() || it.guess
		if begun && it.planned != nil && it.planned.Status != wire.Failed && !it.ev.Skip {
			it.final = false
		}
	})
}

// eachItem calls f for every item of the host's plays, in order.
func (h *hostRun) eachItem(f func(*item)) {
	eachNode(h.cutOffs, f)
	for _, p := range h.plays {
		eachNode(p.before, f)
		eachNode(p.nodes, f)
		eachNode(p.after, f)
	}
}

func eachNode(nodes []*node, f func(*item)) {
	for _, n := range nodes {
		switch {
		case n.item != nil:
			f(n.item)
		case n.block != nil:
			eachNode(n.block.nodes, f)
			eachNode(n.block.rescue, f)
			eachNode(n.block.always, f)
		}
	}
}

func (h *hostRun) playRun(p *plays.Play) *playRun {
	for _, pr := range h.plays {
		if pr.play == p {
			return pr
		}
	}
	return nil
}

// isOver reports whether nothing more is to be made on the host.
func (h *hostRun) isOver() bool {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.err != nil || h.failed || h.halted || h.run.stop
}

// sequence makes nodes in order, those of the list of steps at a place, and returns false where
// one failed for good.
func (h *hostRun) sequence(ctx context.Context, at []int, nodes []*node) bool {
	g := &granted{host: h}
	defer h.makes(next(at))
	for _, n := range nodes {
		if h.isOver() || g.failed() {
			break
		}
		ok := true
		switch {
		case n.item != nil:
			ok = h.item(ctx, g, n.item)
		case n.shared != nil:
			if ok = h.share(ctx, g, n.shared); !ok {
				n.item = n.shared // it counts here too
			}
		case n.block != nil:
			ok = g.drain(ctx) && h.makeBlock(ctx, n.block)
		case n.barrier != nil:
			ok = g.drain(ctx) && h.barrier(ctx, n.barrier)
		}
		if !ok {
			_ = g.drain(ctx)
			return false
		}
	}
	return g.drain(ctx)
}

// item grants an item. What can only be evaluated at its turn is, when
// everything before it is done.
func (h *hostRun) item(ctx context.Context, g *granted, it *item) bool {
	if it.final {
		return true
	}
	if it.planned == nil {
		return false
	}
	if it.planned.Status == wire.Failed {
		return it.ev.OnError == eval.Continue
	}
	if !h.awaitTurn(ctx, g, it) {
		return false
	}
	if !it.deferred() && it.on == h && !it.judged() && len(it.companions) == 0 && !it.reboots() {
		return g.grant(ctx, it)
	}
	if !g.drain(ctx) {
		return false
	}
	if it.deferred() {
		if err := h.again(ctx, it); err != nil {
			h.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: err.Error()})
			return it.ev.OnError == eval.Continue
		}
		if it.final {
			return true
		}
	}
	if it.on != h && it.ev.When != nil {
		if it.ev.When.Decide(h.truth) != modules.True {
			h.finish(it, &wire.Done{ID: it.id(), Status: wire.Skipped})
			return true
		}
		it.ev.When = nil
	}
	if it.reboots() {
		return h.makeReboot(ctx, it)
	}
	if len(it.companions) > 0 {
		return h.makeAccompanied(ctx, it)
	}
	return h.makeAlone(ctx, it)
}

// makeAccompanied makes an item that needs other hosts meanwhile.
func (h *hostRun) makeAccompanied(ctx context.Context, it *item) bool {
	release, err := h.hold(ctx, it)
	if err == nil {
		defer release()
		err = h.askAgain(ctx, it)
	}
	switch {
	case err == nil:
		return h.makeAlone(ctx, it)
	case errors.Is(err, ErrStopped) || ctx.Err() != nil || !h.usable():
		return false
	}
	h.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: err.Error()})
	return it.ev.OnError == eval.Continue
}

// deferred reports whether the item's arguments or condition were not known for
// certain when it was sent.
func (it *item) deferred() bool { return it.guess || it.ev.Undecided || len(it.ev.Unknown) > 0 }

// judged reports whether the controller decides what the item's end means.
func (it *item) judged() bool {
	return it.ev.ChangedWhen || it.ev.FailedWhen || it.ev.Retry != nil && it.ev.Retry.Until
}

// again evaluates an item whose arguments have become known, and sends it.
func (h *hostRun) again(ctx context.Context, it *item) error {
	h.run.mu.Lock()
	h.unheard = nil
	h.run.mu.Unlock()
	ev, err := evaluated(ctx, h, func() (*eval.Evaluated, eval.Waits, hcl.Diagnostics) { return it.scope.Evaluate(it.inst) })
	if err != nil {
		return err
	}
	if len(ev.Unknown) > 0 || ev.Undecided {
		return fmt.Errorf("what it reads isn't known although everything before it is done: %s%s", strings.Join(ev.Unknown, ", "), h.becauseOf())
	}
	it.ev, it.guess = ev, false
	it.rescued = it.rescued || ev.OnError == eval.Continue
	it.on.keep(ev.Bodies)
	h.run.o.Redact.Add(ev.Secrets...)
	if err := h.bring(ctx, walking{late: true}, it); err != nil {
		return err
	}
	if ev.Skip {
		h.finish(it, &wire.Done{ID: it.id(), Status: wire.Skipped})
		return nil
	}
	t := it.wire()
	t.Late = true
	it.forget()
	it.on.sendItem(it, t, true)
	return nil
}

// finish ends an item without its host.
func (h *hostRun) finish(it *item, d *wire.Done) {
	passedOver(d)
	h.run.tellDone(it, d)
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	it.done, it.final = d, true
	h.run.change.Broadcast()
}

// granted is the items of one sequence that the host has been told to make.
type granted struct {
	host  *hostRun
	items []*item
	next  []*item // to be granted together
}

// open counts the items that aren't done; the mutex is held.
func (g *granted) open() int {
	n := 0
	for _, it := range g.items {
		if it.done == nil {
			n++
		}
	}
	return n
}

// hasFailed reports whether an item failed for good; the mutex is held.
func (g *granted) hasFailed() bool {
	for _, it := range g.items {
		if it.done != nil && it.done.Status == wire.Failed && it.ev.OnError != eval.Continue {
			return true
		}
	}
	return false
}

func (g *granted) failed() bool {
	g.host.run.mu.Lock()
	defer g.host.run.mu.Unlock()
	return g.hasFailed()
}

// grant lets the host make an item, together with those that come next.
func (g *granted) grant(ctx context.Context, it *item) bool {
	g.next = append(g.next, it)
	return len(g.next) < window || g.send(ctx)
}

// send grants what was gathered, when the host has little left to do. It
// returns false where an item failed for good.
func (g *granted) send(ctx context.Context) bool {
	h, items := g.host, g.next
	g.next = nil
	if len(items) == 0 || h.isOver() {
		return true
	}
	err := h.run.await(ctx, func() bool { return g.open() <= window/2 || h.err != nil || g.hasFailed() || h.run.stop })
	if err != nil || h.isOver() || g.failed() || !h.run.begin(ctx, h) {
		return !g.failed()
	}
	defer h.run.begun(h)
	if h.isOver() || g.failed() || !h.journal(ctx, items...) {
		return !g.failed()
	}
	h.run.mu.Lock()
	g.items = append(g.items, items...)
	epoch := h.epoch + 1
	h.run.mu.Unlock()
	h.sendGrant("", epoch, items...)
	return true
}

// drain waits until everything granted is done. It returns false where
// something failed for good, and begins a new epoch then.
func (g *granted) drain(ctx context.Context) bool {
	h := g.host
	_ = g.send(ctx)
	h.flush()
	err := h.run.await(ctx, func() bool { return g.open() == 0 || h.err != nil })
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if err != nil || h.err != nil {
		return false
	}
	broke := g.hasFailed()
	if broke {
		h.epoch++
	}
	g.items = nil
	return !broke
}

// makeBlock makes a block: its steps; where one fails its rescue, which makes
// good for the failure if it succeeds; in any case what is always to be done.
func (h *hostRun) makeBlock(ctx context.Context, b *blockRun) bool {
	ok := h.sequence(ctx, b.walking.in(blockSteps).at, b.nodes)
	if !ok {
		h.run.mu.Lock()
		eachNode(b.nodes, func(it *item) { it.reverted = true })
		h.run.mu.Unlock()
	}
	if !ok && len(b.block.Rescue) > 0 && h.usable() && !h.run.stopping() {
		w := b.walking.in(blockRescue)
		w.late = true
		nodes, err := h.walk(ctx, w, b.scope, b.block.Rescue)
		b.rescue = nodes
		if ok = err == nil && h.sequence(ctx, w.at, nodes); ok {
			h.drop(b)
		}
	}
	if !b.walking.rescued {
		h.tellPassedOver(b)
	}
	h.passAll(b.scope, modules.False, b.block.Rescue) // those that weren't run
	if len(b.always) > 0 && h.usable() && !h.run.stopping() {
		h.run.mu.Lock()
		for _, n := range b.always {
			if n.item != nil && n.item.planned != nil && n.item.planned.Status != wire.Failed && !n.item.ev.Skip {
				n.item.final = false
			}
		}
		h.run.mu.Unlock()
		ok = h.sequence(ctx, b.walking.in(blockAlways).at, b.always) && ok
	}
	return ok
}

// tellPassedOver tells of what a block didn't come to, once it is known whether it was made
// good for.
func (h *hostRun) tellPassedOver(b *blockRun) {
	var list []*item
	h.run.mu.Lock()
	eachNode(b.nodes, func(it *item) {
		if !it.untold {
			return
		}
		if it.dropped {
			it.done.Status, it.done.Error = wire.Skipped, ""
		}
		list = append(list, it)
	})
	h.run.mu.Unlock()
	for _, it := range list {
		h.run.tellDone(it, it.done)
	}
}

// drop notes that a block which failed was made good for: what it didn't come to
// counts as skipped, also for conditions that the host decides.
func (h *hostRun) drop(b *blockRun) {
	lay := &wire.Lay{Settled: map[string]modules.Truth{}}
	h.run.mu.Lock()
	eachNode(b.nodes, func(it *item) {
		it.dropped = it.done == nil || it.done.Status == wire.Skipped || it.done.Status == wire.NotReached
		if o, settled := h.outcome(h.name, it.inst.ID); it.on == h && settled {
			lay.Settled[it.id()] = o.Changed
		}
	})
	h.run.mu.Unlock()
	h.send(&wire.Message{Lay: lay}, true)
}
