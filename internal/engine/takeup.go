package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/internal/lang/eval"
	"muster/internal/wire"
	"muster/modules"
)

// A host whose connection is lost is taken up again in the same run. The new remote
// ends the one before it, and tells from what the host has kept which tasks have ended
// meanwhile. Then it is sent every task that isn't over, with what its plan showed,
// and granted those that were granted. What waits for the host notices nothing of it.

// barren is how many connections in a row may be lost before a task ends on a host.
const barren = 3

// pauses are those before each attempt to connect anew.
func (r *Run) pauses() []time.Duration {
	if r.o.Pauses != nil {
		return r.o.Pauses
	}
	return []time.Duration{500 * time.Millisecond, 4 * time.Second, 15 * time.Second}
}

// grant is one that a host was given.
type grant struct {
	chain string
	epoch int
	items []*item
}

// sendItem sends an item's task, and keeps it until the item is over.
func (h *hostRun) sendItem(it *item, t *wire.Task, queue bool) {
	kept := h.copyOf(t)
	h.run.mu.Lock()
	it.copy = kept
	it.sent, it.task = true, t
	h.sentItems = append(h.sentItems, it)
	l := h.link
	if h.taking {
		l = nil
	}
	h.run.mu.Unlock()
	h.sendBy(l, &wire.Message{Task: t}, queue)
}

// sendGrant lets the host make items.
func (h *hostRun) sendGrant(chain string, epoch int, items ...*item) {
	ids := make([]string, len(items))
	h.run.mu.Lock()
	if h.making() == nil {
		h.since = time.Now()
	}
	for i, it := range items {
		ids[i], it.granted, it.making = it.id(), true, true
	}
	for !h.taking && len(h.grants) > 0 && !h.grants[0].open() { // who takes the host up counts them
		h.grants = h.grants[1:]
	}
	h.grants = append(h.grants, grant{chain, epoch, items})
	l, ends := h.link, h.ends
	if h.taking {
		l = nil
	}
	h.run.mu.Unlock()
	h.sendBy(l, &wire.Message{Grant: &wire.Grant{IDs: ids, Chain: chain, Epoch: epoch, Acked: ends}}, false)
}

// open reports whether the end of one of its items is missing.
func (g *grant) open() bool {
	for _, it := range g.items {
		if it.making {
			return true
		}
	}
	return false
}

// cut notes that a link has ended, and takes the host up again where that may help.
func (h *hostRun) cut(l *link, why error) {
	r := h.run
	r.mu.Lock()
	if l.endCause == nil {
		l.endCause = why
	}
	r.change.Broadcast()
	if h.link != l || h.taking || h.err != nil || h.stopped {
		r.mu.Unlock()
		return
	}
	if h.ends > h.fruit {
		h.fruit, h.losses = h.ends, 0
	}
	ordered := h.rebooting
	if ordered == nil {
		h.losses++
	}
	if r.stop && ordered == nil || r.life.Err() != nil || h.losses > barren {
		r.mu.Unlock()
		h.lost(why)
		return
	}
	h.taking = true
	r.working.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.working.Done()
		if ordered != nil {
			h.awaitBoot(l, ordered)
		} else {
			h.takeUp(l, why)
		}
	}()
}

// takeUp connects anew, and goes on where the lost link left off.
func (h *hostRun) takeUp(l *link, why error) {
	r := h.run
	r.emit(&ProgressEvent{Host: h.name, Text: r.o.Redact.Redact(why.Error()) + "; connecting again"})
	var last error
	for _, pause := range r.pauses() {
		if !h.awaitWay() {
			h.giveUp(why)
			return
		}
		var err error
		l, err = h.reconnect(r.life, l, pause)
		var unknown *outcomeUnknown
		switch {
		case err == nil:
			return
		case r.life.Err() != nil:
			h.giveUp(why)
			return
		case errors.As(err, &unknown):
			h.giveUp(fmt.Errorf("%w; %w", why, err))
			return
		}
		last = err
	}
	h.giveUp(fmt.Errorf("%w; connecting again failed: %v", why, last))
}

// reconnect connects once more after a pause, in place of a link that has ended, and goes on
// where that left off. It returns the link that is the host's from then on.
func (h *hostRun) reconnect(ctx context.Context, l *link, pause time.Duration) (*link, error) {
	r := h.run
	r.working.Add(1)
	go func() { // it may take as long as the change in hand
		defer r.working.Done()
		_ = l.stream.Close()
	}()
	<-l.done // nothing more comes of it
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return l, context.Cause(ctx)
	}
	r.mu.Lock()
	h.takes++
	r.mu.Unlock()
	next, err := h.start(ctx, Start{Root: h.root || h.needsRoot()})
	if err != nil {
		return l, err
	}
	h.use(next)
	return next, h.goOn(next)
}

// outcomeUnknown is a host that can't tell what was made there.
type outcomeUnknown struct{ why string }

func (e *outcomeUnknown) Error() string { return "what was made there isn't known: " + e.why }

// giveUp ends the taking up of a host: it is lost.
func (h *hostRun) giveUp(why error) {
	h.run.mu.Lock()
	h.taking = false
	h.run.mu.Unlock()
	h.lost(why)
}

// tookUp takes the answer of a host that is taken up again.
func (h *hostRun) tookUp(l *link, m *wire.TakenUp) error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.takes == 0 || l.taken != nil {
		return fmt.Errorf("%w: the answer to a session that wasn't taken up", wire.ErrFrame)
	}
	l.taken = m
	h.run.change.Broadcast()
	return nil
}

// goOn sends a host, through a new link, what the run still has for it.
func (h *hostRun) goOn(l *link) error {
	r := h.run
	err := r.await(r.life, func() bool { return l.taken != nil || l.endCause != nil || h.err != nil })
	if err != nil {
		return err
	}
	r.mu.Lock()
	if h.err != nil || l.taken == nil {
		defer r.mu.Unlock()
		if h.err != nil {
			return h.err
		}
		return l.endCause
	}
	if l.taken.Unknown != "" && h.waited() {
		r.mu.Unlock()
		return &outcomeUnknown{l.taken.Unknown}
	}
	doubtful := h.doubtful(l.taken.Doubtful)
	stopping := r.stop
	r.mu.Unlock()
	if stopping { // told while nobody was there to hear it
		h.sendBy(l, &wire.Message{Cancel: &wire.Cancel{}}, false)
	}
	for _, it := range doubtful {
		it.owner.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: "the connection was lost while it was made: its outcome is unknown, and it isn't made a second time"})
	}
	h.sendBy(l, &wire.Message{Lay: &wire.Lay{Settled: h.truths()}}, true)
	items, grants := 0, 0
	broke := map[string]int{} // of a chain: the epoch in which a task of it failed
	for {
		r.mu.Lock()
		tasks, doubted := h.unfinished(items)
		moreGrants := h.grants[grants:]
		if l.endCause != nil {
			r.mu.Unlock()
			return l.endCause
		}
		if len(tasks) == 0 && items == len(h.sentItems) && len(moreGrants) == 0 {
			h.taking = false
			asked, reviewing, tracing, unanswered := h.asked, h.reviewing, h.tracing, h.unanswered()
			r.change.Broadcast()
			r.mu.Unlock()
			for _, t := range unanswered {
				h.sendBy(l, &wire.Message{Task: t}, true)
			}
			if reviewing != nil {
				h.sendBy(l, &wire.Message{Review: reviewing}, true)
			}
			if tracing != nil {
				h.sendBy(l, &wire.Message{Trace: tracing}, true)
			}
			if asked {
				h.sendBy(l, &wire.Message{Gather: &wire.Gather{}}, true)
			}
			h.flush()
			return nil
		}
		items, grants = len(h.sentItems), grants+len(moreGrants)
		r.mu.Unlock()
		for _, t := range tasks {
			h.sendBy(l, &wire.Message{Task: t}, true)
		}
		if len(doubted) > 0 {
			h.sendBy(l, &wire.Message{Lay: &wire.Lay{Doubted: doubted}}, true)
		}
		for _, g := range moreGrants {
			h.grantAgain(l, g, broke)
		}
	}
}

// waited reports whether the end of a task is missing that the host was told to make.
// The mutex is held.
func (h *hostRun) waited() bool {
	for i := range h.grants {
		if h.grants[i].open() {
			return true
		}
	}
	return false
}

// doubtful returns those items, of tasks that were begun and aren't to be made twice,
// whose end is missing: it never comes. The mutex is held.
func (h *hostRun) doubtful(ids []string) []*item {
	var list []*item
	for _, id := range ids {
		if it := h.sentTo(id); it != nil && it.making {
			it.making, it.once = false, true
			list = append(list, it)
		}
	}
	return list
}

// truths says which tasks that are over have changed something, for the conditions
// of those that aren't.
func (h *hostRun) truths() map[string]modules.Truth {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	m := map[string]modules.Truth{}
	for id, it := range h.outcomes {
		if it.on == h && it.id() == id && (it.final || it.dropped) && !it.remembered() {
			if o, settled := h.outcome(it.owner.name, it.inst.ID); settled {
				m[id] = o.Changed
			}
		}
	}
	return m
}

// unfinished returns the tasks of items, sent from the first-th on, that aren't over,
// each with what its plan showed, and the IDs of those that are doubted. The mutex is
// held.
func (h *hostRun) unfinished(first int) (list []*wire.Task, doubted []string) {
	seen := map[*item]bool{}
	for _, it := range h.sentItems[first:] {
		if !it.remembered() || seen[it] {
			continue
		}
		seen[it] = true
		t := *it.task
		if p := it.planned; p != nil && !t.Late {
			t.Shown = &wire.Planned{Certainty: p.Certainty, Changes: p.Changes, Then: p.Then, Wants: p.Wants}
			it.again = true
		}
		list = append(list, &t)
		if it.doubted {
			doubted = append(doubted, t.ID)
		}
	}
	return list, doubted
}

// remembered reports whether the item may still be made, and can be sent once more.
func (it *item) remembered() bool { return it.task != nil && it.done == nil }

// grantAgain grants what is left of an earlier grant.
func (h *hostRun) grantAgain(l *link, g grant, broke map[string]int) {
	r := h.run
	var ids []string
	var skipped []*item
	r.mu.Lock()
	for _, it := range g.items {
		switch {
		case it.done != nil && it.done.Status == wire.Failed && it.ev.OnError != eval.Continue:
			broke[g.chain] = g.epoch
		case it.making && broke[g.chain] >= g.epoch:
			it.making = false
			skipped = append(skipped, it)
		case it.making:
			ids = append(ids, it.id())
		}
	}
	ends := h.ends
	r.mu.Unlock()
	for _, it := range skipped {
		it.owner.finish(it, &wire.Done{ID: it.id(), Status: wire.Skipped, Error: "a task before it failed"})
	}
	if len(ids) > 0 {
		h.sendBy(l, &wire.Message{Grant: &wire.Grant{IDs: ids, Chain: g.chain, Epoch: g.epoch, Acked: ends}}, false)
	}
}

// unheard is what is said of a task that a lost host was told to make.
const unheard = "the connection was lost: " + EndUnknown

// inHand returns what the host was told to make, and of which nobody will hear. The
// mutex is held.
func (h *hostRun) inHand() []*item {
	var list []*item
	for i := range h.grants {
		for _, it := range h.grants[i].items {
			if it.making && it.owner == h && it.done == nil {
				list = append(list, it)
			}
		}
	}
	return list
}
