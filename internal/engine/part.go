package engine

import (
	"context"
	"slices"
	"time"

	"muster/internal/wire"
)

// acknowledge lets the host forget what it has kept: the controller has every end.
func (h *hostRun) acknowledge() {
	h.run.mu.Lock()
	ends, usable := h.ends, h.err == nil && !h.taking
	began := ends > 0 || h.takes > 0
	h.parting = began && usable && !h.waited()
	h.run.mu.Unlock()
	if began && usable {
		h.send(&wire.Message{Ack: &wire.Ack{Ends: ends}}, false)
	}
}

// partingTime is how long hosts may take to say that they have let go of what they kept.
// What one keeps that doesn't is sealed, and removed by a later run.
const partingTime = 3 * time.Second

// part waits until the hosts have let go of what they have kept. A connection that is
// closed may take with it what was sent last, and they would keep it then.
func (r *Run) part() {
	ctx, cancel := context.WithTimeout(context.Background(), partingTime)
	defer cancel()
	_ = r.await(ctx, func() bool {
		return !slices.ContainsFunc(r.order, func(h *hostRun) bool { return h.parting && h.err == nil && !h.taking })
	})
}

// regain waits for hosts that are being taken up again when the run is over, as those are
// whose bastion was the last to reboot: they can be told then that all they made is known.
func (r *Run) regain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, partingTime)
	defer cancel()
	_ = r.await(ctx, func() bool {
		return r.stop || !slices.ContainsFunc(r.order, func(h *hostRun) bool { return h.taking && h.ends > 0 && h.err == nil })
	})
}

// parted notes that the host has let go of what it kept.
func (h *hostRun) parted() {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	h.parting = false
	h.run.change.Broadcast()
}
