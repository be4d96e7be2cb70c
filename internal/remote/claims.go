package remote

import (
	"context"
	"fmt"
	"slices"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// leaveOpen lays what the task is about as unknown.
func (s *Session) leaveOpen(t *task) { t.effects = append(t.effects, s.bound(t)...) }

// bound is what the task may alter at most, as far as its arguments tell: what
// its module foresees, and the keys it claims.
func (s *Session) bound(t *task) []host.Effect {
	list := t.may()
	if list != nil && len(list) == 0 {
		return list
	}
	for i, e := range list {
		if e.Key.Space == host.Files && e.Key.Name != host.All {
			list[i].Key.Name = s.resolved(e.Key.Name)
		}
	}
	for _, key := range t.claims {
		if !covers(list, key) {
			list = append(list, host.Effect{Key: key, State: host.Unknown})
		}
	}
	kind := s.Kinds.Kind(t.Kind)
	if len(list) == 0 && !kind.Probe {
		space := kind.Space
		if space == "" {
			space = host.All
		}
		list = append(list, host.Effect{Key: host.Key{Space: space, Name: host.All}, State: host.Unknown})
	}
	return list
}

// resolved is the key's name of a path; the path itself where that can't be told.
func (s *Session) resolved(path string) string {
	if at, err := s.ahead.Resolve(path); err == nil {
		return at
	}
	return path
}

// may is what the module can foresee from its arguments.
func (t *task) may() []host.Effect {
	if f, ok := t.module.(modules.Foreseer); ok {
		return f.May()
	}
	return nil
}

// harmless reports whether the module is one that alters nothing, whatever its
// arguments: an assertion, a message.
func (t *task) harmless() bool {
	may := t.may()
	return may != nil && len(may) == 0
}

// claim notes the keys that the task wants in one state: the kind's key
// argument, and what the module adds.
func (s *Session) claim(t *task) {
	t.claims = nil
	kind, key := s.Kinds.Kind(t.Kind), s.Kinds.Schema(t.Kind).Key()
	if c, ok := t.module.(modules.Claimer); ok {
		t.claims = append(t.claims, c.Claims()...)
	}
	if kind.Space == "" || key == nil {
		return
	}
	for _, name := range names(t.Args[key.Name]) {
		if kind.Space != host.Files {
			t.claims = append(t.claims, host.Key{Space: kind.Space, Name: name})
			continue
		}
		at, err := s.ahead.Resolve(name)
		if err != nil {
			continue
		}
		t.claims = append(t.claims, host.File(at))
		// A task that follows a link is about what it leads to.
		if end, err := s.ahead.Follow(name); err == nil && end != at {
			t.claims = append(t.claims, host.File(end))
		}
	}
}

// conflict fails a plan whose effects an earlier task would take back in the
// next run, and it in the run after: two tasks want one thing in two states.
func (s *Session) conflict(ctx context.Context, t *task, p wire.Planned) wire.Planned {
	for _, earlier := range s.order {
		if earlier == t || earlier.module == nil || earlier.planned.Certainty != wire.Known || earlier.planned.Always ||
			earlier.planned.Status != wire.Unchanged && earlier.planned.Status != wire.Pending {
			continue
		}
		key, shared := sharedKey(earlier.claims, t.effects)
		if !shared {
			continue
		}
		after := s.preview.Clone()
		after.Lay(t.effects)
		again, err := earlier.module.Plan(ctx, s.real.With(after))
		if err != nil || !touches(again.Changes, key) {
			continue
		}
		return wire.Planned{Status: wire.Failed, Certainty: wire.Known, Error: fmt.Sprintf(
			"two tasks want %s in two states: this one would undo what %s does, in every run; leave it to one of them", key, earlier.label())}
	}
	return p
}

func sharedKey(claims []host.Key, effects []host.Effect) (host.Key, bool) {
	for _, c := range claims {
		for _, e := range effects {
			if e.Key == c && (e.State == host.Present || e.State == host.Absent) {
				return c, true
			}
		}
	}
	return host.Key{}, false
}

func touches(changes []host.Change, key host.Key) bool {
	for _, c := range changes {
		for _, e := range c.Effects() {
			if e.Key == key {
				return true
			}
		}
	}
	return false
}

// brought reports whether earlier tasks leave something at a key that the task is
// about: what it will find there is theirs, and may differ from what the host has.
func (s *Session) brought(t *task) bool {
	keys := slices.Clone(t.claims)
	for _, e := range t.effects {
		keys = append(keys, e.Key)
	}
	return slices.ContainsFunc(keys, func(key host.Key) bool {
		_, laid, open, err := s.ahead.Look(key)
		return laid || open || err != nil
	})
}
