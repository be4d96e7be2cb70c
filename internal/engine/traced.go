package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/internal/wire"
)

// TraceEvent is what a host knows of who altered what a task would put right. It comes
// behind all plans.
type TraceEvent struct {
	Host, On string
	ID       string // of the task
	Known    []string
}

func (*TraceEvent) event() {}

// How much of a host's answer is taken: lines of a task, and bytes of each.
const (
	tracedLines = 8
	tracedBytes = 400
)

// trace asks every host on which something has drifted who has done that, once for all
// tasks. Hosts on which nothing has aren't asked.
func (r *Run) trace(ctx context.Context) {
	each(r.reviewable((*item).drifted), func(h *hostRun) {
		if h.unusable() != nil || r.enter(ctx) != nil {
			return
		}
		defer r.leave()
		ids := h.driftedIDs()
		q := &wire.Trace{IDs: ids}
		r.mu.Lock()
		h.tracing, h.traced = q, nil
		r.mu.Unlock()
		h.send(&wire.Message{Trace: q}, false)
		h.flush()
		if r.await(ctx, func() bool { return h.tracing == nil || h.err != nil }) != nil {
			return
		}
		r.mu.Lock()
		known := h.traced
		r.mu.Unlock()
		for i, lines := range known {
			if it := r.itemOf(h, ids[i]); it != nil && len(lines) > 0 {
				e := &TraceEvent{Host: it.inst.Host, ID: it.inst.ID, Known: r.tracedLines(lines)}
				if it.inst.Target != it.inst.Host {
					e.On = it.inst.Target
				}
				r.emit(e)
			}
		}
	})
}

// drifted reports whether the host isn't as the item says.
func (it *item) drifted() bool {
	return it.pending() && it.planned != nil && !it.planned.Always && it.planned.Certainty != wire.Deferred
}

func (h *hostRun) driftedIDs() (ids []string) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	for id, it := range h.outcomes {
		if it.on == h && it.shared == nil && it.id() == id && it.drifted() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tracedLines are lines of a host as they may be shown.
func (r *Run) tracedLines(lines []string) (list []string) {
	for _, text := range lines[:min(len(lines), tracedLines)] {
		text = r.o.Redact.Redact(text)
		list = append(list, strings.ToValidUTF8(text[:min(len(text), tracedBytes)], ""))
	}
	return list
}

// takeTrace takes the answer to a trace.
func (h *hostRun) takeTrace(m *wire.Traced) error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.tracing == nil || len(m.Known) != len(h.tracing.IDs) {
		return fmt.Errorf("%w: traces that weren't asked for", wire.ErrFrame)
	}
	h.tracing, h.traced = nil, m.Known
	h.run.change.Broadcast()
	return nil
}
