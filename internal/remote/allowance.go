package remote

import (
	"fmt"
	"maps"
	"strings"

	"muster/host"
	"muster/internal/wire"
)

// allowance is what a task may do at its turn: what its plan showed. Where that
// couldn't be told exactly it is an upper bound, the one that was laid in the
// preview for the tasks after it.
type allowance struct {
	certainty wire.Certainty
	planned   map[host.Description]int
	wants     map[string]int  // of the planned changes, where what they find was expected to move
	targets   map[string]bool // what was shown or forecast
	bound     []host.Effect
	more      bool // a forecast is left
}

func newAllowance(t *task, bound []host.Effect) *allowance {
	p := t.planned
	a := &allowance{certainty: p.Certainty, planned: map[host.Description]int{}, targets: map[string]bool{}, more: len(p.Then) > 0}
	for _, d := range p.Changes {
		a.planned[d]++
	}
	if t.behind {
		a.wants = maps.Clone(t.wants)
	}
	for _, d := range p.Then {
		a.targets[d.Target] = true
	}
	if p.Certainty != wire.Known {
		a.bound = append(bound, t.effects...)
		for _, d := range p.Changes {
			a.targets[d.Target] = true
		}
	}
	return a
}

// take uses up the part of the plan that allows a change. A change is allowed
// as it was shown. Behind other changes that were pending when it was planned
// it is allowed too if it wants the same, whatever it finds: a package brought
// the file first, so that it is updated instead of created. Where the plan said
// that it couldn't tell, it is allowed on what was shown, and within what the
// task may alter at most.
func (a *allowance) take(d host.Description, c host.Change) error {
	switch {
	case a.planned[d] > 0:
		a.planned[d]--
		return nil
	case a.wants[want(c)] > 0:
		a.wants[want(c)]--
		return nil
	case a.targets[d.Target], !d.Action.Counts(), a.certainty != wire.Known && a.within(c):
		return nil
	}
	return fmt.Errorf("%w: it would now %s, which the plan didn't show; nothing more is done here. Plan again to see what has moved", host.ErrMoved, summary(d))
}

// within reports whether all that a change may alter lies within the bound.
func (a *allowance) within(c host.Change) bool {
	for _, e := range c.Effects() {
		if !covers(a.bound, e.Key) {
			return false
		}
	}
	return true
}

// covers reports whether a key is one of those that effects are about: itself,
// by a wildcard, by what its name begins with, or because it lies below a path.
func covers(effects []host.Effect, key host.Key) bool {
	for _, e := range effects {
		switch {
		case e.Key == key, e.Key.Space == host.All:
			return true
		case e.Key.Space != key.Space:
		case e.Key.Name == host.All, e.Prefix && strings.HasPrefix(key.Name, e.Key.Name), key.Space == host.Files && strings.HasPrefix(key.Name, strings.TrimSuffix(e.Key.Name, "/")+"/"):
			return true
		}
	}
	return false
}

// Exceeds returns the keys that a planned task would alter beyond what it says
// it may alter at most: none, or its module is at fault.
func (s *Session) Exceeds(id string) []host.Key {
	t := s.tasks[id]
	if t == nil || t.module == nil || t.planned.Always {
		return nil
	}
	var list []host.Key
	bound := s.bound(t)
	for _, e := range t.effects {
		if !covers(bound, e.Key) {
			list = append(list, e.Key)
		}
	}
	return list
}
