package engine

import (
	"context"
	"errors"

	"muster/internal/task"
	"muster/internal/wire"
)

// Stop lets every host finish the change in hand and begin no other. Planning ends.
func (r *Run) Stop() {
	r.mu.Lock()
	r.stop = true
	if r.endPlan != nil && !r.applying {
		r.endPlan()
	}
	r.change.Broadcast()
	r.mu.Unlock()
	for _, send := range r.cancels() {
		send()
	}
}

// abort ends what hosts have in hand, where that can be interrupted, and takes no
// host up again: nobody waits for them any more.
func (r *Run) abort() {
	r.end()
	for _, send := range r.cancels() {
		go send()
	}
}

// cancels are what tells each host to begin nothing more. A host that is being taken up
// again hears it when it is there.
func (r *Run) cancels() (list []func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.order {
		if l := h.link; l != nil && h.err == nil && !h.stopped {
			list = append(list, func() { _ = l.conn.Send(&wire.Message{Cancel: &wire.Cancel{}}) })
		}
	}
	return list
}

func (r *Run) stopping() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}

// EndUnknown is what is said of a task that a host was making when the run ended.
const EndUnknown = "whether it was made isn't known"

// tellInHand tells of the task that was in hand when the run was aborted: nobody
// waited for its end. The journal has it as granted.
func (h *hostRun) tellInHand() {
	h.run.mu.Lock()
	var inHand *item
	h.eachItem(func(it *item) {
		if inHand == nil && h.err == nil && it.granted && it.done == nil {
			inHand = it
		}
	})
	if inHand != nil {
		inHand.done, inHand.final = &wire.Done{ID: inHand.id(), Status: wire.Unknown, Error: "aborted: " + EndUnknown}, true
	}
	h.run.mu.Unlock()
	if inHand != nil {
		h.run.tell(inHand, TaskEvent{Planned: task.Planned{Status: wire.Unknown, Error: inHand.done.Error}})
	}
}

// tellNotReached tells of the tasks whose turn the host was never given, now that nothing more
// comes: each that the summary counts has an event.
func (h *hostRun) tellNotReached() {
	var list []*item
	failed := false
	h.run.mu.Lock()
	h.eachItem(func(it *item) {
		failed = failed || it.done != nil && it.done.Status == wire.Failed || it.planned != nil && it.planned.Status == wire.Failed
		if it.done == nil && !it.dropped && !it.plannedOnly(true) {
			list = append(list, it)
		}
	})
	why := "the run ended before its turn"
	switch {
	case h.err != nil && !errors.Is(h.err, ErrStopped):
		why = "its host could no longer be used"
	case failed:
		why = "a task before it failed"
	}
	h.run.mu.Unlock()
	for _, it := range list {
		h.run.tell(it, TaskEvent{Planned: task.Planned{Status: wire.NotReached, Error: why}})
	}
}

// unplannable notes that planning has come to no end on the host: because of an error, or
// since nobody waits for it any more, which is no failure of the host's.
func (h *hostRun) unplannable(ctx context.Context, err error) {
	if ctx.Err() == nil {
		h.lost(err)
		return
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.err == nil && !h.losing {
		h.losing, h.err = true, ErrStopped
	}
	h.run.change.Broadcast()
}
