package host

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Preview is what the changes planned so far will leave on a host. Its zero
// value is a host on which nothing is pending. It isn't safe for concurrent use.
type Preview struct {
	exact    map[Key]Effect
	anew     map[Key]bool    // files that something takes the place of that was to be gone
	possible map[string]bool // spaces in which what is absent may appear
	unknown  map[string]bool // spaces in which nothing can be told
	begins   []Key           // how names begin that may appear
	pending  bool
	tainted  bool
	holders  bool      // users or groups are among what is laid
	held     []account // those, once somebody has asked; nil: ask anew
}

// Lay adds effects of one planned change, in the order of the plan.
func (p *Preview) Lay(effects []Effect) {
	if p.exact == nil {
		p.exact, p.possible, p.unknown, p.anew = map[Key]Effect{}, map[string]bool{}, map[string]bool{}, map[Key]bool{}
	}
	for _, e := range effects {
		p.pending = true
		if e.Key.Space == Users || e.Key.Space == Groups {
			p.holders, p.held = true, nil
		}
		switch {
		case e.Key.Space == All:
			p.tainted = true
		case e.Prefix:
			p.begins = append(p.begins, e.Key)
		case e.Key.Name != All:
			if was, laid := p.exact[e.Key]; laid && was.State == Absent && e.Key.Space == Files {
				p.anew[e.Key] = true
			}
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
	if ok || p.possible[key.Space] || p.brings(key) {
		return Effect{Key: key, State: Possible}, true
	}
	return Effect{}, false
}

// brings reports whether a key's name begins as those of which any may appear.
func (p *Preview) brings(key Key) bool {
	return slices.ContainsFunc(p.begins, func(b Key) bool { return b.Space == key.Space && strings.HasPrefix(key.Name, b.Name) })
}

// Clone returns a copy that can be laid further without touching p.
func (p *Preview) Clone() *Preview {
	c := *p
	c.begins = slices.Clone(p.begins)
	c.exact, c.possible, c.unknown, c.anew = maps.Clone(p.exact), maps.Clone(p.possible), maps.Clone(p.unknown), maps.Clone(p.anew)
	return &c
}

// emptied reports whether pending changes take away what the host has in a directory:
// it is removed, something else takes its place, or a directory takes that of a file
// or a link; or one above it is. What they put there is known by itself.
func (v *View) emptied(dir string) bool {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		e, laid := v.preview.exact[File(dir)]
		switch {
		case !laid:
		case e.State == Absent, v.preview.anew[File(dir)]:
			return true
		case e.State == Present && !v.stillDirectory(e):
			return true
		}
	}
	return false
}

// stillDirectory reports whether an effect leaves a directory where the host has one.
func (v *View) stillDirectory(e Effect) bool {
	var planned FileInfo
	if Unmarshal(e.Value, &planned) != nil || planned.Type != Directory {
		return false
	}
	real, _ := Once(v, "type of "+e.Key.Name, func() (FileInfo, error) { return lstat(e.Key.Name) })
	return real.Type == Directory
}
