package vault

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/secret"
)

// CheckValue says why a value can't be kept; nil where it can.
func CheckValue(v secret.String) error {
	text := v.Reveal()
	switch {
	case text == "":
		return errors.New("the value is empty")
	case len(text) > MaxValue:
		return fmt.Errorf("the value has %d bytes, and no more than %d are kept", len(text), MaxValue)
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return errors.New("the value isn't text: keep it as base64, and let the playbook use base64decode")
	}
	return nil
}

// editable says why the store can't be edited; nil where it can.
func (s *Store) editable() error {
	if s.keys == nil {
		return ErrLocked
	}
	if join, leave := s.Changed(); len(join)+len(leave) > 0 {
		return ErrRecipients
	}
	return nil
}

// find returns a secret that is to be edited.
func (s *Store) find(name string) (*entry, error) {
	if err := s.editable(); err != nil {
		return nil, err
	}
	if _, ok := s.elsewhere[name]; ok {
		return nil, fmt.Errorf("%q: %w", name, ErrElsewhere)
	}
	e, ok := s.entries[name]
	if !ok {
		return nil, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	return e, nil
}

// touch marks a secret as edited.
func (s *Store) touch(e *entry) {
	if e.state == asRead {
		e.state = changed
	}
	s.edited = true
}

// Set gives a secret a value, or adds it. The value that it had is gone, and where it is
// the same nothing happens: changed is false. During a rotation it is ErrOpen.
func (s *Store) Set(name string, value secret.String) (changed bool, err error) {
	if err := s.editable(); err != nil {
		return false, err
	}
	if err := errors.Join(ValidName(name), CheckValue(value)); err != nil {
		return false, err
	}
	if _, ok := s.elsewhere[name]; ok {
		return false, fmt.Errorf("%q: %w", name, ErrElsewhere)
	}
	e, ok := s.entries[name]
	if !ok {
		e = &entry{Info: Info{Name: name, Created: s.now(), Rotated: s.now()}, state: added}
		e.current = s.keys.close(name, 1, value.Reveal())
		s.entries[name], s.order, s.edited = e, append(s.order, name), true
		return true, nil
	}
	if e.pending != nil || e.previous != nil {
		return false, fmt.Errorf("%q: %w", name, ErrOpen)
	}
	v, err := s.Get(name)
	if err != nil || v.Current.Value == value {
		return false, err
	}
	e.current, e.Rotated = s.keys.close(name, e.newest()+1, value.Reveal()), s.now()
	e.Due = "" // which was for the value before
	s.touch(e)
	return true, nil
}

// newest is the greatest number of a secret's versions.
func (e *entry) newest() int { return max(e.current.n(), e.pending.n(), e.previous.n()) }

// Describe changes what is said of a secret.
func (s *Store) Describe(name string, m Meta) error {
	e, err := s.find(name)
	if err != nil {
		return err
	}
	if m.Every != "" {
		if _, err := parseEvery(m.Every); err != nil {
			return err
		}
	}
	for what, text := range map[string]string{"description": m.Description, "owner": m.Owner} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(text) > 1000 {
			return fmt.Errorf("the %s of %q is one line of text, of at most 1,000 bytes", what, name)
		}
	}
	if e.Meta != m {
		e.Meta = m
		s.touch(e)
	}
	return nil
}

// Remove takes a secret out. Where a rotation of it is open it is ErrOpen: hosts use values
// that nobody would know any more.
func (s *Store) Remove(name string) error {
	e, err := s.find(name)
	if err != nil {
		return err
	}
	if e.pending != nil || e.previous != nil {
		return fmt.Errorf("%q: %w", name, ErrOpen)
	}
	if e.state != added {
		s.gone = append(s.gone, e.whole)
	}
	delete(s.entries, name)
	s.order = slices.DeleteFunc(s.order, func(n string) bool { return n == name })
	s.edited = true
	return nil
}

// SetPending keeps the value that a rotation is about to bring, and returns its number.
// Where one is pending already it is ErrOpen: a third value is never made.
func (s *Store) SetPending(name string, value secret.String) (number int, err error) {
	e, err := s.find(name)
	if err != nil {
		return 0, err
	}
	if err := CheckValue(value); err != nil {
		return 0, err
	}
	if e.pending != nil || e.previous != nil {
		return 0, fmt.Errorf("%q: %w", name, ErrOpen)
	}
	e.pending = s.keys.close(name, e.newest()+1, value.Reveal())
	s.touch(e)
	return e.pending.number, nil
}

// DropPending takes back a pending value that was never used.
func (s *Store) DropPending(name string) error {
	e, err := s.find(name)
	if err != nil || e.pending == nil {
		return err
	}
	e.pending = nil
	s.touch(e)
	return nil
}

// Promote makes the pending value the current one, and the current one the previous.
func (s *Store) Promote(name string) error {
	e, err := s.find(name)
	if err != nil {
		return err
	}
	if e.pending == nil {
		return fmt.Errorf("%q has no pending version", name)
	}
	e.previous, e.current, e.pending = e.current, e.pending, nil
	e.Rotated, e.Due = s.now(), ""
	s.touch(e)
	return nil
}

// Retire forgets the previous value. Where there is none it does nothing.
func (s *Store) Retire(name string) error {
	e, err := s.find(name)
	if err != nil || e.previous == nil {
		return err
	}
	e.previous = nil
	s.touch(e)
	return nil
}

// forgive takes what has been rotated or removed out of what those who left have seen.
func (s *Store) forgive() {
	s.left = slices.DeleteFunc(s.left, func(d *Departed) bool {
		maps.DeleteFunc(d.Seen, func(name string, number int) bool {
			e, ok := s.entries[name]
			return !ok || e.oldest() > number
		})
		return len(d.Seen) == 0
	})
}

// oldest is the smallest number of the versions that are valid.
func (e *entry) oldest() int {
	n := e.current.n()
	for _, b := range []*box{e.pending, e.previous} {
		if b != nil {
			n = min(n, b.number)
		}
	}
	return n
}

func sortLeft(list []*Departed) {
	slices.SortFunc(list, func(a, b *Departed) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
}
