package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"muster/host"
	"muster/internal/wire"
)

// What a host says is held against what it was sent, before anything is made of it:
// a host can't speak for another, for a task that it wasn't sent, or of one that it
// wasn't told to make. Whoever does is out of the run.

// sentTo returns the item that the host was sent under an ID; nil if it was sent
// none. The mutex is held.
func (h *hostRun) sentTo(id string) *item {
	it := h.outcomes[id]
	if it == nil || it.on != h || it.id() != id || !it.sent {
		return nil
	}
	return it
}

// wellFormed returns an error for what no remote of this build says.
func wellFormed(id string, statuses []wire.Status, status wire.Status, changes []host.Description, output []byte, seconds float64) error {
	wrong := func(format string, a ...any) error {
		return fmt.Errorf("%w: of task %q, %s", wire.ErrFrame, id, fmt.Sprintf(format, a...))
	}
	switch {
	case !slices.Contains(statuses, status):
		return wrong("the status %q", status)
	case math.IsNaN(seconds) || seconds < 0 || seconds > 1e9:
		return wrong("%v seconds", seconds)
	case len(output) > 0 && !json.Valid(output):
		return wrong("output that is no JSON")
	}
	for _, d := range changes {
		if !slices.Contains([]host.Action{host.Create, host.Update, host.Delete, host.Restart, host.Reload, host.Run, host.Check, host.Refresh}, d.Action) {
			return wrong("the action %q", d.Action)
		}
	}
	return nil
}

// maxNotes is how many notes a task's plan may have.
const maxNotes = 1000

func planWellFormed(p *wire.Planned) error {
	if !slices.Contains([]wire.Certainty{wire.Known, wire.Tentative, wire.Deferred}, p.Certainty) {
		return fmt.Errorf("%w: of task %q, the certainty %q", wire.ErrFrame, p.ID, p.Certainty)
	}
	if len(p.Notes) > maxNotes {
		return fmt.Errorf("%w: of task %q, %d notes", wire.ErrFrame, p.ID, len(p.Notes))
	}
	return wellFormed(p.ID, []wire.Status{wire.Unchanged, wire.Pending, wire.Failed, wire.Skipped}, p.Status,
		slices.Concat(p.Changes, p.Then), p.Output, p.Seconds)
}

func doneWellFormed(d *wire.Done) error {
	if n := len(d.Open) + len(d.Notes); n > maxNotes {
		return fmt.Errorf("%w: of task %q, %d notes", wire.ErrFrame, d.ID, n)
	}
	return wellFormed(d.ID, []wire.Status{wire.Unchanged, wire.Changed, wire.Failed, wire.Skipped}, d.Status, d.Changes, d.Output, d.Seconds)
}
