package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"muster/internal/wire"
)

// errUnasked is an answer that a worker wasn't asked for.
var errUnasked = errors.New("it answered what it wasn't asked")

// planElsewhere has a task planned by the worker of its user. A user that an
// earlier task will make is waited for.
func (s *server) planElsewhere(ctx context.Context, t wire.Task) error {
	if _, err := s.account(t.As); err != nil {
		planned, coming := s.session.ComingUser(ctx, t)
		if !coming {
			return s.failed(t, fmt.Errorf("there is no user %q on this host to become, and no earlier task makes it", t.As))
		}
		s.waits[t.ID] = t
		return s.conn.Soon(&wire.Message{Planned: &planned})
	}
	if u, err := s.session.ahead.User(ctx, t.As); err == nil && u == nil {
		return s.failed(t, fmt.Errorf("there will be no user %q on this host to become: an earlier task removes them", t.As))
	}
	d, err := s.delegate(ctx, t.As)
	if err != nil {
		return s.failed(t, err)
	}
	p, err := s.planBy(ctx, d, t)
	if err != nil {
		return s.failed(t, err)
	}
	return s.planned(p)
}

// failed answers a task that can't be planned.
func (s *server) failed(t wire.Task, err error) error {
	return s.conn.Soon(&wire.Message{Planned: &wire.Planned{ID: t.ID, Status: wire.Failed, Certainty: wire.Known, Error: err.Error()}})
}

// planBy has a user's worker plan a task, and makes its effects known to the others.
func (s *server) planBy(ctx context.Context, d *delegate, t wire.Task) (*wire.Planned, error) {
	s.send(d, t)
	var lay *wire.Lay
	if err := d.worker.conn.Flush(); err != nil {
		return nil, s.lose(d, err)
	}
	for {
		m, err := s.next(d)
		switch {
		case err != nil:
			return nil, s.lose(d, err)
		case m.Lay != nil && lay == nil:
			lay = m.Lay
			if lay.Effects, err = s.confine(ctx, d, t, lay.Effects); err != nil {
				return nil, s.lose(d, fmt.Errorf("%s would alter %w", (&task{Task: t}).label(), err))
			}
		case m.Planned != nil && lay != nil && m.Planned.ID == t.ID && answersPlan(m.Planned):
			p := m.Planned
			p.Facts, p.MayFacts = s.session.moved(lay.Effects)
			h := d.hold(t.ID)
			*h = wire.Hold{Task: t, Planned: heldTo(*p, t.Shown), Effects: lay.Effects}
			if lay.Shown != nil {
				h.Shown = *lay.Shown
			}
			s.session.Adopt(t, *p, lay.Effects)
			s.tell(ctx, d.user, wire.Lay{ID: t.ID, Effects: lay.Effects, Settled: s.settled(t.ID)})
			return p, nil
		default:
			return nil, s.lose(d, errUnasked)
		}
	}
}

// send queues a task for a user's worker.
func (s *server) send(d *delegate, t wire.Task) {
	s.away[t.ID] = d.user
	s.owns(d, t)
	t.As = ""
	_ = d.worker.conn.Queue(&wire.Message{Task: &t}) // where it fails, so does what is sent next
}

// sendLate queues a task whose turn has come, to be planned on the host as it is.
func (s *server) sendLate(d *delegate, t wire.Task) {
	t.Late = true
	s.session.Late(wire.Task{ID: t.ID, Tolerate: t.Tolerate, Passing: t.Passing})
	s.send(d, t)
	h := d.hold(t.ID)
	h.Task, h.Planned.ID, h.Planned.Status, h.Planned.Certainty = t, t.ID, wire.Pending, wire.Deferred
}

func answersPlan(p *wire.Planned) bool {
	switch p.Certainty {
	case wire.Known, wire.Tentative, wire.Deferred:
	default:
		return false
	}
	switch p.Status {
	case wire.Unchanged, wire.Pending, wire.Failed, wire.Skipped:
		return true
	}
	return false
}

func answersGrant(d *wire.Done) bool {
	switch d.Status {
	case wire.Unchanged, wire.Changed, wire.Failed, wire.Skipped:
		return true
	}
	return false
}

// makeElsewhere has the worker of a task's user make it.
func (s *server) makeElsewhere(ctx context.Context, name, id string) wire.Done {
	fail := func(err error) wire.Done { return wire.Done{ID: id, Status: wire.Failed, Error: err.Error()} }
	d, err := s.delegate(ctx, name)
	if err != nil {
		return fail(err)
	}
	if t, waited := s.waits[id]; waited {
		delete(s.waits, id)
		s.sendLate(d, t)
	}
	if p, ok := d.worker.pipe.(interface{ Pid() int }); ok {
		s.keepRuns(p.Pid()) // it finishes what it has in hand when this is gone
	}
	d.runs = nil
	// The epoch only grows, so that a worker drops nothing by itself.
	s.grants++
	if err := d.worker.conn.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{id}, Epoch: s.grants}}); err != nil {
		return fail(s.lose(d, err))
	}
	for {
		m, err := s.next(d)
		switch {
		case err != nil:
			return fail(s.lose(d, err))
		case m.Progress != nil && m.Progress.ID == id, m.Undo != nil && m.Undo.ID == id:
			_ = s.conn.Send(m)
		case m.Runs != nil:
			s.theirRuns(d, m.Runs)
		case m.Done != nil && m.Done.ID == id && answersGrant(m.Done):
			s.session.countUnended(id, m.Done)
			s.session.Finish(id, *m.Done)
			s.session.Forget()
			s.tell(ctx, d.user, wire.Lay{Reset: true, Settled: s.settled(id)})
			return *m.Done
		default:
			return fail(s.lose(d, errUnasked))
		}
	}
}

// drop takes tasks out of the plan. Workers were told of them: others are started, and
// told what is left.
func (s *server) drop(ids []string) {
	laid := s.session.Drop(ids)
	for _, id := range ids {
		delete(s.away, id)
		delete(s.waits, id)
	}
	for _, d := range s.delegates {
		had := len(d.tasks)
		d.tasks = slices.DeleteFunc(d.tasks, func(id string) bool { return slices.Contains(ids, id) })
		for _, id := range ids {
			delete(d.held, id)
		}
		if laid || len(d.tasks) < had {
			s.retire(d)
		}
	}
}

// elsewhere returns the user whose worker has a task; "" where this session has it.
func (s *server) elsewhere(id string) string {
	if t, ok := s.waits[id]; ok {
		return t.As
	}
	return s.away[id]
}
