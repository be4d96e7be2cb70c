// Package vault keeps a team's secrets in a file that belongs into a repository.
//
// The file is HCL. Names, descriptions, owners, dates and who can read stand in
// clear; values are sealed. People may write comments and order the blocks as they
// like; everything else that muster writes is authenticated.
//
//	recipient "ann" { key = "age1…" }     # who can open it: edited by hand, then rekey
//	seal { … }                            # the data key, and the sum over everything
//	secret "mysql/app" {
//	  owner   = "shop"
//	  rotated = "2026-11-28"
//	  current = "3:…"                     # version 3, sealed
//	  seal    = "…"                       # the sum over this block
//	}
//
// # What is sealed, and how
//
// One data key of 32 random bytes is an age file, sealed to the recipients. Only
// "rekey" makes another, which the one before signs (the lineage). By HKDF-SHA256 four keys
// are derived from it:
//
//   - Values are sealed with XChaCha20-Poly1305 under random nonces. What is
//     authenticated beside a value is the secret's name and the version's number, so
//     that no value opens under another name or as another version. Values are padded
//     to multiples of 64 bytes: their length tells little.
//   - Each secret has a seal, an HMAC-SHA256 over all that stands in its block, so that
//     an edit is found where it was made.
//   - The file has a seal, an HMAC-SHA256 over its generation, the sealed data key, the
//     recipients that it was sealed to, who has left, the lineage, and the seals of all secrets. A secret that was
//     dropped, added, or brought back from an older file breaks it.
//
// age seals the data key, and not each value: its format authenticates no name beside
// what is sealed, and would repeat every recipient with each value.
//
// # What it doesn't do
//
// age says who can read, and not who has written. Whoever may write the repository
// can put a whole store of their own, or the whole store of last month, in the
// place of this one: that is what reviews and signed commits are for. Whoever was a
// recipient keeps what they could read: rekey lists it.
package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/hashicorp/hcl/v2"

	"muster/secret"
)

// Errors of a store that it takes another key, or another name, to get past.
var (
	ErrLocked   = errors.New("the store hasn't been opened with an identity")
	ErrNotFound = errors.New("there is no such secret")
	// ErrOpen says that a rotation isn't over: there is a pending or a previous version.
	ErrOpen = errors.New("a rotation of it is open")
	// ErrElsewhere says that a program has the value, and not the store: see Ask.
	ErrElsewhere = errors.New("its value comes from a program, and isn't in the store")
	// ErrRecipients says that the recipients in the file aren't those that it is sealed to.
	ErrRecipients = errors.New("the recipients in the file have changed since it was sealed")
)

// Meta is what is said of a secret in clear.
type Meta struct {
	Description string
	Owner       string
	Every       string // how often it is to be rotated: "30d"; "" if never
	Due         Date   // until when, where that isn't told by Every
}

// Info is what can be known of a secret without opening it.
type Info struct {
	Name string
	Meta
	Created, Rotated           Date
	Current, Pending, Previous int    // numbers of versions; 0 where there is none
	From                       string // the source that has it; "" where it is sealed
	Range                      hcl.Range
}

// Version is one value of a secret. Number is 0 where there is none.
type Version struct {
	Number int
	Value  secret.String
}

// Versions are the values that a secret has: the one in use, the one that a rotation
// is about to bring, and the one that was in use before it and is still valid.
type Versions struct {
	Current, Pending, Previous Version
}

// Departed is somebody who could once open the store.
type Departed struct {
	Name, Key string
	Date      Date           // when the store was sealed without them
	Seen      map[string]int // the newest version that they could read, by secret; none that has been rotated since
}

// Store is a store as it was read, with the edits made since. It is safe for
// concurrent use as long as nobody edits it.
type Store struct {
	Path string

	src        []byte
	format     int
	generation int
	sealedKey  string // the data key as an age file, in base64
	mac        string
	recipients []Recipient // in the file
	sealedTo   []Recipient // that the data key is sealed to
	left       []*Departed
	lineage    []successor // of the data key, the oldest first
	entries    map[string]*entry
	order      []string    // of names, as they stand in the file
	gone       []hcl.Range // blocks that were removed
	sources    map[string]*source
	elsewhere  map[string]*external // secrets that programs have

	at     ranges
	keys   *keys // nil until it is unlocked
	edited bool
	now    func() Date
}

// ranges are places in the file, for diagnostics.
type ranges struct{ seal, mac hcl.Range }

// entry is one secret.
type entry struct {
	Info
	current, pending, previous *box
	seal                       string
	whole                      hcl.Range // its block
	sealAt                     hcl.Range // of the seal in it
	text                       []byte    // the block as it is to be written, where it was added so
	state                      state
}

type state int

const (
	asRead state = iota
	changed
	added
)

// box is one sealed value.
type box struct {
	number int
	sealed string // base64
}

// Names are the names of all secrets: those that are sealed, as they stand in the file, and
// those that programs have.
func (s *Store) Names() []string {
	return append(slices.Clone(s.order), slices.Sorted(maps.Keys(s.elsewhere))...)
}

// Info returns what is known of a secret without opening it.
func (s *Store) Info(name string) (Info, bool) {
	if x, ok := s.elsewhere[name]; ok {
		return Info{Name: name, Meta: x.Meta, From: x.from, Range: x.at}, true
	}
	e, ok := s.entries[name]
	if !ok {
		return Info{}, false
	}
	return e.info(), true
}

func (e *entry) info() Info {
	i := e.Info
	i.Current, i.Pending, i.Previous = e.current.n(), e.pending.n(), e.previous.n()
	return i
}

// Mark tells the newest value of a secret from others without opening it: it is another where
// that is another value, and where the store was sealed anew. "": there is none.
func (s *Store) Mark(name string) string {
	e, ok := s.entries[name]
	if !ok {
		return ""
	}
	b := e.current
	if e.pending != nil {
		b = e.pending
	}
	sum := sha256.Sum256([]byte(b.sealed))
	return hex.EncodeToString(sum[:8])
}

func (b *box) n() int {
	if b == nil {
		return 0
	}
	return b.number
}

// Generation counts the times that the store was written. Of two states of one store the
// one with the greater generation is the newer.
func (s *Store) Generation() int { return s.generation }

// Recipients are those whom the values are sealed to.
func (s *Store) Recipients() []Recipient { return slices.Clone(s.sealedTo) }

// Left lists who could once open the store, and has seen what is still in use.
func (s *Store) Left() []Departed {
	var list []Departed
	for _, d := range s.left {
		list = append(list, *d)
	}
	return list
}

// Unlocked reports whether the store has been opened and found whole.
func (s *Store) Unlocked() bool { return s.keys != nil }

// Open reads a store and opens it.
func Open(path string, identities ...age.Identity) (*Store, error) {
	s, err := Read(path)
	if err != nil {
		return nil, err
	}
	return s, s.Unlock(identities...)
}

// Get opens a secret. Nothing else is opened for it.
func (s *Store) Get(name string) (Versions, error) {
	if _, ok := s.elsewhere[name]; ok {
		return Versions{}, fmt.Errorf("%q: %w", name, ErrElsewhere)
	}
	if s.keys == nil {
		return Versions{}, ErrLocked
	}
	e, ok := s.entries[name]
	if !ok {
		return Versions{}, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	var v Versions
	for _, part := range []struct {
		to   *Version
		from *box
	}{{&v.Current, e.current}, {&v.Pending, e.pending}, {&v.Previous, e.previous}} {
		if part.from == nil {
			continue
		}
		value, err := s.keys.open(name, part.from)
		if err != nil {
			return Versions{}, problem("Value can't be opened", fmt.Sprintf("Version %d of %q isn't what was sealed: %s.", part.from.number, name, err), e.Range)
		}
		*part.to = Version{part.from.number, secret.New(value)}
	}
	return v, nil
}

// problem is an error with its place in the file.
func problem(summary, detail string, at hcl.Range) error {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()}}
}

// ValidName says what is wrong with a secret's name; nil if nothing is.
func ValidName(name string) error {
	bad := fmt.Errorf("%q is no name for a secret: names are letters, digits, \".\", \"_\" and \"-\", with \"/\" between parts that begin with a letter or a digit, such as \"mysql/app\"", name)
	if len(name) > 200 {
		return bad
	}
	for part := range strings.SplitSeq(name, "/") {
		for i, r := range part {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
			if !letter && (i == 0 || !strings.ContainsRune("._-", r)) {
				return bad
			}
		}
		if part == "" {
			return bad
		}
	}
	return nil
}
