package engine

import (
	"context"
	"errors"
	"fmt"

	"muster/host"
	"muster/internal/task"
	"muster/internal/wire"
)

// Journal keeps what a run makes, so that it can be told of, gone on with and
// taken back. Its methods are called by many hosts at once.
type Journal interface {
	// Grant returns when it is durable that the host is about to make the tasks.
	// Where it can't be, nothing more is made.
	Grant(ctx context.Context, host string, tasks []Granted) error
	// Before keeps what takes an edit of a granted task back.
	Before(host, task string, u *wire.Undo)
	// Tolerated keeps, before the Done of a granted task that has failed, that the failure
	// is an expected one.
	Tolerated(host, task string)
	// Done keeps what became of a granted task.
	Done(host, task string, d *wire.Done)
	// HostEnd keeps how the run ended on a host. Why is "" where it is done.
	HostEnd(host string, end HostEnd, why string)
	// Err is the first failure to keep something, nil if there was none.
	Err() error
}

// Granted is a task that a host is told to make, as it was planned.
type Granted struct {
	task.Place
	Changes []host.Description
}

// HostEnd is how a run ended on a host.
type HostEnd string

// The ends. Who goes on with a run goes on with the hosts that aren't done.
const (
	HostDone        HostEnd = "done"
	HostFailed      HostEnd = "failed"
	HostUnreachable HostEnd = "unreachable"
	HostStopped     HostEnd = "stopped" // the run ended before the host did
)

// journal notes that the host is about to make items. It returns false where
// that can't be kept: the run stops then.
func (h *hostRun) journal(ctx context.Context, items ...*item) bool {
	j := h.run.kept
	if j == nil {
		return true
	}
	tasks := make([]Granted, len(items))
	h.run.mu.Lock()
	for i, it := range items {
		it.journaled = true
		tasks[i] = Granted{Place: it.where(), Changes: h.run.redacted(it.planned.Changes)}
	}
	h.run.mu.Unlock()
	if err := j.Grant(ctx, h.name, tasks); err != nil {
		h.run.abandon(err)
		return false
	}
	return true
}

// abandon stops the run because its journal can't be kept.
func (r *Run) abandon(err error) {
	r.mu.Lock()
	first := r.stopCause == nil
	if first {
		r.stopCause = fmt.Errorf("the journal can't be kept, so nothing more is changed: %w", err)
	}
	r.mu.Unlock()
	if first {
		r.Stop()
	}
}

// Broken is why the run stopped by itself; nil if it didn't.
func (r *Run) Broken() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopCause
}

// before keeps what takes an edit back, told before the edit is made.
func (h *hostRun) before(u *wire.Undo) error {
	h.run.mu.Lock()
	it := h.sentTo(u.ID)
	making := it != nil && it.making
	journaled := making && it.journaled
	h.run.mu.Unlock()
	if !making {
		return fmt.Errorf("%w: an edit of a task that wasn't granted: %q", wire.ErrFrame, u.ID)
	}
	if err := h.told.undo(u); err != nil {
		return err
	}
	if j := h.run.kept; j != nil && journaled {
		j.Before(it.owner.name, it.inst.ID, u)
	}
	return nil
}

// journalDone keeps what became of an item.
func (r *Run) journalDone(it *item, d *wire.Done) {
	j := r.kept
	r.mu.Lock()
	journaled := it.journaled
	r.mu.Unlock()
	if j == nil || !journaled {
		return
	}
	c := *d
	c.Changes, c.Error = r.redacted(d.Changes), r.o.Redact.Redact(d.Error)
	if d.Status == wire.Failed && it.rescued {
		j.Tolerated(it.owner.name, it.inst.ID)
	}
	j.Done(it.owner.name, it.inst.ID, &c)
	if err := j.Err(); err != nil {
		r.abandon(err)
	}
}

// Conclude keeps how the run ended on its hosts where nothing is to be made. It is
// called instead of Apply.
func (r *Run) Conclude() {
	for _, h := range r.order {
		if !h.hasFailed() {
			h.completed = len(h.plays)
		}
		h.journalEnd()
	}
}

// journalEnd keeps how the run ended on the host, once.
func (h *hostRun) journalEnd() {
	j := h.run.kept
	h.run.mu.Lock()
	if j == nil || h.ended || len(h.plays) == 0 {
		h.run.mu.Unlock()
		return
	}
	h.ended = true
	end, why := HostStopped, "the run ended before the host did"
	switch {
	case errors.Is(h.err, ErrStopped):
	case h.err != nil:
		end, why = HostFailed, h.run.o.Redact.Redact(h.err.Error())
		if IsUnreachable(h.err) {
			end = HostUnreachable
		}
	case h.failed && !h.run.stop:
		end, why = HostFailed, h.failure()
	case h.completed == len(h.plays):
		end, why = HostDone, ""
	}
	h.run.mu.Unlock()
	j.HostEnd(h.name, end, why)
}

// failure names the first task that failed for good. The mutex is held.
func (h *hostRun) failure() string {
	first := "a task failed"
	found := false
	h.eachItem(func(it *item) {
		if found || it.rescued {
			return
		}
		switch {
		case it.done != nil && it.done.Status == wire.Failed:
			first, found = it.inst.Task.Name()+": "+it.done.Error, true
		case it.planned != nil && it.planned.Status == wire.Failed:
			first, found = it.inst.Task.Name()+": "+it.planned.Error, true
		}
	})
	return h.run.o.Redact.Redact(first)
}
