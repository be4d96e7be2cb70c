package remote

import (
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// leaveOpen lays what the task may alter, while nobody can tell what it will.
func (s *Session) leaveOpen(t *task) {
	t.effects = append(t.effects, s.bound(t)...)
	if s.Host.Asked != nil { // the links in what it may alter were followed for it
		for _, e := range t.may() {
			s.Host.Asked(e.Key)
		}
	}
}

// bound is what the task may alter at most, as far as its arguments tell.
func (s *Session) bound(t *task) []host.Effect {
	may := t.may()
	if may == nil {
		if s.Kinds.Kind(t.Kind).Probe {
			return nil
		}
		return []host.Effect{host.Open(host.All, host.All)}
	}
	list := make([]host.Effect, 0, len(may))
	for _, e := range may {
		if e.Key.Space != host.Files || e.Key.Name == host.All {
			list = append(list, e)
			continue
		}
		path, rest := e.Key.Name, ""
		if e.Prefix { // of names beside the path of another
			for _, o := range may {
				if after, ok := strings.CutPrefix(e.Key.Name, o.Key.Name); ok && !o.Prefix && o.Key.Space == host.Files {
					path, rest = o.Key.Name, after
				}
			}
		}
		e.Key.Name = s.resolved(path) + rest
		list = append(list, e)
		// A task that follows a link is about what it leads to.
		if end, err := s.ahead.Follow(path); err == nil && end+rest != e.Key.Name {
			e.Key.Name = end + rest
			list = append(list, e)
		}
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

// may is what the module can foresee from its arguments; nil where it can't.
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

// brought reports whether earlier tasks leave something at a key that the task is
// about: what it will find there is theirs, and may differ from what the host has.
func (s *Session) brought(t *task) bool {
	return slices.ContainsFunc(append(s.bound(t), t.effects...), func(e host.Effect) bool {
		if e.Key.Name == host.All {
			return false
		}
		_, laid, open, err := s.ahead.Look(e.Key)
		return laid || open || err != nil
	})
}
