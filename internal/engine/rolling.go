package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/internal/lang"
)

// play makes a play on its hosts: all at once, or batch by batch. It returns
// false where the run goes no further.
func (r *Run) play(ctx context.Context, p *lang.Play, hosts []*hostRun) bool {
	if p.Rolling == nil {
		r.batch(ctx, p, hosts)
		return ctx.Err() == nil && !r.stopping()
	}
	// Hosts on which nothing would change take no place in a batch: the first
	// batch is to try the change.
	var due, rest []*hostRun
	for _, h := range hosts {
		if h.usable() && h.due(h.playRun(p)) {
			due = append(due, h)
		} else {
			rest = append(rest, h)
		}
	}
	r.batch(ctx, p, rest)
	allowed, failed := p.Rolling.MaxFailures.Of(len(hosts)), failures(rest)
	at := 0
	for _, size := range p.Rolling.Sizes(len(due)) {
		if ctx.Err() != nil || r.stopping() {
			return false
		}
		if len(failed) > allowed {
			r.halt(p, failed, due[at:])
			return false
		}
		batch := due[at : at+size]
		at += size
		r.batch(ctx, p, batch)
		failed = append(failed, failures(batch)...)
	}
	if len(failed) > allowed {
		r.halt(p, failed, nil)
		return false
	}
	return ctx.Err() == nil && !r.stopping()
}

// failures are those of hosts that have failed or are lost.
func failures(hosts []*hostRun) []*hostRun {
	return slices.DeleteFunc(slices.Clone(hosts), func(h *hostRun) bool { return !h.hasFailed() })
}

// halt ends a run whose rolling play has failed on too many hosts: what comes
// after the play counts on it.
func (r *Run) halt(p *lang.Play, failed, left []*hostRun) {
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
func (r *Run) batch(ctx context.Context, p *lang.Play, hosts []*hostRun) {
	r.mu.Lock()
	for _, h := range hosts {
		h.peers, h.barriers, h.away, h.underway = hosts, 0, false, true
	}
	r.mu.Unlock()
	each(hosts, func(h *hostRun) {
		if r.enter(ctx) == nil {
			h.makePlay(ctx, h.playRun(p))
			r.leave()
		}
		r.mu.Lock()
		h.away, h.underway = true, false
		r.change.Broadcast()
		r.mu.Unlock()
	})
}

// makePlay makes a play on the host: what a rolling play does before, the play
// itself, and what it does after, also where the host has failed.
func (h *hostRun) makePlay(ctx context.Context, p *playRun) {
	if h.out() {
		return
	}
	ok := h.sequence(ctx, p.before) && h.sequence(ctx, p.nodes)
	h.leave(p.nodes...)
	if len(p.after) > 0 && h.usable() && !h.run.stopping() && (ok || !p.play.Rolling.KeepOnFailure) {
		ok = h.sequence(ctx, p.after) && ok
	}
	if !ok {
		h.run.mu.Lock()
		h.failed = true
		h.run.change.Broadcast()
		h.run.mu.Unlock()
	}
	if !h.out() {
		h.completed++
	}
	if (h.completed == len(h.plays) || h.hasFailed()) && !h.served() {
		// Nothing more is made here: should the run be cut off while others go
		// on, the journal has how it ended.
		h.prove(ctx)
		h.journalEnd()
	}
}

// barrier waits until every host of the batch has come here, or can't.
func (h *hostRun) barrier(ctx context.Context) bool {
	h.run.mu.Lock()
	h.barriers++
	mine := h.barriers
	h.run.change.Broadcast()
	h.run.mu.Unlock()
	err := h.run.awaitOthers(ctx, func() bool {
		for _, p := range h.peers {
			if p.barriers < mine && !p.away && p.err == nil && !h.run.stop {
				return false
			}
		}
		return true
	})
	return err == nil && !h.out()
}

// due reports whether the play has to be made on the host: whether it would change
// something there, or was cut off there before.
func (h *hostRun) due(p *playRun) bool {
	due := h.run.o.Unfinished[h.name]
	eachNode(p.nodes, func(it *item) { due = due || it.pending() })
	return due
}

// hasFailed reports whether the host has failed or is lost.
func (h *hostRun) hasFailed() bool {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.failed || h.err != nil
}

// planAround plans what a rolling play does before and after, on a host on which
// it would change something. It is planned as it will be made, batch by batch: what
// two hosts do one after the other to a third is seen as such, and so is what they
// do at once.
func (h *hostRun) planAround(ctx context.Context, p *playRun, w way) error {
	r := p.play.Rolling
	if r == nil || len(r.Before)+len(r.After) == 0 {
		return nil
	}
	h.flush()
	if err := h.answered(ctx); err != nil {
		return err
	}
	batch, err := h.batchOf(ctx, p)
	if err != nil || batch < 0 || !h.usable() {
		return err
	}
	before, after := w, w
	if w.at != nil {
		before.at, after.at = []int{1, batch, 0}, []int{1, batch, 1}
	}
	h.stands(before)
	before.passing = true
	scope := h.run.o.Playbook.Scope(p.play, h.name, h)
	if p.before, err = h.walk(ctx, before, scope, r.Before); err != nil {
		return err
	}
	h.stands(after)
	p.after, err = h.walk(ctx, after, scope, r.After)
	return err
}

// batchOf returns the batch in which a rolling play comes to the host, from 0; -1
// where the play has nothing to do there. It waits until the play itself is planned
// on all of its hosts.
func (h *hostRun) batchOf(ctx context.Context, p *playRun) (int, error) {
	r := h.run
	r.mu.Lock()
	p.known = true
	r.change.Broadcast()
	var peers []*hostRun // in the order in which Apply takes them
	for _, o := range r.order {
		if o.playRun(p.play) != nil {
			peers = append(peers, o)
		}
	}
	r.mu.Unlock()
	err := r.awaitOthers(ctx, func() bool {
		for _, o := range peers {
			if !o.playRun(p.play).known && !o.walked && o.err == nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		return -1, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	place, due := -1, 0
	for _, o := range peers {
		if o.err != nil || !o.due(o.playRun(p.play)) {
			continue
		}
		if o == h {
			place = due
		}
		due++
	}
	if place < 0 {
		return -1, nil
	}
	batch := 0
	for i, size := range p.play.Rolling.Sizes(due) {
		if place >= 0 {
			batch = i
		}
		place -= size
	}
	return batch, nil
}
