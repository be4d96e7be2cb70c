package engine

import (
	"context"
	"fmt"
	"slices"

	"muster/internal/wire"
)

// review has every host on which something is pending plan its tasks once more, on
// what all of them will leave: no task may have anything left to do then. Hosts on
// which nothing is pending aren't asked.
func (r *Run) review(ctx context.Context) {
	each(r.reviewable(func(it *item) bool { return it.pending() }), func(h *hostRun) {
		if h.unusable() != nil || r.enter(ctx) != nil {
			return
		}
		conflicts, err := h.askReview(ctx, &wire.Review{})
		r.leave()
		if err != nil {
			h.unplannable(ctx, err)
			return
		}
		for _, c := range conflicts {
			it := r.itemOf(h, c.ID)
			it.owner.keepPlan(it, &wire.Planned{ID: c.ID, Status: wire.Failed, Certainty: wire.Known, Error: r.conflict(h, c)}, false)
		}
	})
}

// reviewMade proves every host that isn't proved yet.
func (r *Run) reviewMade(ctx context.Context) {
	r.mu.Lock()
	hosts := slices.Clone(r.order)
	r.mu.Unlock()
	each(hosts, func(h *hostRun) {
		if r.enter(ctx) == nil {
			h.prove(ctx)
			r.leave()
		}
	})
}

// prove has a host on which something was changed plan all its tasks once more, on
// the host as it is: each run proves that the whole play has settled. What a failed
// block left, or what was only for the time between, doesn't count. It is done once,
// when nothing more is to be made on the host.
func (h *hostRun) prove(ctx context.Context) {
	if h.proved || h.isOver() || h.unusable() != nil {
		return
	}
	h.proved = true
	if !h.actedOnBy(func(it *item) bool { return it.done != nil && it.done.Status == wire.Changed }) {
		return
	}
	conflicts, err := h.askReview(ctx, &wire.Review{Made: true, IDs: h.standing()})
	if err != nil {
		h.lost(err)
		return
	}
	for _, c := range conflicts {
		it := h.run.itemOf(h, c.ID)
		it.owner.finish(it, &wire.Done{ID: c.ID, Status: wire.Failed, Error: h.run.conflict(h, c)})
		h.run.mu.Lock()
		it.owner.failed = it.owner.failed || !it.rescued
		h.run.mu.Unlock()
	}
}

// conflict is what is told of a conflict on a host, with where the other task stands:
// it may have the same name.
func (r *Run) conflict(h *hostRun, c wire.Conflict) string {
	other := r.itemOf(h, c.Other)
	if other == nil {
		return c.Text
	}
	task, owner := other.inst.Task, ""
	if other.owner != r.itemOf(h, c.ID).owner {
		owner = ", for " + other.owner.name
	}
	return fmt.Sprintf("%s (the other one: %s:%d, play %q%s)", c.Text, task.Range.Filename, task.Range.Start.Line, task.Play.Name, owner)
}

// itemOf returns the item that is known by an ID on the host acted on.
func (r *Run) itemOf(h *hostRun, id string) *item {
	r.mu.Lock()
	defer r.mu.Unlock()
	return h.outcomes[id]
}

// reviewable returns the hosts acted on by an item for which is holds.
func (r *Run) reviewable(is func(*item) bool) []*hostRun {
	r.mu.Lock()
	hosts := slices.Clone(r.order)
	r.mu.Unlock()
	return slices.DeleteFunc(hosts, func(h *hostRun) bool { return !h.actedOnBy(is) })
}

// actedOnBy reports whether the host can be asked, and an item acts on it for which
// is holds.
func (h *hostRun) actedOnBy(is func(*item) bool) bool {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.err != nil || h.link == nil {
		return false
	}
	for _, it := range h.outcomes {
		if it.on == h && it.shared == nil && is(it) {
			return true
		}
	}
	return false
}

// standing returns the IDs of the tasks whose work is to stand on the host.
func (h *hostRun) standing() []string {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	var ids []string
	for id, it := range h.outcomes {
		if it.on != h || it.shared != nil || it.reverted || it.passing || it.planned == nil || it.planned.Always {
			continue
		}
		status := it.planned.Status
		if it.done != nil {
			status = it.done.Status
		}
		if it.id() == id && (status == wire.Changed || status == wire.Unchanged) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// askReview sends a review and waits for its answer.
func (h *hostRun) askReview(ctx context.Context, q *wire.Review) ([]wire.Conflict, error) {
	h.run.mu.Lock()
	h.reviewing, h.conflicts = q, nil
	h.run.mu.Unlock()
	h.send(&wire.Message{Review: q}, false)
	h.flush()
	err := h.run.await(ctx, func() bool { return h.reviewing == nil || h.err != nil })
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.conflicts, err
}

// takeReview takes the answer to a review.
func (h *hostRun) takeReview(m *wire.Reviewed) error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.reviewing == nil {
		return fmt.Errorf("%w: a review that wasn't asked for", wire.ErrFrame)
	}
	for _, c := range m.Conflicts {
		if it := h.outcomes[c.ID]; it == nil || it.on != h || it.shared != nil || it.planned == nil {
			return fmt.Errorf("%w: a conflict of a task that wasn't sent: %q", wire.ErrFrame, c.ID)
		}
	}
	h.reviewing, h.conflicts = nil, m.Conflicts
	h.run.change.Broadcast()
	return nil
}
