package remote

import (
	"context"
	"errors"
	"maps"
	"slices"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// Review plans tasks once more, where all of them are planned or made, and returns
// those that still have something to do: the next run would change it again, and
// the run after that. No kind declares what it may be in conflict over; this is
// what finds it.
//
// Before anything is made, tasks are planned on the preview of all. What isn't known
// yet there is passed over, and so are probes; an error is something left, since the
// task had none when it was planned. After it they are planned on the host itself: then
// only the tasks of ids are.
func (s *Session) Review(ctx context.Context, made bool, ids []string) []wire.Left {
	v := s.ahead
	switch {
	case made:
		s.Forget()
		v = s.real
	case !s.preview.Pending():
		return nil
	}
	var list []wire.Left
	for _, t := range s.order {
		if t.module == nil && made && t.Kind != "" { // it was planned by another process, or not at all
			t.module, _ = s.Kinds.Decode(t.Kind, t.Args)
		}
		if t.module == nil || t.own || t.Passing || t.planned.Always || s.Kinds.Kind(t.Kind).Probe {
			continue
		}
		if made && !slices.Contains(ids, t.ID) || !made && !s.settledly(t) {
			continue
		}
		left := s.left(ctx, t, v)
		if left == nil {
			continue
		}
		if !made {
			left.By = s.by(ctx, t)
		}
		list = append(list, *left)
	}
	return list
}

// left is what a task has to do on a view; nil where that is nothing, or isn't known.
func (s *Session) left(ctx context.Context, t *task, v *host.View) *wire.Left {
	plan, err := s.askModule(ctx, t, v)
	left := &wire.Left{ID: t.ID}
	switch {
	case errors.Is(err, host.ErrNotYet):
		return nil
	case err != nil:
		left.Error = s.redact.Redact(t.failure(err))
		if left.Keys = keysOf(t.effects); len(left.Keys) == 0 {
			left.Keys = keysOf(s.bound(t))
		}
		return left
	case plan.Always:
		return nil
	}
	for i, c := range plan.Changes {
		if d := s.describe(t, plan, i); d.Action.Counts() {
			left.Changes = append(left.Changes, d)
			left.Effects = append(left.Effects, c.Effects()...)
		}
	}
	if left.Keys = keysOf(left.Effects); len(left.Changes) == 0 {
		return nil
	}
	return left
}

// by returns which task's plan first leaves t something to do, of those behind it: t
// itself where its own effects do, "" where that can't be told. Several may have a hand
// in one thing, and most of them get on with t.
func (s *Session) by(ctx context.Context, t *task) string {
	own := len(s.layers) - 1
	for ; own >= 0 && s.layers[own].id != t.ID; own-- {
	}
	if own < 0 {
		return ""
	}
	settled := func(n int) bool {
		p := &host.Preview{}
		for _, l := range s.layers[:n] {
			p.Lay(l.effects)
		}
		return s.left(ctx, t, s.real.With(p)) == nil
	}
	if !settled(own + 1) {
		return t.ID
	}
	good, bad := own+1, len(s.layers)
	for bad-good > 1 {
		if mid := (good + bad) / 2; settled(mid) {
			good = mid
		} else {
			bad = mid
		}
	}
	return s.layers[bad-1].id
}

// settledly reports whether a task's plan says for certain how it leaves the host.
func (s *Session) settledly(t *task) bool {
	p := t.planned
	return p.Certainty == wire.Known && len(p.Then) == 0 && (p.Status == wire.Unchanged || p.Status == wire.Pending) &&
		t.When.Decide(s.truth) == modules.True
}

func keysOf(effects []host.Effect) []host.Key {
	var keys []host.Key
	for _, e := range effects {
		keys = append(keys, e.Key)
	}
	return keys
}

// review answers a request to plan all tasks once more: those of this session, and
// those of its workers, each by the process that planned it.
func (s *server) review(ctx context.Context, r *wire.Review) error {
	list := s.session.Review(ctx, r.Made, r.IDs)
	if s.o.Worker {
		return s.conn.Send(&wire.Message{Reviewed: &wire.Reviewed{Left: list}})
	}
	for _, name := range slices.Sorted(maps.Keys(s.delegates)) {
		list = append(list, s.reviewBy(ctx, s.delegates[name], r)...)
	}
	var told []wire.Conflict
	for _, c := range s.session.Conflicts(list, r.Made) {
		if !c.Alone {
			told = append(told, c)
		}
	}
	return s.conn.Send(&wire.Message{Reviewed: &wire.Reviewed{Conflicts: told}})
}

// reviewBy has a user's worker plan its tasks once more, with the groups that the
// user has by then. Of a user who is gone no task can be planned any more: they have
// settled.
func (s *server) reviewBy(ctx context.Context, d *delegate, r *wire.Review) []wire.Left {
	if d.lost != nil || len(d.tasks) == 0 || !r.Made && !s.session.preview.Pending() {
		return nil
	}
	if _, err := s.account(d.user); err != nil {
		s.retire(d)
		return nil
	}
	_, err := s.delegate(ctx, d.user)
	if err == nil {
		err = d.worker.conn.Send(&wire.Message{Review: r})
	}
	var m *wire.Message
	if err == nil {
		m, err = s.next(d)
	}
	if err == nil && m.Reviewed == nil {
		err = errUnasked
	}
	if err == nil {
		return s.leftBy(d, m.Reviewed.Left)
	}
	err = s.lose(d, err)
	for _, id := range r.IDs {
		if s.away[id] == d.user {
			return []wire.Left{{ID: id, Error: err.Error()}}
		}
	}
	return nil
}

// leftBy returns what a worker says that its user's tasks have left, as far as it may
// be held against others: at keys that those tasks are about.
func (s *server) leftBy(d *delegate, list []wire.Left) (own []wire.Left) {
	for _, l := range list {
		h := d.held[l.ID]
		if h == nil {
			continue
		}
		t := &task{Task: h.Task}
		t.module, _ = s.session.Kinds.Decode(t.Kind, t.Args)
		about := slices.DeleteFunc(append(t.may(), h.Effects...), func(e host.Effect) bool { return e.Key.Name == host.All })
		for i, e := range about {
			if e.Key.Space == host.Files {
				about[i].Key.Name = s.session.resolved(e.Key.Name)
			}
		}
		l.Keys = slices.DeleteFunc(l.Keys, func(key host.Key) bool { return !covers(about, key) })
		l.Effects = slices.DeleteFunc(l.Effects, func(e host.Effect) bool { return !covers(about, e.Key) })
		if by := s.session.tasks[l.By]; by != nil && l.By != l.ID && !slices.ContainsFunc(by.effects, func(e host.Effect) bool { return meets(e, l.Keys) != nil }) {
			l.By = ""
		}
		own = append(own, l)
	}
	return own
}
