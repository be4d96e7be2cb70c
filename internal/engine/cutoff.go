package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"muster/internal/lang/eval"
	"muster/internal/wire"
)

// maxCutOffs is how many runs that were cut off a host may tell of.
const maxCutOffs = 100

// cutOff takes what a run that was cut off has left on the host: the change that takes
// it back stands in the plan, first of all, and is made first.
func (h *hostRun) cutOff(m *wire.CutOff) error {
	id, ok := strings.CutPrefix(m.ID, wire.CutOffID)
	p := &wire.Planned{ID: m.ID, Status: wire.Pending, Certainty: wire.Known, Changes: m.Changes, Digest: m.Digest}
	if err := planWellFormed(p); err != nil {
		return err
	}
	if !ok || len(m.Changes) == 0 {
		return fmt.Errorf("%w: %q left by a run that was cut off", wire.ErrFrame, m.ID)
	}
	if err := h.told.kept(m.Changes, nil, 0); err != nil {
		return err
	}
	r := h.run
	r.mu.Lock()
	switch {
	case h.outcomes[m.ID] != nil || r.applying:
		// The host was taken up again, and says it once more; or it was sent no task,
		// so that nobody waited for what it says.
		r.mu.Unlock()
		return nil
	case len(h.cutOffs) == maxCutOffs:
		r.mu.Unlock()
		return fmt.Errorf("%w: more than %d runs that were cut off", wire.ErrFrame, maxCutOffs)
	}
	inst := eval.Outside(h.name, m.ID, "left by a run that was cut off", fmt.Sprintf("run %.8s of %s", id, m.Since.Format(time.DateTime)))
	it := &item{inst: inst, owner: h, on: h, ev: plainly, sent: true, passing: true}
	h.outcomes[m.ID] = it
	h.cutOffs = append(h.cutOffs, &node{item: it})
	r.mu.Unlock()
	h.keepPlan(it, p, false)
	return nil
}

// takeBack makes what takes back what runs have left on the hosts, before any play.
func (r *Run) takeBack(ctx context.Context) {
	var hosts []*hostRun
	for _, h := range r.order {
		if len(h.cutOffs) > 0 && !h.hasFailed() {
			hosts = append(hosts, h)
		}
	}
	each(hosts, func(h *hostRun) {
		if r.enter(ctx) != nil {
			return
		}
		defer r.leave()
		if !h.sequence(ctx, nil, h.cutOffs) {
			r.mu.Lock()
			h.failed = true
			r.mu.Unlock()
		}
	})
}
