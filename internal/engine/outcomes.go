package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
	"muster/modules"
)

// This file answers what became of a task for expressions that read it. Nobody waits
// for what never comes: a task that tags or the limit leave out, that of a rescue that
// isn't run, that its block didn't come to, or that of a host that can't be used.

// nothing is the outcome of a task that isn't run, and open that of one of which it
// isn't known.
var (
	nothing = eval.Outcome{Skipped: modules.True, Output: []byte("null")}
	open    = eval.Outcome{Unsent: true, Changed: modules.Maybe, Failed: modules.Maybe, Skipped: modules.Maybe}
)

// Outcome implements lang.Results for what is evaluated for this host.
func (h *hostRun) Outcome(host, id string) (eval.Outcome, bool) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.outcome(host, id)
}

// outcome is Outcome with the mutex held.
func (h *hostRun) outcome(host, id string) (eval.Outcome, bool) {
	of := h.run.hosts[host]
	if of == nil {
		o := nothing
		o.Why = fmt.Sprintf("%s isn't in this run", host)
		return o, true // the limit leaves it out
	}
	it := of.outcomes[id]
	switch {
	case it == nil:
		return of.unsent(h, id)
	case it.trial && of.err == nil && !h.inPlay(playOf(id)):
		return open, false // it may be planned anew
	case it.shared != nil:
		return h.outcome(it.shared.owner.name, id)
	case it.final && it.done != nil:
		o := fromDone(it)
		if of != h && it.done.Status == wire.NotReached {
			o.Why = of.whyOut()
		}
		return o, true
	case it.planned != nil && (it.final || !h.run.applying || it.planned.Status == wire.Failed):
		return fromPlanned(it, h), true
	case it.dropped:
		return nothing, true
	case of.err != nil || it.on.err != nil:
		h.silent(of)
		return open, true
	case !h.run.applying:
		return open, false
	case of == h:
		// Everything before the reader has been made here, but for what its
		// block didn't come to.
		return nothing, true
	}
	h.silent(of)
	return open, of.failed || of.stopped || !of.underway()
}

// unsent is the outcome of a task that isn't among the host's, for a reader. The
// mutex is held.
func (h *hostRun) unsent(reader *hostRun, id string) (eval.Outcome, bool) {
	r := h.run
	ran, passed := h.hasPassed(id)
	perhaps := nothing // what it comes to, should it be a rescue's
	if passed && ran == modules.Maybe || !passed && h.mayRescue(id) {
		perhaps = open
	}
	switch {
	case passed && ran == modules.False:
		return nothing, true
	case r.applying:
		// All are walked: only a rescue's tasks may still come.
		o := nothing
		if h != reader {
			o.Why = h.whyOut()
		}
		return o, h == reader || !h.underway() || !passed
	case h.err != nil:
		reader.silent(h)
		return open, true
	case h == reader || passed || h.past(place{at: []int{playOf(id) + 1}}):
		return perhaps, true
	}
	return open, false
}

// playOf is the index of the play that an instance's ID belongs to.
func playOf(id string) int {
	play, _, _ := strings.Cut(id, "/")
	n, _ := strconv.Atoi(play)
	return n
}

// mayRescue reports whether a task of which only its ID is known may be one of a
// rescue.
func (h *hostRun) mayRescue(id string) bool {
	p := h.run.o.Playbook.Plays[playOf(id)]
	for range p.Rescues() {
		return true
	}
	return false
}

// pass notes that the host has come past a task without sending it: whoever reads
// its result finds it skipped, or open where a rescue may run it.
func (h *hostRun) pass(id string, ran modules.Truth) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.passed == nil {
		h.passed = map[string]modules.Truth{}
	}
	h.passed[id] = ran
	h.run.change.Broadcast()
}

// passAll notes it of all tasks of steps.
func (h *hostRun) passAll(scope *eval.Scope, ran modules.Truth, steps []*plays.Step) {
	for t := range plays.TasksOf(steps) {
		h.pass(scope.Path()+t.Name(), ran)
	}
}

// hasPassed returns what pass was told of the task of an instance's ID. The mutex is
// held.
func (h *hostRun) hasPassed(id string) (ran modules.Truth, ok bool) {
	if ran, ok = h.passed[id]; ok {
		return ran, true
	}
	if task, _, each := cutLast(id, "["); each {
		ran, ok = h.passed[task]
	}
	return ran, ok
}

// doubt notes that tasks which are to change something may not: they stand in a
// block with a rescue, behind which others come to their turn also where they fail.
func (h *hostRun) doubt(nodes []*node) {
	lay := &wire.Lay{}
	h.run.mu.Lock()
	eachNode(nodes, func(it *item) {
		it.doubted = true
		if it.sent && it.on == h {
			lay.Doubted = append(lay.Doubted, it.id())
		}
	})
	h.run.mu.Unlock()
	if len(lay.Doubted) > 0 {
		h.send(&wire.Message{Lay: lay}, true)
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// fromPlanned is the outcome of an item that is planned, for a reader.
func fromPlanned(it *item, reader *hostRun) eval.Outcome {
	p := it.planned
	switch p.Status {
	case wire.Skipped:
		return nothing
	case wire.Failed:
		return eval.Outcome{Failed: modules.True, Output: jsonOrNull(p.Output), Sensitive: it.ev.Sensitive}
	case wire.Unchanged:
		return eval.Outcome{Output: jsonOrNull(p.Output), Sensitive: it.ev.Sensitive}
	}
	o := eval.Outcome{Changed: modules.True, Failed: modules.Maybe}
	if len(p.Then) == 0 && !slices.ContainsFunc(p.Changes, func(d host.Description) bool { return d.Action.Counts() }) {
		o.Changed = modules.False // it only looks
	}
	switch {
	case p.Certainty != wire.Known:
		o.Changed, o.Skipped = modules.Maybe, modules.Maybe
	case it.ev.ChangedWhen, it.ev.OnError == eval.Continue, it.doubted, it.rescued && it.owner != reader:
		// What is judged of it counts; and whether it fails, where its readers
		// come to their turn all the same.
		o.Changed = modules.Maybe
	}
	return o
}

func fromDone(it *item) eval.Outcome {
	o := eval.Outcome{Output: jsonOrNull(it.done.Output), Sensitive: it.ev.Sensitive}
	switch it.done.Status {
	case wire.Changed:
		o.Changed = modules.True
	case wire.Failed:
		o.Failed = modules.True
	case wire.Skipped, wire.NotReached:
		o.Skipped = modules.True
	}
	return o
}

func jsonOrNull(b []byte) []byte {
	if b == nil {
		return []byte("null")
	}
	return b
}

// settled waits for everything that an evaluation for the host needs.
func (h *hostRun) settled(ctx context.Context, waits eval.Waits) error {
	h.waits(h.waitsOn(waits))
	defer h.waits("")
	return h.run.awaitOthers(ctx, func() bool {
		for _, w := range waits {
			settled := false
			if w.ID == "" {
				_, settled = h.run.factsOf(w.Facts)
			} else {
				_, settled = h.outcome(w.Host, w.ID)
			}
			if !settled {
				return false
			}
		}
		return true
	})
}
