package modules

// Condition is the part of a task's `when` that only earlier tasks of the same
// host can decide. It travels with the task, so that nobody waits for it.
// Exactly one field is set.
type Condition struct {
	Changed string       `cbor:"1,keyasint,omitempty" json:"changed,omitempty"` // the ID of a task of this host
	Not     *Condition   `cbor:"2,keyasint,omitempty" json:"not,omitempty"`
	All     []*Condition `cbor:"3,keyasint,omitempty" json:"all,omitempty"`
	Any     []*Condition `cbor:"4,keyasint,omitempty" json:"any,omitempty"`
}

// Truth is the value of a condition: it may not be known yet.
type Truth int8

// The truth values.
const (
	False Truth = iota
	True
	Maybe
)

// Decide evaluates the condition in three-valued logic; a nil condition is
// true. changed says whether the task of that ID changed something.
func (c *Condition) Decide(changed func(id string) Truth) Truth {
	switch {
	case c == nil:
		return True
	case c.Changed != "":
		return changed(c.Changed)
	case c.Not != nil:
		switch c.Not.Decide(changed) {
		case True:
			return False
		case False:
			return True
		}
		return Maybe
	case c.All != nil:
		all := True
		for _, e := range c.All {
			switch e.Decide(changed) {
			case False:
				return False
			case Maybe:
				all = Maybe
			}
		}
		return all
	}
	anyOf := False
	for _, e := range c.Any {
		switch e.Decide(changed) {
		case True:
			return True
		case Maybe:
			anyOf = Maybe
		}
	}
	return anyOf
}
