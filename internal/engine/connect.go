package engine

import (
	"context"
	"errors"
)

// connect starts the host's remote, unless it is started.
func (h *hostRun) connect(ctx context.Context) error {
	how := Start{Root: h.root || h.needsRoot()}
	l, err := h.start(ctx, how)
	if errors.Is(err, errDamaged) || errors.Is(err, errMute) {
		how.Fresh = true
		l, err = h.start(ctx, how)
	}
	if err != nil {
		return err
	}
	h.use(l)
	said := l.said
	l.said = nil
	if saved, ok := h.run.o.Facts[h.name]; ok {
		said = saved
	}
	if h.run.o.KeepFacts {
		h.run.mu.Lock()
		h.said = said
		h.run.mu.Unlock()
	}
	return h.setFacts(said)
}

// start connects once.
func (h *hostRun) start(ctx context.Context, how Start) (*link, error) {
	stream, err := h.run.o.Connect(ctx, h.name, how)
	if err != nil {
		return nil, err
	}
	return h.open(ctx, stream)
}

// needsRoot reports whether a task may have to become another user.
func (h *hostRun) needsRoot() bool {
	for _, p := range h.plays {
		if p.play.MayBecome() {
			return true
		}
	}
	return false
}
