package view

import (
	"github.com/hashicorp/hcl/v2"

	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/wire"
)

// Unless is a view that shows nothing as long as all is well and nothing changes: what it
// is told is held back, and shown from the first thing on that somebody has to see.
type Unless struct {
	begin func() View
	shown View // nil: all is well so far
	held  []func(View)
}

// UnlessWell returns such a view. Begin makes the one that shows, once something is to be.
func UnlessWell(begin func() View) *Unless { return &Unless{begin: begin} }

// Hold has show called before whatever is shown next, or never.
func (q *Unless) Hold(show func()) { q.hold(func(View) { show() }) }

func (q *Unless) hold(f func(View)) {
	if q.shown != nil {
		f(q.shown)
		return
	}
	q.held = append(q.held, f)
}

// open shows what was held back, and f.
func (q *Unless) open(f func(View)) {
	if q.shown == nil {
		q.shown = q.begin()
		for _, g := range q.held {
			g(q.shown)
		}
		q.held = nil
	}
	f(q.shown)
}

// either shows f where something is to be seen, else holds it back.
func (q *Unless) either(seen bool, f func(View)) {
	if seen {
		q.open(f)
		return
	}
	q.hold(f)
}

// Begin is View's.
func (q *Unless) Begin(p Phase, hosts []string) { q.hold(func(v View) { v.Begin(p, hosts) }) }

// Plan is View's.
func (q *Unless) Plan(p Plan) { q.hold(func(v View) { v.Plan(p) }) }

// Event is View's.
func (q *Unless) Event(e engine.Event) {
	seen := false
	switch e := e.(type) {
	case *engine.HostEvent:
		seen = true
	case *engine.NoticeEvent:
		seen = e.Fault
	case *engine.TaskEvent:
		switch e.Status {
		case wire.Changed, wire.Unknown:
			seen = true
		case wire.Failed:
			seen = !e.Tolerated
		case wire.Pending:
			seen = e.Drift()
		}
	}
	q.either(seen, func(v View) { v.Event(e) })
}

// Diagnostics is View's.
func (q *Unless) Diagnostics(d hcl.Diagnostics, sources map[string][]byte) {
	q.open(func(v View) { v.Diagnostics(d, sources) })
}

// Error is View's.
func (q *Unless) Error(err error) { q.open(func(v View) { v.Error(err) }) }

// Warn is View's.
func (q *Unless) Warn(text string) { q.open(func(v View) { v.Warn(text) }) }

// Summary is View's. What was held back of a run that came to nothing is forgotten.
func (q *Unless) Summary(s *engine.Summary, end End) {
	if q.shown == nil && s.Outcome == engine.OutcomeUnchanged {
		q.held = nil
		return
	}
	q.open(func(v View) { v.Summary(s, end) })
}

// Rotation is View's. That an old value can't be retired yet is no change.
func (q *Unless) Rotation(r Rotation) {
	q.either(r.Step != "open", func(v View) { v.Rotation(r) })
}

// Drift is View's.
func (q *Unless) Drift(c *drift.Check) {
	q.either(len(c.Items) > 0 || len(c.Unreached()) > 0, func(v View) { v.Drift(c) })
}
