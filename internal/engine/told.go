package engine

import (
	"fmt"
	"strings"
	"time"

	"muster/host"
	"muster/internal/wire"
)

// Bounds on what one host may make the controller keep. A run of thousands of
// tasks with whole files in their diffs stays far below them.
const (
	maxKept   = 256 << 20 // bytes of plans and ends
	maxFormer = 1 << 30   // bytes of what takes edits back; more isn't kept
	maxUndos  = 1 << 20
	// Words on the progress of changes: so many, and so many more each second.
	// Others aren't shown.
	maxProgress    = 500
	progressEach   = 20
	maxProgressLen = 4 << 10 // bytes
)

// told counts what a host has said. It belongs to who listens to the host.
type told struct {
	size, former int64
	undos        int
	words        int
	first        time.Time // of its words on progress
}

// kept counts an answer that stays in memory until the run is over.
func (t *told) kept(changes, then []host.Description, more int) error {
	t.size += int64(more)
	for _, list := range [][]host.Description{changes, then} {
		for _, d := range list {
			t.size += int64(len(d.Target) + len(d.Diff) + len(d.Impact) + 64)
		}
	}
	if t.size > maxKept {
		return fmt.Errorf("%w: its answers take more than %d MiB", wire.ErrFrame, maxKept>>20)
	}
	return nil
}

// size is how many bytes texts have.
func size(texts []string) (n int) {
	for _, t := range texts {
		n += len(t)
	}
	return n
}

// undo counts what takes an edit back, and leaves out its steps where there is too
// much already.
func (t *told) undo(u *wire.Undo) error {
	if t.undos++; t.undos > maxUndos {
		return fmt.Errorf("%w: more than %d edits", wire.ErrFrame, maxUndos)
	}
	size := int64(0)
	for _, s := range u.Steps {
		size += int64(len(s.Change) + len(s.Former))
	}
	if t.former+size > maxFormer {
		u.Steps, u.Missing = nil, fmt.Sprintf("the run has kept %d MiB for this host, and keeps no more", maxFormer>>20)
		return nil
	}
	t.former += size
	return nil
}

// progress shows how far a task is that the host was told to make, or why the host
// has to wait.
func (h *hostRun) progress(p *wire.Progress) error {
	h.run.mu.Lock()
	it := h.sentTo(p.ID)
	making := it != nil && it.making
	h.run.mu.Unlock()
	if p.ID != "" && !making {
		return fmt.Errorf("%w: progress of a task that wasn't granted: %q", wire.ErrFrame, p.ID)
	}
	t := &h.told
	if t.first.IsZero() {
		t.first = time.Now()
	}
	if p.Text != "" && float64(t.words) >= maxProgress+progressEach*time.Since(t.first).Seconds() {
		return nil
	}
	t.words++
	text := h.run.o.Redact.Redact(p.Text) // before it is cut: a part of a secret is one, too
	if len(text) > maxProgressLen {
		text = strings.ToValidUTF8(text[:maxProgressLen], "") + "…"
	}
	if p.Waits {
		h.run.mu.Lock()
		h.waitsFor = text
		h.run.mu.Unlock()
		return nil
	}
	h.run.emit(&ProgressEvent{Host: h.name, Task: p.ID, Text: text})
	return nil
}
