// Package rotate takes a secret from one value to the next where it is used.
//
// A rotation is a state machine over the versions that the store has, whose every step can
// be made again: so a run that was killed at any moment is gone on with by another, also
// one without what the first has noted. At every moment a value that is stored works:
//
//	no rotation   a value is made, and stored as pending     before any host knows it
//	pending       accept: the new value is valid, too
//	              consumers: they use it, batch by batch
//	              verify
//	              it is promoted: current is the new one     once every consumer is proved
//	previous      the grace passes
//	              retire: the old value is valid no more
//	              it is forgotten by the store
//
// A third value is never made while one is pending or to be retired.
package rotate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"muster/internal/lang"
	"muster/secret"
)

// Versions are the numbers of a secret's versions; 0 where there is none.
type Versions struct{ Current, Pending, Previous int }

// Store is the store of secrets, as it is on the disk: what a method has done lasts.
type Store interface {
	Versions(name string) (Versions, error)
	SetPending(name string, value secret.String) error
	Promote(name string) error
	Retire(name string) error
}

// Hosts makes a part of a rotation on hosts. Where it returns nil, all of it is as it is to be, on
// all hosts.
type Hosts interface {
	// Note keeps what is about to be done on the first host that accepts the value, and
	// fails where somebody else is at it.
	Note(ctx context.Context, r *lang.Rotation, step string) error
	Make(ctx context.Context, r *lang.Rotation, phase string) error
}

// Notes are what is kept on this machine of a rotation. They hold no value.
type Notes interface {
	// Promoted keeps when a version was promoted, and PromotedAt returns it; ok is false where
	// that isn't known.
	Promoted(r *lang.Rotation, version int, at time.Time) error
	PromotedAt(r *lang.Rotation, version int) (at time.Time, ok bool)
}

// Machine takes rotations on.
type Machine struct {
	Store    Store
	Hosts    Hosts
	Notes    Notes
	Generate func(*lang.Rotation) (secret.String, error)
	Now      func() time.Time
	// Step, if not nil, is told each step before it is made: tests end there.
	Step func(step string)
	// Say tells the user what is being done.
	Say func(text string)

	noted time.Time // when the step was last
}

// noteAgain is after what time the step is noted anew: others may go on with a rotation of
// which nothing was heard for long.
const noteAgain = 5 * time.Minute

// Result is how far a rotation has come.
type Result struct {
	Done bool
	// Until is when the old value can be retired, where that is what is left.
	Until time.Time
}

// Done is the step that is noted of a rotation that is over.
const Done = "done"

// Begin reports whether a rotation that isn't open would be begun by Go.
func Begin(v Versions) bool { return v.Pending == 0 && v.Previous == 0 }

// Go takes a rotation as far as it can be taken.
func (m *Machine) Go(ctx context.Context, r *lang.Rotation) (Result, error) {
	v, err := m.Store.Versions(r.Secret)
	if err != nil {
		return Result{}, err
	}
	if Begin(v) {
		if err := m.begin(ctx, r); err != nil {
			return Result{}, err
		}
		if v, err = m.Store.Versions(r.Secret); err != nil {
			return Result{}, err
		}
	}
	if v.Pending != 0 {
		if err := m.switchOver(ctx, r, v); err != nil {
			return Result{}, err
		}
		if v, err = m.Store.Versions(r.Secret); err != nil {
			return Result{}, err
		}
	}
	return m.retire(ctx, r, v)
}

func (m *Machine) begin(ctx context.Context, r *lang.Rotation) error {
	value, err := m.Generate(r)
	if err != nil {
		return err
	}
	// Whoever has a newer store, or is at it, is found before a value is made.
	if err := m.note(ctx, r, "begin"); err != nil {
		return err
	}
	m.step("store pending")
	if err := m.Store.SetPending(r.Secret, value); err != nil {
		return err
	}
	m.Say("a new value is stored, and nothing uses it yet")
	return nil
}

// switchOver has the new value accepted and used.
func (m *Machine) switchOver(ctx context.Context, r *lang.Rotation, v Versions) error {
	for _, phase := range r.Phases {
		if phase == "retire" {
			continue
		}
		if err := m.make(ctx, r, phase); err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
	}
	m.step("promote")
	if err := m.Store.Promote(r.Secret); err != nil {
		return err
	}
	if err := m.Notes.Promoted(r, v.Pending, m.Now()); err != nil {
		return err
	}
	m.Say("every consumer uses the new value: it is the current one")
	return nil
}

// retire ends the old value, once the grace is over.
func (m *Machine) retire(ctx context.Context, r *lang.Rotation, v Versions) (Result, error) {
	if v.Previous == 0 {
		return Result{Done: true}, m.note(ctx, r, Done)
	}
	at, ok := m.Notes.PromotedAt(r, v.Current)
	if !ok { // somebody else has, or the note was lost: the grace is counted from here on
		at = m.Now()
		if err := m.Notes.Promoted(r, v.Current, at); err != nil {
			return Result{}, err
		}
	}
	if until := at.Add(r.Grace); m.Now().Before(until) {
		return Result{Until: until}, m.note(ctx, r, "grace")
	}
	for _, phase := range r.Phases {
		if phase != "retire" {
			continue
		}
		if err := m.make(ctx, r, phase); err != nil {
			return Result{}, fmt.Errorf("%s: %w", phase, err)
		}
	}
	m.step("retire in the store")
	if err := m.Store.Retire(r.Secret); err != nil {
		return Result{}, err
	}
	m.Say("the old value is valid no more")
	return Result{Done: true}, m.note(ctx, r, Done)
}

func (m *Machine) make(ctx context.Context, r *lang.Rotation, phase string) error {
	if m.noted.IsZero() || m.Now().Sub(m.noted) > noteAgain {
		if err := m.note(ctx, r, phase); err != nil {
			return err
		}
	}
	m.step(phase)
	m.Say(strings.ReplaceAll(phase, "consumers ", "consumers: "))
	return m.Hosts.Make(ctx, r, phase)
}

func (m *Machine) note(ctx context.Context, r *lang.Rotation, step string) error {
	m.step("note " + step)
	m.noted = m.Now()
	return m.Hosts.Note(ctx, r, step)
}

func (m *Machine) step(name string) {
	if m.Step != nil {
		m.Step(name)
	}
}
