package engine

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang"
	"muster/internal/wire"
	"muster/modules"
	"muster/transport"
)

// walkLate evaluates the rescue of a block that has failed. Its tasks are
// planned by the host at their turn.
func (h *hostRun) walkLate(ctx context.Context, b *blockRun) ([]*node, error) {
	var nodes []*node
	for _, step := range b.block.Rescue {
		if step.Task == nil || !h.run.chosen(step.Task) {
			continue
		}
		instances, err := settle(ctx, h, func() ([]*lang.Instance, lang.Waits, hcl.Diagnostics) { return b.scope.Instances(step.Task) })
		if err != nil {
			return nodes, err
		}
		for _, inst := range instances {
			it := &item{inst: inst, scope: b.scope, id: inst.ID, owner: h, on: h}
			if inst.Target != h.name {
				it.id = inst.ID + "@" + h.name
				if it.on, err = h.run.helper(ctx, inst.Target); err != nil {
					return nodes, err
				}
			}
			// Evaluated at its turn: what it reads may be the output of a
			// rescue task before it.
			it.ev = &lang.Evaluated{Undecided: true}
			it.planned = &wire.Planned{ID: it.id, Status: wire.Pending, Certainty: wire.Deferred}
			h.register(it)
			nodes = append(nodes, &node{item: it})
		}
	}
	return nodes, nil
}

// makeAlone makes one item with nothing else under way: one that acts on
// another host, or whose end the controller has to judge.
func (h *hostRun) makeAlone(ctx context.Context, it *item) bool {
	attempts, delay := 1, time.Duration(0)
	if r := it.ev.Retry; r != nil && r.Until {
		attempts, delay = max(1, r.Attempts), r.Delay
	}
	for i := 1; ; i++ {
		if !h.grantAlone(ctx, it, i) {
			return false
		}
		enough, err := h.judge(it)
		if err != nil {
			it.done.Status, it.done.Error = wire.Failed, err.Error()
			enough = true
		}
		if enough || i >= attempts || h.out() {
			if !enough && it.done.Status != wire.Failed {
				it.done.Status, it.done.Error = wire.Failed, "what \"until\" asks for didn't come about"
			}
			break
		}
		h.run.emit(&ProgressEvent{Host: h.name, Task: it.id, Text: "trying again in " + delay.String()})
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		h.run.mu.Lock()
		it.done = nil
		h.run.mu.Unlock()
	}
	h.run.mu.Lock()
	it.final = true
	failed := it.done.Status == wire.Failed && it.ev.OnError != lang.Continue
	h.run.change.Broadcast()
	h.run.mu.Unlock()
	if it.judged() {
		h.run.tellDone(it, it.done)
		// Conditions of later tasks are decided on the host: it has to know
		// what counts here.
		truth := map[string]modules.Truth{it.id: fromDone(it).Changed}
		it.on.send(&wire.Message{Lay: &wire.Lay{Settled: truth}}, true)
	}
	return !failed
}

// grantAlone grants an item, the attempt counted from 1, and waits for its end.
// It is a chain of its own: others may be acting on the same host.
func (h *hostRun) grantAlone(ctx context.Context, it *item, attempt int) bool {
	if attempt == 1 && !h.journal(ctx, it) {
		return false
	}
	it.on.send(&wire.Message{Grant: &wire.Grant{IDs: []string{it.id}, Chain: it.id, Epoch: attempt}}, false)
	err := h.run.await(ctx, func() bool { return it.done != nil || it.on.err != nil || h.err != nil })
	if err == nil && it.done != nil {
		return true
	}
	if it.on != h && it.done == nil {
		h.finish(it, &wire.Done{ID: it.id, Status: wire.Failed, Error: "the host " + it.on.name + ", which it acts on, can't be used"})
	}
	return false
}

// judge applies until, changed_when and failed_when to the end of an item. It
// returns false where another attempt is due.
func (h *hostRun) judge(it *item) (bool, error) {
	if it.done.Status == wire.Skipped {
		return true, nil
	}
	if it.ev.FailedWhen && it.done.Output != nil {
		failed, diags := it.scope.FailedWhen(it.inst, fromDone(it))
		if diags.HasErrors() {
			return true, diags
		}
		switch {
		case failed:
			it.done.Status = wire.Failed
			if it.done.Error == "" {
				it.done.Error = "failed_when holds"
			}
		case it.done.Status == wire.Failed:
			it.done.Status, it.done.Error = wire.Changed, ""
		}
	}
	if it.ev.ChangedWhen && it.done.Status != wire.Failed {
		changed, diags := it.scope.ChangedWhen(it.inst, fromDone(it))
		if diags.HasErrors() {
			return true, diags
		}
		it.done.Status = wire.Unchanged
		if changed {
			it.done.Status = wire.Changed
		}
	}
	if it.ev.Retry == nil || !it.ev.Retry.Until {
		return true, nil
	}
	if it.done.Status == wire.Failed {
		return false, nil
	}
	ok, diags := it.scope.Until(it.inst, fromDone(it))
	if diags.HasErrors() {
		return true, diags
	}
	return ok, nil
}

// summary counts what became of every task.
func (r *Run) summary() *Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Summary{Outcome: OutcomeUnchanged, Hosts: map[string]*Counts{}}
	for _, h := range r.order {
		if len(h.plays) == 0 && h.err == nil {
			continue // it was only asked, or acted on for others
		}
		c := &Counts{}
		var unreachable *transport.UnreachableError
		if errors.As(h.err, &unreachable) {
			c.Unreachable = true
		} else if h.err != nil {
			c.Failed++ // after login: the remote didn't start, or the connection was lost
		}
		s.Order = append(s.Order, h.name)
		s.Hosts[h.name] = c
		h.eachItem(func(it *item) { c.count(it, r.applying) })
	}
	s.Outcome = s.worst(r.stop && r.broken == nil)
	return s
}

func (c *Counts) count(it *item, applying bool) {
	status := wire.Skipped // never came to its turn
	switch {
	case it.done != nil:
		status = it.done.Status
	case it.planned != nil && (it.final || !applying || it.planned.Status == wire.Failed):
		status = it.planned.Status
	}
	switch status {
	case wire.Unchanged:
		c.Unchanged++
	case wire.Changed:
		c.Changed++
	case wire.Pending:
		c.Pending++
		switch {
		case checksOnly(it.planned):
			c.Checks++
		case it.planned.Always:
			c.Always++
		}
	case wire.Failed:
		c.Failed++
		if it.rescued {
			c.Tolerated++
		}
	case wire.Skipped:
		c.Skipped++
	}
}

// checksOnly reports whether a plan has nothing that counts as a change.
func checksOnly(p *wire.Planned) bool {
	for _, d := range p.Changes {
		if d.Action.Counts() {
			return false
		}
	}
	for _, d := range p.Then {
		if d.Action.Counts() {
			return false
		}
	}
	return true
}

func (s *Summary) worst(stopped bool) Outcome {
	rank := map[Outcome]int{OutcomeUnchanged: 0, OutcomeChanged: 1, OutcomePending: 2, OutcomeUnreachable: 3, OutcomeFailed: 4}
	worst := OutcomeUnchanged
	at := func(o Outcome) {
		if rank[o] > rank[worst] {
			worst = o
		}
	}
	for _, c := range s.Hosts {
		if c.Changed > 0 {
			at(OutcomeChanged)
		}
		if c.Pending > 0 {
			at(OutcomePending)
		}
		if c.Unreachable {
			at(OutcomeUnreachable)
		}
		if c.Failed > c.Tolerated {
			at(OutcomeFailed)
		}
	}
	if stopped {
		return OutcomeInterrupted
	}
	return worst
}
