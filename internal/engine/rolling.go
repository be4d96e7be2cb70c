package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// play makes a play on its hosts: all at once, or batch by batch. It returns
// false where the run goes no further.
func (r *Run) play(ctx context.Context, p *plays.Play, hosts []*hostRun) bool {
	if p.Rolling == nil {
		r.batch(ctx, p, hosts)
		return ctx.Err() == nil && !r.stopping()
	}
	// Hosts on which nothing would change take no place in a batch: the first
	// batch is to try the change. Nor do those that are out already: they count as
	// failed before any other is touched.
	var due, rest []*hostRun
	for _, h := range hosts {
		if h.usable() && !h.hasFailed() && h.due(h.playRun(p)) {
			due = append(due, h)
		} else {
			rest = append(rest, h)
		}
	}
	allowed, failed := p.Rolling.MaxFailures.Of(len(hosts)), failures(rest)
	sizes := r.sizes(p, due)
	if len(sizes) == 0 {
		r.batch(ctx, p, rest)
		failed = failures(rest)
	}
	at := 0
	for i, size := range sizes {
		if ctx.Err() != nil || r.stopping() {
			return false
		}
		if len(failed) > allowed {
			r.halt(p, failed, due[at:])
			return false
		}
		batch := due[at : at+size]
		at += size
		if i == 0 { // the rest may wait for what one of the batch makes once for all
			batch, failed = append(rest, batch...), nil
		}
		r.batch(ctx, p, batch)
		failed = append(failed, failures(batch)...)
	}
	if len(failed) > allowed {
		r.halt(p, failed, nil)
		return false
	}
	return ctx.Err() == nil && !r.stopping()
}

// sizes returns how many hosts each batch has: those of the plan, as far as they are
// still there, where it was made batch by batch.
func (r *Run) sizes(p *plays.Play, due []*hostRun) []int {
	if !bracketed(p) {
		return p.Rolling.Sizes(len(due))
	}
	var sizes []int
	last := 0
	for _, h := range due {
		if b := h.playRun(p).batch; b != last || len(sizes) == 0 {
			last, sizes = b, append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	return sizes
}

// failures are those of hosts that have failed or are lost.
func failures(hosts []*hostRun) []*hostRun {
	return slices.DeleteFunc(slices.Clone(hosts), func(h *hostRun) bool { return !h.hasFailed() })
}

// halt ends a run whose rolling play has failed on too many hosts: what comes
// after the play counts on it.
func (r *Run) halt(p *plays.Play, failed, left []*hostRun) {
	text := fmt.Sprintf("%s: failed on %s, which is more than max_failures allows: ", p.Name, listed(failed))
	switch len(left) {
	case 0:
		text += "the run stops here"
	case 1:
		text += listed(left) + " is left as it is"
	default:
		text += listed(left) + " are left as they are"
	}
	r.emit(&NoticeEvent{Text: text, Fault: true})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range left {
		h.halted = true
	}
}

// listed names up to four hosts, and counts more.
func listed(hosts []*hostRun) string {
	var names []string
	for _, h := range hosts {
		names = append(names, h.name)
	}
	if n := len(names) - 3; n > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n)
	}
	return strings.Join(names, ", ")
}

// batch makes a play on some of its hosts at once.
func (r *Run) batch(ctx context.Context, p *plays.Play, hosts []*hostRun) {
	r.mu.Lock()
	for _, h := range hosts {
		h.peers, h.place = hosts, place{making: true, at: []int{p.Index, roundAll}}
	}
	r.mu.Unlock()
	each(hosts, func(h *hostRun) {
		if r.enter(ctx) == nil {
			h.makePlay(ctx, h.playRun(p))
			r.leave()
		}
		h.makes([]int{p.Index, roundOver})
	})
}

// makePlay makes a play on the host: what a rolling play does before, the play
// itself, and what it does after, also where the host has failed.
func (h *hostRun) makePlay(ctx context.Context, p *playRun) {
	if h.isOver() {
		return
	}
	ok := len(p.before) == 0 || h.sequence(ctx, p.at(partBefore), p.before)
	ok = ok && h.sequence(ctx, p.at(partPlay), p.nodes)
	h.makes(next(p.at(partPlay))) // also where what stands before it has failed
	if len(p.after) > 0 && h.usable() && !h.run.stopping() && (ok || !p.play.Rolling.KeepOnFailure) {
		ok = h.sequence(ctx, p.at(partAfter), p.after) && ok
	}
	if !ok {
		h.run.mu.Lock()
		h.failed = true
		h.run.change.Broadcast()
		h.run.mu.Unlock()
	}
	if !h.isOver() {
		h.completed++
	}
	if (h.completed == len(h.plays) || h.hasFailed()) && !h.served() {
		// Nothing more is made here: should the run be cut off while others go
		// on, the journal has how it ended.
		h.prove(ctx)
		h.journalEnd()
	}
}

// barrier waits until every host of the batch has come to the barrier at a place, or can't.
func (h *hostRun) barrier(ctx context.Context, at []int) bool {
	h.makes(at)
	r, here := h.run, place{making: true, at: at}
	err := r.awaitOthers(ctx, func() bool { return r.stop || past(slices.Values(h.peers), here) })
	return err == nil && !h.isOver()
}

// due reports whether the play has to be made on the host: whether it would change
// something there, or was cut off there before.
func (h *hostRun) due(p *playRun) bool {
	if p.batch > 0 {
		return true
	}
	due := h.run.o.Unfinished[h.name]
	eachNode(p.nodes, func(it *item) { due = due || it.unsettled() })
	return due
}

// unsettled reports whether the item is anything but done already: it would change
// something, or can't be planned as the host is.
func (it *item) unsettled() bool {
	return it.pending() || it.planned != nil && it.planned.Status == wire.Failed && it.ev.OnError != eval.Continue
}

// hasFailed reports whether the host has failed or is lost.
func (h *hostRun) hasFailed() bool {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.failed || h.err != nil
}
