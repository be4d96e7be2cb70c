package remote

import (
	"context"
	"errors"
	"slices"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// layer is what one task leaves.
type layer struct {
	id      string // "" where it isn't known whose it is
	effects []host.Effect
}

// Adopt notes a task that a worker planned, and lays its effects.
func (s *Session) Adopt(wt wire.Task, p wire.Planned, effects []host.Effect) {
	t := &task{Task: wire.Task{ID: wt.ID, Tolerate: wt.Tolerate, Passing: wt.Passing, Shown: wt.Shown}, planned: p, effects: effects}
	t.settle(p)
	s.put(t)
	s.lay(t.ID, effects)
}

// put puts a task in line, in the place of one of its ID.
func (s *Session) put(t *task) {
	if old := s.tasks[t.ID]; old != nil {
		if i := slices.Index(s.order, old); i >= 0 {
			s.tasks[t.ID], s.order[i] = t, t
			return
		}
	}
	s.tasks[t.ID] = t
	s.order = append(s.order, t)
}

// Drop forgets planned tasks, and what they would have left. It returns whether that
// was anything.
func (s *Session) Drop(ids []string) (laid bool) {
	for _, id := range ids {
		t := s.tasks[id]
		if t == nil {
			continue
		}
		laid = laid || len(t.effects) > 0
		delete(s.tasks, id)
		s.order = slices.DeleteFunc(s.order, func(o *task) bool { return o == t })
	}
	s.layers = slices.DeleteFunc(s.layers, func(l layer) bool { return slices.Contains(ids, l.id) })
	s.preview = host.Preview{}
	for _, l := range s.layers {
		s.preview.Lay(l.effects)
	}
	return laid
}

// Finish notes what a worker's task came to.
func (s *Session) Finish(id string, d wire.Done) {
	if t := s.tasks[id]; t != nil {
		t.changed = modules.False
		if counts(d.Changes) && d.Status != wire.Failed {
			t.changed = modules.True
		}
	}
}

// ComingUser plans a task for a user that an earlier task will make; coming
// is false where none does.
func (s *Session) ComingUser(ctx context.Context, wt wire.Task) (p wire.Planned, coming bool) {
	u, err := s.ahead.User(ctx, wt.As)
	if u == nil && !errors.Is(err, host.ErrNotYet) && !s.preview.Tainted() {
		return p, false
	}
	p, _ = s.Unseen(wt, "planned once the user "+wt.As+" exists")
	return p, true
}

// Unseen lays a task of which the host isn't asked, for a reason: what it may alter is open,
// and returned for the host's other sessions.
func (s *Session) Unseen(wt wire.Task, why string) (wire.Planned, []host.Effect) {
	s.redact.Add(wt.Secrets...)
	t := &task{Task: wt}
	t.module, _ = s.Kinds.Decode(wt.Kind, wt.Args)
	p := s.deferred(t, nil, why)
	p.ID = wt.ID
	t.settle(p)
	t.module, t.Task = nil, wire.Task{ID: wt.ID, Tolerate: wt.Tolerate, Passing: wt.Passing} // of who plans it later
	s.put(t)
	s.lay(wt.ID, t.effects)
	return p, t.effects
}

// Late takes a task that is planned when it is granted, by a worker where it has
// no kind. What it may do was shown as known after apply.
func (s *Session) Late(wt wire.Task) {
	s.redact.Add(wt.Secrets...)
	t := s.tasks[wt.ID]
	if t == nil {
		t = &task{}
	}
	t.Task, t.module = wt, nil
	s.put(t) // it may be known only for what it came to
	t.planned.Certainty = wire.Deferred
}

// Hold takes a task that another session of this user's has planned, or made.
func (s *Session) Hold(h wire.Hold) {
	s.redact.Add(h.Task.Secrets...)
	t := &task{Task: h.Task, effects: h.Effects, wants: h.Shown.Wants, behind: h.Shown.Behind}
	t.module, _ = s.Kinds.Decode(t.Kind, t.Args)
	t.settle(h.Planned)
	t.changed = h.Changed
	s.put(t)
}

// settle notes whether the task will change something, as far as its plan tells.
func (t *task) settle(p wire.Planned) {
	t.planned = p
	switch {
	case p.Status == wire.Unchanged, p.Status == wire.Skipped:
		t.changed = modules.False
	case p.Certainty == wire.Known && counts(p.Changes) && !t.Tolerate:
		t.changed = modules.True
	case p.Certainty == wire.Known && !counts(p.Changes) && len(p.Then) == 0:
		t.changed = modules.False
	default:
		t.changed = modules.Maybe
	}
}

func (s *Session) tolerates(id string) bool {
	t := s.tasks[id]
	return t != nil && t.Tolerate
}

func (s *Session) truths() map[string]modules.Truth {
	m := map[string]modules.Truth{}
	for id, t := range s.tasks {
		m[id] = t.changed
	}
	return m
}
