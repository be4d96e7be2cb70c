package engine

import (
	"context"
	"slices"

	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// A rolling play with something around it, or with tasks on other hosts, is planned as
// it is made: batch by batch what stands `before`, the play, and what stands `after`,
// each on the preview of what comes before it. Which hosts that is done for has to be
// known first: those on which the play itself would change something. So it is planned
// by itself on all of its hosts, a trial. Where it has nothing to do that is its plan.
// Elsewhere the hosts drop it, and what is shown, and held to, is the second one.

// bracketed reports whether a play is planned so.
func bracketed(p *plays.Play) bool {
	return p.Rolling != nil && (len(p.Rolling.Before)+len(p.Rolling.After) > 0 || actsElsewhere(p))
}

func (p *playRun) bracketed() bool { return bracketed(p.play) }

// The parts of a batch, in the order in which they are planned and made.
const (
	partBefore = iota
	partPlay
	partAfter
)

// planBracket plans a rolling play on the host.
func (h *hostRun) planBracket(ctx context.Context, p *playRun, w walking) error {
	w.trial = true
	err := h.walkPart(ctx, p, w, p.play.Steps, &p.nodes)
	if err != nil {
		return err
	}
	if err := h.batchOf(ctx, p); err != nil || !h.usable() {
		return err
	}
	if p.batch == 0 {
		h.keepTrial(p.nodes)
		return nil
	}
	if err := h.dropTrial(ctx, p); err != nil {
		return err
	}
	w.trial, w.stepwise = false, true
	for part, steps := range [][]*plays.Step{p.play.Rolling.Before, p.play.Steps, p.play.Rolling.After} {
		w := w
		w.passing = part == partBefore
		if w.at != nil {
			w.at = p.at(part)
		}
		if actsElsewhere(p.play) {
			if err := h.awaitPart(ctx, w); err != nil {
				return err
			}
		}
		if err := h.walkPart(ctx, p, w, steps, []*[]*node{&p.before, &p.nodes, &p.after}[part]); err != nil {
			return err
		}
	}
	return nil
}

// walkPart plans steps of a play, and waits until they are planned.
func (h *hostRun) walkPart(ctx context.Context, p *playRun, w walking, steps []*plays.Step, nodes *[]*node) (err error) {
	*nodes, err = h.walk(ctx, w, h.run.o.Playbook.Scope(p.play, h.name, h), steps)
	if err != nil {
		return err
	}
	h.flush()
	return h.answered(ctx)
}

// awaitPart waits until every host of the play is where it may plan this part: all have
// dropped their trials, and those of earlier batches and the batch's own earlier parts
// are planned.
func (h *hostRun) awaitPart(ctx context.Context, w walking) error {
	h.mixed = w.play
	return h.awaitPlanTurn(ctx, w, h)
}

// keepTrial takes a trial for the plan.
func (h *hostRun) keepTrial(nodes []*node) {
	eachNode(nodes, func(it *item) {
		h.run.mu.Lock()
		planned := it.planned
		it.trial = false
		h.run.mu.Unlock()
		if planned != nil { // else the host that it acts on is lost
			h.keepPlan(it, planned, planned.Status == wire.Unchanged || planned.Status == wire.Skipped)
		}
	})
}

// dropTrial has every host that a trial was planned on forget it.
func (h *hostRun) dropTrial(ctx context.Context, p *playRun) error {
	r := h.run
	ids := map[*hostRun][]string{}
	r.mu.Lock()
	eachNode(p.nodes, func(it *item) {
		if it.sent {
			ids[it.on] = append(ids[it.on], it.id())
		}
		it.task = nil // nor is it sent to a host that is taken up
		delete(h.outcomes, it.inst.ID)
		delete(it.on.outcomes, it.id())
	})
	p.nodes = nil
	r.mu.Unlock()
	for on, list := range ids {
		// A host that is being taken up may have been sent them once more.
		if err := r.await(ctx, func() bool { return !on.taking || on.err != nil }); err != nil {
			return err
		}
		on.send(&wire.Message{Drop: &wire.Drop{IDs: list}}, true)
		on.flush()
	}
	return nil
}

// batchOf finds the batch in which a rolling play comes to the host; none where the play
// has nothing to do there. It waits until the play itself is planned on all of its hosts.
func (h *hostRun) batchOf(ctx context.Context, p *playRun) error {
	r := h.run
	r.mu.Lock()
	p.wanted = h.due(p)
	var peers []*hostRun // in the order in which Apply takes them
	for _, o := range r.order {
		if o.playRun(p.play) != nil {
			peers = append(peers, o)
		}
	}
	r.mu.Unlock()
	tried := place{at: []int{p.play.Index, roundBatches}}
	h.comesTo(tried)
	if err := r.awaitOthers(ctx, func() bool { return past(slices.Values(peers), tried) }); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	place, due := -1, 0
	for _, o := range peers {
		if o.err != nil || !o.playRun(p.play).wanted {
			continue
		}
		if o == h {
			place = due
		}
		due++
	}
	if place < 0 {
		return nil
	}
	for i, size := range p.play.Rolling.Sizes(due) {
		if place >= 0 {
			p.batch = i + 1
		}
		place -= size
	}
	return nil
}
