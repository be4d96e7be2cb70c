package engine

import (
	"errors"
	"time"

	"muster/internal/lang/eval"
)

// Stage is how far a host has come in a pass.
type Stage int

// The stages. A host whose turn hasn't come waits for a place among those worked on at
// once, or for its batch.
const (
	StageTurn    Stage = iota // its turn hasn't come
	StageReach                // it is logged in to, and its remote started
	StagePlan                 // its tasks are planned
	StagePlanned              // all of them are
	StageApply                // something is made on it
	StageDone                 // all of its plays are made
	StageFailed               // it can't be used, or a task failed
)

// Standing is where a host stands while a run goes on: what whoever waits for it wants
// to know.
type Standing struct {
	Host  string
	Stage Stage
	// What is planned or made for it right now; Name is "" where that is nothing.
	Name, Role, Key, On string
	// Waits is what the host waits for before it begins that: another run, say. "": nothing.
	Waits string
	// For is the host that it waits for, before its next task can be planned; "": none.
	For   string
	Since time.Time     // it began then; the zero time where nothing has begun
	Bound time.Duration // the task's timeout; 0: it has none of its own
}

// Standings returns where each host of the run stands, in the order of the plays. It may
// be called at any time.
func (r *Run) Standings() []Standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Standing, 0, len(r.order))
	at := map[*hostRun]int{}
	for _, h := range r.order {
		if len(h.plays) > 0 {
			at[h] = len(list)
			list = append(list, h.stage())
		}
	}
	for _, h := range r.order {
		it := h.making()
		if it == nil {
			continue
		}
		if i, ok := at[it.owner]; ok && list[i].Name == "" {
			list[i].of(it)
			list[i].Since = h.since
			if list[i].Stage == StageDone {
				list[i].Stage = StageApply // what it does after a play's end
			}
		}
	}
	return list
}

// stage is where the host stands, but for what is made. The mutex is held.
func (h *hostRun) stage() Standing {
	s := Standing{Host: h.name, Since: h.since, Waits: h.waitsFor}
	switch {
	case errors.Is(h.err, ErrStopped):
	case h.err != nil:
		s.Stage = StageFailed
	case h.run.applying:
		switch {
		case h.failed && !h.underway():
			s.Stage = StageFailed
		case h.completed == len(h.plays):
			s.Stage = StageDone
		case h.underway():
			s.Stage = StageApply
		}
	case h.since.IsZero():
	case h.settledPlan:
		if s.Stage = StagePlanned; h.failed {
			s.Stage = StageFailed
		}
	case h.link == nil:
		s.Stage = StageReach
	default:
		s.Stage, s.For = StagePlan, h.awaits
		for h.heard < len(h.sentItems) && h.sentItems[h.heard].planned != nil {
			h.heard++
		}
		if h.heard < len(h.sentItems) {
			s.of(h.sentItems[h.heard])
		}
	}
	return s
}

// making is the first task that the host was told to make and hasn't ended; nil: none.
// The mutex is held.
func (h *hostRun) making() *item {
	if h.err != nil || !h.run.applying {
		return nil
	}
	for i := range h.grants {
		for _, it := range h.grants[i].items {
			if it.making && it.done == nil {
				return it
			}
		}
	}
	return nil
}

// of notes which task it is about.
func (s *Standing) of(it *item) {
	s.Name, s.Key, s.Role = it.inst.Task.Name(), it.inst.Key, it.scope.Role()
	if it.inst.Target != it.inst.Host {
		s.On = it.inst.Target
	}
	if it.ev != nil {
		s.Bound = it.bound()
	}
}

// waitsOn is the first host that one waits for, other than itself; "": none.
func (h *hostRun) waitsOn(waits eval.Waits) string {
	for _, w := range waits {
		if w.Host != h.name {
			return w.Host
		}
	}
	return ""
}

// waits notes which host it waits for; "": none.
func (h *hostRun) waits(on string) {
	h.run.mu.Lock()
	h.awaits = on
	h.run.mu.Unlock()
}
