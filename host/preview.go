package host

import (
	"maps"
	"slices"
)

// Preview is what the changes planned so far will leave on a host. Its zero
// value is a host on which nothing is pending. It isn't safe for concurrent use.
type Preview struct {
	exact    map[Key]Effect
	possible map[string]bool // spaces in which what is absent may appear
	unknown  map[string]bool // spaces in which nothing can be told
	pending  bool
	tainted  bool
}

// Lay adds effects of one planned change, in the order of the plan.
func (p *Preview) Lay(effects []Effect) {
	if p.exact == nil {
		p.exact, p.possible, p.unknown = map[Key]Effect{}, map[string]bool{}, map[string]bool{}
	}
	for _, e := range effects {
		p.pending = true
		switch {
		case e.Key.Space == All:
			p.tainted = true
		case e.Key.Name != All:
			p.exact[e.Key] = e
		case e.State == Possible:
			p.possible[e.Key.Space] = true
		default:
			p.unknown[e.Key.Space] = true
			for k := range p.exact {
				if k.Space == e.Key.Space {
					delete(p.exact, k)
				}
			}
		}
	}
}

// Pending reports whether any change is laid.
func (p *Preview) Pending() bool { return p != nil && p.pending }

// Tainted reports whether something laid may have altered anything at all (an
// unguarded command), so that what is planned after it is tentative.
func (p *Preview) Tainted() bool { return p != nil && p.tainted }

// Beyond reports whether anything is laid that isn't in one of the spaces.
func (p *Preview) Beyond(spaces ...string) bool {
	if p == nil {
		return false
	}
	other := func(space string) bool { return !slices.Contains(spaces, space) }
	for key := range p.exact {
		if other(key.Space) {
			return true
		}
	}
	return p.tainted || slices.ContainsFunc(slices.Collect(maps.Keys(p.possible)), other) || slices.ContainsFunc(slices.Collect(maps.Keys(p.unknown)), other)
}

// look returns what is laid at key: an effect with its state, or ok false
// where the host itself answers. A Possible effect means that the host
// answers, but that its "absent" isn't final.
func (p *Preview) look(key Key) (e Effect, ok bool) {
	if p == nil || !p.pending {
		return Effect{}, false
	}
	if e, ok = p.exact[key]; ok && e.State != Possible {
		return e, true
	}
	if p.unknown[key.Space] {
		return Effect{Key: key, State: Unknown}, true
	}
	if ok || p.possible[key.Space] {
		return Effect{Key: key, State: Possible}, true
	}
	return Effect{}, false
}

// Clone returns a copy that can be laid further without touching p.
func (p *Preview) Clone() *Preview {
	c := *p
	c.exact, c.possible, c.unknown = maps.Clone(p.exact), maps.Clone(p.possible), maps.Clone(p.unknown)
	return &c
}
