package vault

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
)

// The sides of a merge.
const (
	Ours   = "ours"
	Theirs = "theirs"
)

// Side is a file that is merged.
type Side struct {
	Name string // for messages
	Src  []byte
}

// MergeOptions say how a merge is made.
type MergeOptions struct {
	Identities []age.Identity
	Take       string // Ours or Theirs, for secrets that both have changed; "": that is a conflict
}

// ConflictError says why two sides can't be merged.
type ConflictError struct {
	Names []string // of the secrets that both have changed
	Why   string   // where it is something else
}

func (e *ConflictError) Error() string {
	if e.Why != "" {
		return e.Why
	}
	return strings.Join(e.Names, ", ") + " changed on both sides"
}

// Merge brings what theirs has changed since base into ours, or the other way about where
// theirs has a new data key, and seals the result. All three are opened and checked first. Secrets of
// different names never conflict. Comments are those of the side that is brought into;
// the other's come along with secrets that it has added, and where it alone has edited
// the comments of a secret, or those at the file's top.
func Merge(base, ours, theirs Side, o MergeOptions) ([]byte, error) {
	if len(bytes.TrimSpace(base.Src)) == 0 {
		return nil, &ConflictError{Why: "both sides have made this store, each with a data key of its own; take one of them as a whole, and set the other's secrets in it"}
	}
	var stores [3]*Store
	var wrong error
	for i, side := range []Side{base, ours, theirs} {
		s, err := Parse(side.Name, side.Src)
		if err == nil {
			err = s.Unlock(o.Identities...)
		}
		stores[i], wrong = s, errors.Join(wrong, err)
		if err != nil {
			return nil, wrong
		}
	}
	// Ours may be older where git picks a commit onto another branch.
	if stores[2].generation < stores[0].generation {
		return nil, &ConflictError{Why: "their side is an older state of the store than the one that it comes from, and would take changes back; set again what is to be as it was, or take one side as a whole"}
	}
	m := merge{base: stores[0], to: stores[1], from: stores[2], take: o.Take == Theirs, decided: o.Take != ""}
	if m.to.sealedKey == m.base.sealedKey && m.from.sealedKey != m.base.sealedKey {
		m.to, m.from, m.take = m.from, m.to, o.Take == Ours
	}
	if err := m.sides(); err != nil {
		return nil, err
	}
	if err := m.comments(o.Identities); err != nil {
		return nil, err
	}
	if err := m.secrets(); err != nil {
		return nil, err
	}
	m.to.generation, m.to.edited = max(m.to.generation, m.from.generation), true
	out, err := m.to.Bytes()
	if err != nil {
		return nil, err
	}
	again, err := Parse(m.to.Path, out)
	if err == nil {
		err = again.Unlock(o.Identities...)
	}
	if err != nil {
		return nil, fmt.Errorf("what was merged can't be opened, so nothing is written: %w", err)
	}
	return out, nil
}

// merge brings what one side has changed into the other.
type merge struct {
	base, to, from *Store
	take, decided  bool // of what both have changed: what from has; whether that is said
}

func (m *merge) sides() error {
	if m.from.sealedKey != m.base.sealedKey && m.from.sealedKey != m.to.sealedKey {
		return &ConflictError{Why: "both sides have a new data key (\"muster secret rekey\"); take one of them as a whole, and set in it what the other has changed"}
	}
	if m.from.sealedKey != m.to.sealedKey && !m.to.descends(m.base) {
		return &ConflictError{Why: "one side has a data key that nobody has made who could open the store before: it isn't the same store, or its recipients were changed more often than is noted; take one of them as a whole, and set in it what the other has changed"}
	}
	equal := func(a, b []Recipient) bool { return len(without(a, b))+len(without(b, a)) == 0 }
	if !equal(m.from.recipients, m.base.recipients) && !equal(m.from.recipients, m.to.recipients) {
		return &ConflictError{Why: "the recipients were edited on both sides, or on one without \"muster secret rekey\"; run that first"}
	}
	return nil
}

// said is all that a store says of a secret; "" where it has none.
func (s *Store) said(name string) (string, error) {
	e, ok := s.entries[name]
	if !ok {
		return "", nil
	}
	v, err := s.Get(name)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%q %q %q", e.Meta, e.Created, e.Rotated)
	for _, one := range []Version{v.Current, v.Pending, v.Previous} {
		text += fmt.Sprintf(" %d %q", one.Number, one.Value.Reveal())
	}
	return text, nil
}

// three is what the three stores say of a secret.
func (m *merge) three(name string) (base, to, from string, err error) {
	base, err = m.base.said(name)
	if err == nil {
		to, err = m.to.said(name)
	}
	if err == nil {
		from, err = m.from.said(name)
	}
	return base, to, from, err
}

// comments takes over the text of blocks of which only the comments were edited, and only
// by the other side.
func (m *merge) comments(identities []age.Identity) error {
	type replacement struct {
		from, to int
		text     []byte
	}
	var list []replacement
	if b, f := m.base.top(), m.from.top(); bytes.Equal(b, m.to.top()) && !bytes.Equal(b, f) {
		list = append(list, replacement{0, len(b), f})
	}
	added, err := m.elsewhere(func(from, to int, text []byte) { list = append(list, replacement{from, to, text}) })
	if err != nil {
		return err
	}
	for _, name := range m.to.order {
		base, to, from, err := m.three(name)
		if err != nil {
			return err
		}
		if base != to || base != from || m.to.sealedKey != m.from.sealedKey {
			continue
		}
		b, f := m.base.text(name), m.from.text(name)
		if bytes.Equal(b, m.to.text(name)) && !bytes.Equal(b, f) {
			at := m.to.entries[name].whole
			list = append(list, replacement{lead(m.to.src, at.Start.Byte), at.End.Byte, f})
		}
	}
	if list == nil && added == nil {
		return nil
	}
	slices.SortFunc(list, func(a, b replacement) int { return b.from - a.from })
	src := m.to.src
	for _, r := range list {
		src = slices.Concat(src[:r.from], r.text, src[r.to:])
	}
	s, err := Parse(m.to.Path, append(src[:len(src):len(src)], added...))
	if err == nil {
		err = s.Unlock(identities...)
	}
	m.to = s
	return err
}

// text is a secret's block, with the comments right above it.
func (s *Store) text(name string) []byte {
	at := s.entries[name].whole
	return s.src[lead(s.src, at.Start.Byte):at.End.Byte]
}

// top is what stands above the first block.
func (s *Store) top() []byte {
	first := s.at.seal.Start.Byte
	for _, r := range s.recipients {
		first = min(first, r.Range.Start.Byte)
	}
	for _, e := range s.entries {
		first = min(first, e.Range.Start.Byte)
	}
	return s.src[:first]
}

func (m *merge) secrets() error {
	names := slices.Concat(m.from.order, m.base.order)
	done := map[string]bool{}
	clash := &ConflictError{}
	for _, name := range names {
		if done[name] {
			continue
		}
		done[name] = true
		base, to, from, err := m.three(name)
		switch {
		case err != nil:
			return err
		case from == base || from == to:
		case to == base || m.decided && m.take:
			if err := m.adopt(name); err != nil {
				return err
			}
		case !m.decided:
			clash.Names = append(clash.Names, name)
		}
	}
	if clash.Names != nil {
		slices.Sort(clash.Names)
		return clash
	}
	return nil
}

// adopt takes a secret over as it is on the other side.
func (m *merge) adopt(name string) error {
	other, ok := m.from.entries[name]
	if !ok {
		return m.to.drop(name)
	}
	e := *other
	e.state, e.text = changed, nil
	mine, there := m.to.entries[name]
	if m.from.sealedKey != m.to.sealedKey {
		for _, b := range []**box{&e.current, &e.pending, &e.previous} {
			if *b == nil {
				continue
			}
			value, err := m.from.keys.open(name, *b)
			if err != nil {
				return problem("Value can't be opened", err.Error(), e.Range)
			}
			*b = m.to.keys.close(name, (*b).number, value)
		}
		m.seen(name, e.newest())
	} else if !there {
		e.text = append(bytes.Clone(m.from.text(name)), '\n')
	}
	if there {
		e.whole, e.sealAt, e.Range = mine.whole, mine.sealAt, mine.Range
	} else {
		e.state = added
		m.to.order = append(m.to.order, name)
	}
	m.to.entries[name] = &e
	return nil
}

// drop takes a secret out.
func (s *Store) drop(name string) error {
	e, ok := s.entries[name]
	if !ok {
		return nil
	}
	s.gone = append(s.gone, e.whole)
	delete(s.entries, name)
	s.order = slices.DeleteFunc(s.order, func(n string) bool { return n == name })
	return nil
}

// seen notes a value that was sealed to people who are no recipients any more.
func (m *merge) seen(name string, number int) {
	for _, r := range m.from.sealedTo {
		if !slices.ContainsFunc(m.to.sealedTo, func(o Recipient) bool { return o.Key == r.Key }) {
			m.to.departed(r).Seen[name] = number
		}
	}
}
