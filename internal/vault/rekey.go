package vault

import (
	"errors"
	"fmt"
	"slices"
)

// Rekeyed is what a new data key has changed.
type Rekeyed struct {
	To           []Recipient // whom it is sealed to
	Joined, Left []Recipient
	Seen         []string // what those who left could read, and is to be rotated
}

// Rekey makes a new data key, seals it to the recipients in the file, and seals every
// value anew. Whoever isn't among them any more is noted with what they could read.
// Moved are the names of those who only have another key, whose old one is destroyed:
// nothing is noted of them.
func (s *Store) Rekey(moved ...string) (*Rekeyed, error) {
	if s.keys == nil {
		return nil, ErrLocked
	}
	if len(s.recipients) == 0 {
		return nil, errors.New("the file has no recipient that it could be sealed to")
	}
	join, leave := s.Changed()
	byName := func(list []Recipient, name string) bool {
		return slices.ContainsFunc(list, func(r Recipient) bool { return r.Name == name })
	}
	for _, name := range moved {
		if !byName(join, name) || !byName(leave, name) {
			return nil, fmt.Errorf("%q hasn't moved: the key of that recipient is the same in the file as it was", name)
		}
	}
	done := &Rekeyed{To: slices.Clone(s.recipients), Joined: join}
	for _, r := range leave {
		if slices.ContainsFunc(s.recipients, func(o Recipient) bool { return o.Key == r.Key }) || slices.Contains(moved, r.Name) {
			continue
		}
		done.Left = append(done.Left, r)
		s.depart(r)
	}
	s.left = slices.DeleteFunc(s.left, func(d *Departed) bool {
		return slices.ContainsFunc(s.recipients, func(r Recipient) bool { return r.Key == d.Key }) // who is back
	})
	if len(done.Left) > 0 {
		done.Seen = slices.Sorted(slices.Values(s.order))
	}
	data := newDataKey()
	sealed, err := sealKey(data, s.recipients)
	if err != nil {
		return nil, err
	}
	next := keysOf(data)
	lineage := append(slices.Clone(s.lineage), s.keys.names(next))
	s.lineage = lineage[max(0, len(lineage)-maxLineage):]
	return done, s.sealTo(next, sealed)
}

// depart notes somebody who left, with everything that they could read.
func (s *Store) depart(r Recipient) {
	d := s.departed(r)
	for name, e := range s.entries {
		d.Seen[name] = e.newest()
	}
}

// departed returns the note of somebody who left, which is made where there is none.
func (s *Store) departed(r Recipient) *Departed {
	for _, d := range s.left {
		if d.Key == r.Key {
			return d
		}
	}
	d := &Departed{Name: r.Name, Key: r.Key, Date: s.now(), Seen: map[string]int{}}
	s.left = append(s.left, d)
	sortLeft(s.left)
	return d
}

// sealTo seals all values anew, with the keys of another data key.
func (s *Store) sealTo(k *keys, sealed string) error {
	for _, name := range s.order {
		e := s.entries[name]
		for _, b := range []**box{&e.current, &e.pending, &e.previous} {
			if *b == nil {
				continue
			}
			text, err := s.keys.open(name, *b)
			if err != nil {
				return problem("Value can't be opened", fmt.Sprintf("Version %d of %q isn't what was sealed: %s.", (*b).number, name, err), e.Range)
			}
			*b = k.close(name, (*b).number, text)
		}
		s.touch(e)
	}
	s.keys, s.sealedKey, s.edited = k, sealed, true
	s.sealedTo = slices.Clone(s.recipients)
	sortRecipients(s.sealedTo)
	return nil
}
