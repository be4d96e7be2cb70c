package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/internal/wire"
	"muster/modules"
)

// makeAlone makes one item with nothing else under way: one that acts on
// another host, or whose end the controller has to judge.
func (h *hostRun) makeAlone(ctx context.Context, it *item) bool {
	attempts, delay := 1, time.Duration(0)
	if r := it.ev.Retry; r != nil && r.Until {
		attempts, delay = max(1, r.Attempts), r.Delay
	}
	for i := 1; ; i++ {
		if !h.grantAlone(ctx, it, i) {
			return it.done != nil && it.ev.OnError == eval.Continue
		}
		enough, err := h.judge(it)
		if err != nil {
			it.done.Status, it.done.Error = wire.Failed, err.Error()
			enough = true
		}
		if enough || it.once || i >= attempts || h.isOver() {
			if !enough && it.done.Status != wire.Failed {
				it.done.Status, it.done.Error = wire.Failed, it.withWords("what \"until\" asks for didn't come about")
			}
			break
		}
		h.run.emit(&ProgressEvent{Host: h.name, Task: it.id(), Text: "trying again in " + delay.String()})
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		h.run.mu.Lock()
		it.done = nil
		h.run.mu.Unlock()
	}
	h.run.mu.Lock()
	it.final, it.task = true, nil
	failed := it.done.Status == wire.Failed && it.ev.OnError != eval.Continue
	h.run.change.Broadcast()
	h.run.mu.Unlock()
	if it.judged() {
		h.run.tellDone(it, it.done)
		// Conditions of later tasks are decided on the host: it has to know
		// what counts here.
		truth := map[string]modules.Truth{it.id(): fromDone(it).Changed}
		it.on.send(&wire.Message{Lay: &wire.Lay{Settled: truth}}, true)
	}
	return !failed
}

// grantAlone grants an item, the attempt counted from 1, and waits for its end.
// It is a chain of its own: others may be acting on the same host.
func (h *hostRun) grantAlone(ctx context.Context, it *item, attempt int) bool {
	if it.on != h {
		if err := it.on.unusable(); err != nil {
			h.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: err.Error()})
			return false
		}
	}
	if !it.held { // else its own host is kept for it
		if !h.run.begin(ctx, it.on) {
			return false
		}
		defer h.run.begun(it.on)
	}
	if attempt == 1 && !h.journal(ctx, it) {
		return false
	}
	it.on.sendGrant(it.id(), attempt, it)
	err := h.run.await(ctx, func() bool { return it.done != nil || it.on.err != nil || h.err != nil })
	if err == nil && it.done != nil {
		return true
	}
	if it.on != h && it.done == nil {
		if err := it.on.unusable(); err != nil {
			h.finish(it, &wire.Done{ID: it.id(), Status: wire.Failed, Error: err.Error()})
		}
	}
	return false
}

// judge applies until, changed_when and failed_when to the end of an item. It
// returns false where another attempt is due.
func (h *hostRun) judge(it *item) (bool, error) {
	if it.done.Status == wire.Skipped || it.done.Status == wire.NotReached {
		return true, nil
	}
	if it.ev.FailedWhen && it.done.Output != nil {
		failed, diags := it.scope.FailedWhen(it.inst, fromDone(it))
		if diags.HasErrors() {
			return true, problems{diags}
		}
		switch {
		case failed:
			it.done.Status = wire.Failed
			if it.done.Error == "" {
				it.done.Error = it.withWords("failed_when holds")
			}
		case it.done.Status == wire.Failed:
			it.done.Status, it.done.Error = wire.Changed, ""
		}
	}
	if it.ev.ChangedWhen && it.done.Status != wire.Failed {
		changed, diags := it.scope.ChangedWhen(it.inst, fromDone(it))
		if diags.HasErrors() {
			return true, problems{diags}
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
		return true, problems{diags}
	}
	return ok, nil
}

// withWords adds to why an item counts as failed what its program ended with and
// said last, as far as its output tells: the host took that for no failure, and
// so said nothing of it. What a sensitive task's program said isn't shown.
func (it *item) withWords(why string) string {
	var o struct {
		Stdout   string `json:"stdout"`
		Stderr   string `json:"stderr"`
		ExitCode *int   `json:"exit_code"`
	}
	if json.Unmarshal(it.done.Output, &o) != nil || o.ExitCode == nil {
		return why // it ran no program
	}
	why = fmt.Sprintf("%s: exit code %d", why, *o.ExitCode)
	said := host.ExitError{Output: host.Output{Stdout: []byte(o.Stdout), Stderr: []byte(o.Stderr)}, Whole: host.AsJSON}
	if words := said.Words(); words != "" && !it.ev.Sensitive {
		why += "\n" + words
	}
	return why
}
