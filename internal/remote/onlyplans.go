package remote

import (
	"context"
	"errors"
	"fmt"
	"math"

	"muster/internal/wire"
)

// errOnlyPlans is what a login that only plans may not ask for.
var errOnlyPlans = errors.New("this login only plans: nothing is changed through it")

// restrict has a remote serve a login that only plans, whatever the controller says, and
// opens what is known of tasks. It is called before anything is received.
func (s *server) restrict() error {
	if s.o.Agreed == "" || s.o.Worker {
		return nil
	}
	var err error
	if s.agreed, err = openAgreed(s.o.Agreed, s.o.OnlyPlans); err != nil && s.o.OnlyPlans {
		return fmt.Errorf("reading which tasks may be planned: %w", err)
	}
	if s.o.OnlyPlans {
		s.readOnly = true
		s.lock.vigil.Silence = math.MaxInt64 // it ends nobody's remote
	}
	return nil
}

// mayAsk returns errOnlyPlans for a message that isn't one of a plan. What isn't named
// here is refused.
func mayAsk(m *wire.Message) error {
	what := ""
	switch {
	case m.Open != nil && m.Open.ReadOnly && m.Open.Take == 0:
	case m.Task != nil && !m.Task.Late && m.Task.Shown == nil:
	case m.Lay != nil && len(m.Lay.Effects) == 0 && m.Lay.Shown == nil:
	case m.Review != nil && !m.Review.Made, m.Gather != nil, m.Drop != nil, m.Trace != nil:
	case m.Grant != nil:
		what = "a grant"
	case m.Open != nil:
		what = "a session that makes changes"
	default:
		what = "this message"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("%w; it refuses %s", errOnlyPlans, what)
}

// unknownTask is why a task isn't planned.
const unknownTask = "not looked at: nobody who may change this host has had the task planned since it was last edited, and this login plans no other (\"muster plan\" does)"

// agrees reports whether a task may be planned, and answers it where it may not.
// Where everybody who plans may make changes, too, it notes the task.
func (s *server) agrees(ctx context.Context, t *wire.Task) (bool, error) {
	switch {
	case s.agreed == nil:
		return true, nil
	case !s.o.OnlyPlans:
		s.agreed.add(t)
		return true, nil
	case !s.barred(t):
		return true, nil
	}
	if s.session.Kinds.Kind(t.Kind) == nil || s.session.isCompanion(*t) {
		return false, s.failed(*t, errors.New(unknownTask))
	}
	why := unknownTask
	if open := unknownArgs(t.Args); len(open) > 0 { // which is so for everybody
		why = openArgs(open)
	}
	p, effects := s.session.Unseen(*t, why)
	s.tell(ctx, "", wire.Lay{ID: t.ID, Effects: effects, Settled: s.settled(t.ID)})
	return false, s.planned(&p)
}

// barred reports whether a task isn't to be planned here at all.
func (s *server) barred(t *wire.Task) bool { return s.o.OnlyPlans && !s.agreed.has(t) }

// note writes down the tasks that were planned, while nothing else is to be done.
func (s *server) note() {
	if s.agreed != nil && !s.o.OnlyPlans {
		s.agreed.flush()
	}
}
