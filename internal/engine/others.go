package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
)

// first is the host on which a play's `once` tasks run: the first that can be
// reached. Where none can, it is the first.
func (r *Run) first(ctx context.Context, p *plays.Play) (*hostRun, error) {
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

// actedOn waits until every host has sent what its plays before this one have for
// other hosts: this one may be among those.
func (h *hostRun) actedOn(ctx context.Context, p *plays.Play) error {
	r := h.run
	for _, q := range r.o.Playbook.Plays[:p.Index] {
		if !actsElsewhere(q) {
			continue
		}
		h.flush()
		if err := r.awaitOthers(ctx, func() bool { return past(r.of(q), place{at: []int{q.Index + 1}}) }); err != nil {
			return err
		}
	}
	return nil
}

// actsElsewhere reports whether a play has tasks for other hosts than its own.
func actsElsewhere(p *plays.Play) bool {
	for t := range p.Tasks() {
		if t.ActsElsewhere() {
			return true
		}
	}
	return false
}

// served reports whether tasks of other hosts may act on the host: those that were
// planned there, and those of a rescue, which nobody knows before its block fails.
func (h *hostRun) served() bool {
	for _, p := range h.run.o.Playbook.Plays {
		for t := range p.Rescues() {
			if t.ActsElsewhere() {
				return true
			}
		}
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	for _, it := range h.outcomes {
		if it.on == h && it.owner != h {
			return true
		}
	}
	return false
}

// awaitPlanTurn waits until a task may be planned that may act on another host, or that
// stands behind one. Such tasks are planned in the order of the play's tasks, and each in that of its
// hosts, whoever is faster, and behind what the plays before have for the host that is
// acted on: a plan that is made again has to be the same, and is made in that order.
//
// Nobody waits for ever: expressions read only what stands earlier.
func (h *hostRun) awaitPlanTurn(ctx context.Context, w walking, on *hostRun) error {
	if w.at == nil || h.mixed != w.play {
		return nil
	}
	r := h.run
	h.walks(w)
	ready := func() bool {
		return on.past(place{at: []int{w.play.Index}}) && past(r.of(w.play), place{at: w.at, rank: w.rank})
	}
	r.mu.Lock()
	now := ready()
	r.mu.Unlock()
	if now {
		return nil
	}
	h.flush()
	return r.awaitOthers(ctx, ready)
}

// unusable is why nothing can be made on the host for others: it can't be
// reached, or planning failed on it, and then it is left as it is. A host whose
// own tasks failed while they were made still is: what puts a server back into a
// load balancer has to be run there.
func (h *hostRun) unusable() error { return h.unusableTo("acts on") }

func (h *hostRun) unusableTo(verb string) error {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	switch {
	case h.err != nil:
		return fmt.Errorf("the host %s, which it %s, can't be used: %w", h.name, verb, h.err)
	case h.unplanned:
		return fmt.Errorf("planning failed on the host %s, which it %s: it is left as it is", h.name, verb)
	}
	return nil
}

// enlist adds a host that no play is about. The mutex is held.
func (r *Run) enlist(name string) *hostRun {
	h := &hostRun{name: name, run: r, outcomes: map[string]*item{}, place: place{making: true}}
	r.hosts[name] = h
	r.order = append(r.order, h)
	return h
}

// enroll connects to such a host.
func (h *hostRun) enroll(ctx context.Context) {
	if err := h.connect(ctx); err != nil {
		h.unplannable(ctx, err)
	}
}

// silent notes, for what the host evaluates, that a result of another can't be known: that one
// can't be used, or a task on it failed. The mutex is held.
func (h *hostRun) silent(of *hostRun) {
	if of == h || of.err == nil && !of.failed {
		return
	}
	if h.unheard == nil {
		h.unheard = map[string]bool{}
	}
	h.unheard[of.name] = true
}

// becauseOf says of which hosts something is read that can't be known, and why; "" where there
// are none.
func (h *hostRun) becauseOf() string {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(h.unheard)) {
		list = append(list, h.run.hosts[name].whyOut())
	}
	if len(list) == 0 {
		return ""
	}
	return ", because " + strings.Join(list, ", and ")
}

// whyOut says, as a clause, why nothing more comes of a host; "" where it may. The mutex is held.
func (h *hostRun) whyOut() string {
	switch {
	case h.err != nil:
		return h.name + " can't be used"
	case !h.failed:
		return ""
	}
	what := "a task"
	h.eachItem(func(it *item) {
		if what == "a task" && it.failedForGood() {
			what = strings.TrimPrefix(it.inst.Task.Name(), "task.")
		}
	})
	return fmt.Sprintf("%s failed on %s", what, h.name)
}

// failedForGood reports whether an item has failed, and nothing made good for it. The mutex is
// held.
func (it *item) failedForGood() bool {
	failed := it.planned != nil && it.planned.Status == wire.Failed
	if it.done != nil {
		failed = it.done.Status == wire.Failed
	}
	return failed && !it.rescued && !it.dropped
}

// share takes the end of a `once` task that another host makes for this one too:
// its failure is this host's as well. Where it is still to be made, it is waited
// for, as what comes behind it may count on it.
func (h *hostRun) share(ctx context.Context, g *granted, it *item) bool {
	r, first := h.run, it.shared.owner
	settled := func() bool {
		made := first.outcomes[it.inst.ID]
		return r.stop || first.failed || made != nil && made.over() || made == nil && first.past(place{making: true, at: next(it.at)})
	}
	r.mu.Lock()
	now := settled()
	r.mu.Unlock()
	if !now {
		if !g.drain(ctx) || r.awaitOthers(ctx, settled) != nil {
			return false
		}
	}
	r.mu.Lock()
	made, why := first.outcomes[it.inst.ID], ""
	switch {
	case made != nil && made.done != nil && made.done.Status == wire.Failed && made.ev.OnError != eval.Continue:
		why = "it failed on " + first.name + ", where it is run once for all hosts"
	case made != nil && made.final, r.stop:
	default:
		why = first.name + ", where it is run once for all hosts, didn't come to it"
	}
	r.mu.Unlock()
	if why == "" {
		return true
	}
	it.ev = &eval.Evaluated{}
	h.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: why})
	return false
}
