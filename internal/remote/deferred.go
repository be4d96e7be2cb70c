package remote

import (
	"strings"

	"muster/host"
	"muster/internal/wire"
)

// deferred is the plan of a task that can only be planned at its turn. What
// it might do is laid as unknown.
func (s *Session) deferred(t *task, then []host.Description, why string) wire.Planned {
	missing := s.missing(t) // before what it does is open
	s.leaveOpen(t)
	if len(then) == 0 {
		action := host.Update
		if missing {
			action = host.Create
		}
		switch {
		case t.harmless():
			action = host.Check
		case covers(t.effects, host.Key{Space: host.All, Name: host.All}):
			action = host.Run // a command, which may do anything
		}
		then = []host.Description{{Action: action, Target: s.subject(t), Diff: s.known(t), Impact: why}}
	}
	return wire.Planned{Status: wire.Pending, Certainty: wire.Deferred, Then: s.shown(t, then)}
}

// subject is what a deferred task is about, as its changes would call it where
// that is known: a path, else the kind and its key.
func (s *Session) subject(t *task) string {
	key := s.Kinds.Schema(t.Kind).Key()
	if key == nil {
		return t.label()
	}
	list := names(t.Args[key.Name])
	switch {
	case len(list) == 0:
		return t.label()
	case key.Path:
		return s.resolved(list[0])
	}
	return t.Kind + " " + strings.Join(list, ", ")
}

// missing reports whether what a deferred task brings about is known not to be there: a path
// at which nothing stands by its turn.
func (s *Session) missing(t *task) bool {
	key := s.Kinds.Schema(t.Kind).Key()
	if key == nil || !key.Path || t.Args["state"] == "absent" {
		return false
	}
	list := names(t.Args[key.Name])
	if len(list) != 1 {
		return false
	}
	info, err := s.ahead.Lstat(list[0])
	return err == nil && !info.Exists()
}
