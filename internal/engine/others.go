package engine

import (
	"context"

	"muster/internal/lang"
)

// first is the host on which a play's `once` tasks run: the first that can be
// reached. Where none can, it is the first.
func (r *Run) first(ctx context.Context, p *lang.Play) (*hostRun, error) {
	var first *hostRun
	for _, name := range p.Hosts {
		if r.o.Limit != nil && !r.o.Limit[name] {
			continue
		}
		r.mu.Lock()
		h := r.hosts[name]
		r.mu.Unlock()
		if err := r.awaitOthers(ctx, func() bool { return h.link != nil || h.err != nil }); err != nil {
			return nil, err
		}
		r.mu.Lock()
		reached := h.link != nil
		r.mu.Unlock()
		if reached {
			return h, nil
		}
		if first == nil {
			first = h
		}
	}
	return first, nil
}

// helper returns a host that a task acts on, connected although it may have
// no play of its own, or be outside the limit.
func (r *Run) helper(ctx context.Context, name string) (*hostRun, error) {
	r.mu.Lock()
	h := r.hosts[name]
	mine := h == nil
	if mine {
		h = r.enlist(name)
	}
	r.mu.Unlock()
	if mine {
		h.root = true
		h.enroll(ctx)
	}
	err := r.awaitOthers(ctx, func() bool { return h.link != nil || h.err != nil })
	return h, err
}

// enlist adds a host that no play is about. The mutex is held.
func (r *Run) enlist(name string) *hostRun {
	h := &hostRun{name: name, run: r, outcomes: map[string]*item{}, walked: true, reached: len(r.o.Playbook.Plays)}
	r.hosts[name] = h
	r.order = append(r.order, h)
	return h
}

// enroll connects to such a host.
func (h *hostRun) enroll(ctx context.Context) {
	if err := h.connect(ctx); err != nil {
		h.lost(err)
	}
}
