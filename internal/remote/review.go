package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
// yet there is passed over, and so are probes; an error counts where another task has
// taken away what the task is about. After it they are planned on the host itself: then
// only the tasks of ids are, and every error counts.
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
		plan, err := s.askModule(ctx, t, v)
		left := wire.Left{ID: t.ID}
		switch {
		case errors.Is(err, host.ErrNotYet):
			continue
		case err != nil:
			left.Error = s.redact.Redact(t.failure(err))
			if left.Keys = keysOf(t.effects); len(left.Keys) == 0 {
				left.Keys = keysOf(s.bound(t))
			}
		case plan.Always:
			continue
		}
		for i, c := range plan.Changes {
			if d := s.describe(t, plan, i); d.Action.Counts() {
				left.Changes = append(left.Changes, d)
				left.Keys = append(left.Keys, keysOf(c.Effects())...)
			}
		}
		if left.Error != "" || len(left.Changes) > 0 {
			list = append(list, left)
		}
	}
	return list
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

// Conflicts says of what tasks have left to do which other task is in the way: the
// last that leaves something else at the same key. Where there is none the kind
// itself is at fault: it leaves out an effect, or doesn't settle.
func (s *Session) Conflicts(list []wire.Left, made bool) []wire.Conflict {
	var out []wire.Conflict
	for _, left := range list {
		t := s.tasks[left.ID]
		if t == nil {
			continue
		}
		other, key := s.other(t, left.Keys, func(e host.Effect) bool { return made || left.Error == "" || e.State == host.Absent }, made)
		if !made && other != nil && other.planned.Certainty == wire.Deferred {
			continue // what it will leave is known after apply, and reviewed then
		}
		c := wire.Conflict{ID: t.ID}
		switch {
		case other == nil && !made && left.Error != "":
			continue // it may be for something else
		case other == nil && made:
			c.Text = fmt.Sprintf("it isn't settled: planned once more after the run, it %s. What else alters it on the host? If nothing does, the kind %q is at fault", left.Wants(), kindOf(t.label()))
		case other == nil:
			c.Alone, c.Text = true, fmt.Sprintf("planned on what it leaves itself, it %s", left.Wants())
		default:
			first, second := t, other
			if slices.Index(s.order, t) > slices.Index(s.order, other) {
				first, second = other, t
			}
			c.ID = second.ID
			c.Text = fmt.Sprintf("two tasks want %s in two states: this one would undo what %s does, in every run; leave it to one of them", key, first.label())
			if second.ID == t.ID && !made {
				c.Text = fmt.Sprintf("two tasks want %s in two states: this one and %s, and each run would change it twice; leave it to one of them", key, first.label())
			}
		}
		if !slices.ContainsFunc(out, func(o wire.Conflict) bool { return o.ID == c.ID }) {
			out = append(out, c)
		}
	}
	return out
}

// other returns the last task besides t that leaves something at one of keys by an
// effect that counts, and that key. What only may be brought there counts for nothing, and so does what was
// known after apply and then came to nothing.
func (s *Session) other(t *task, keys []host.Key, count func(host.Effect) bool, made bool) (*task, host.Key) {
	for i := len(s.order) - 1; i >= 0; i-- {
		o := s.order[i]
		if o == t || o.Passing || made && o.planned.Certainty == wire.Deferred && o.changed == modules.False {
			continue
		}
		for _, e := range o.effects {
			if e.State == host.Possible || e.Key.Name == host.All || !count(e) {
				continue
			}
			for _, key := range keys {
				if covers([]host.Effect{e}, key) || e.State != host.Unknown && covers([]host.Effect{{Key: key}}, e.Key) && key.Name != host.All {
					return o, key
				}
			}
		}
	}
	return nil, host.Key{}
}

// kindOf is the kind in a task's label: task.KIND.LABEL.
func kindOf(label string) string {
	_, rest, _ := strings.Cut(label, "task.")
	kind, _, _ := strings.Cut(rest, ".")
	kind, _, _ = strings.Cut(kind, "[")
	return kind
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
		own = append(own, l)
	}
	return own
}
