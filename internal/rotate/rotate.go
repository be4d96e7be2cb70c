// Package rotate takes secrets from one value to the next where they are used.
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
//	              consumers and verify, once more            where that was some time ago
//	              retire: the old value is valid no more
//	              it is forgotten by the store
//
// A third value is never made while one is pending or to be retired; only one that the
// accepting service refuses, which nothing uses yet, gives way to another.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster/internal/lang/plays"
	"muster/secret"
)

// ErrRefused says that a value isn't taken as it is: by the service that is to accept it,
// as against its policy of passwords, or by a task that can't carry it. Another may be.
var ErrRefused = errors.New("the value is refused")

// ErrBack says that a rotation is on its way back: it goes on so until it is given up.
var ErrBack = errors.New("its new value is being given up")

// Versions are the numbers of a secret's versions; 0 where there is none.
type Versions struct{ Current, Pending, Previous int }

// Open reports whether a rotation was begun and isn't over.
func (v Versions) Open() bool { return v.Pending+v.Previous > 0 }

// Store is the store of secrets, as it is on the disk: what a method has done lasts.
type Store interface {
	Versions(name string) (Versions, error)
	SetPending(name string, value secret.String) error
	// ReplacePending puts another value in the pending one's place.
	ReplacePending(name string, value secret.String) error
	DropPending(name string) error
	Promote(name string) error
	Retire(name string) error
	// Commit brings what was written to where the store is kept for others. Where nothing
	// was written since the last time it does nothing.
	Commit(ctx context.Context) error
}

// Hosts makes a part of a rotation on hosts. Where a method returns nil, all of the part is
// as it is to be, on all hosts.
type Hosts interface {
	// Check is ErrRefused where the tasks of a rotation can't carry a value. No host is asked.
	Check(ctx context.Context, r *plays.Rotation, value secret.String) error
	// Look asks all hosts of a rotation what they know of its secret, and fails where that
	// isn't of this store: another project's has the same name, say. It changes nothing, and
	// leaves out hosts that can't be reached.
	Look(ctx context.Context, r *plays.Rotation) error
	// Note keeps what is about to be done on the first host that accepts the value, and
	// fails where somebody else is at it, or has come further. ErrBack: it is being given up,
	// and nothing was noted.
	Note(ctx context.Context, r *plays.Rotation, step string) error
	// Renew lets that host know that a rotation is still in hand. It is called while parts
	// are made, for several rotations at once. ErrTaken: somebody else has it.
	Renew(ctx context.Context, r *plays.Rotation) error
	// GiveUp notes there that the pending value counts no more: another of its number may come.
	GiveUp(ctx context.Context, r *plays.Rotation, step string) error
	// Retired has all hosts of a rotation know that its old value counts no more, so that a
	// store which has it as the current one changes nothing there.
	Retired(ctx context.Context, r *plays.Rotation) error
	// Make makes the tasks of a phase. It is ErrRefused where the accepting service refuses
	// the value.
	Make(ctx context.Context, r *plays.Rotation, phase string) error
	// Apply applies a playbook with the new values of all these rotations.
	Apply(ctx context.Context, file string, list []*plays.Rotation) error
	// Undo makes the tasks of a phase with the values exchanged: the current one is new again.
	Undo(ctx context.Context, r *plays.Rotation, phase string) error
	// ApplyBack is Apply with the current values.
	ApplyBack(ctx context.Context, file string, r *plays.Rotation) error
}

// Notes are what is kept on this machine of a rotation. They hold no value.
type Notes interface {
	// Promoted keeps when a version was promoted, and PromotedAt returns it; ok is false where
	// that isn't known.
	Promoted(r *plays.Rotation, version int, at time.Time) error
	PromotedAt(r *plays.Rotation, version int) (at time.Time, ok bool)
	// GoBack keeps that the pending value is being given up, and GoingBack reports whether that
	// was kept of the value that is pending.
	GoBack(r *plays.Rotation) error
	GoingBack(r *plays.Rotation) bool
}

// Machine takes rotations on.
type Machine struct {
	Store    Store
	Hosts    Hosts
	Notes    Notes
	Generate func(*plays.Rotation) (secret.String, error)
	Now      func() time.Time
	// Step, if not nil, is told each step before it is made: tests end there.
	Step func(r *plays.Rotation, step string)
	// Say tells the user what is being done.
	Say func(r *plays.Rotation, step, text string)
}

const (
	// noteAgain is after what time the step is noted anew: others may go on with a rotation
	// of which nothing was heard for long.
	noteAgain = 5 * time.Minute
	// maxValues is how many values are tried where they are refused.
	maxValues = 3
)

// Result is how far a rotation has come.
type Result struct {
	Rotation *plays.Rotation
	Err      error
	Done     bool
	Back     bool // it was given up, or is on its way back
	// Until is when the old value can be retired, where that is what is left.
	Until time.Time
}

// Done is the step that is noted of a rotation that is over.
const Done = "done"

// job is one rotation on its way.
type job struct {
	r      *plays.Rotation
	k      *keeper
	v      Versions
	noted  time.Time // when the step was last
	proved bool      // every consumer uses the new value, as was just seen
	at     int       // the next of its phases
	result Result
}

func (j *job) stopped() bool { return j.result.Err != nil || j.result.Done || !j.result.Until.IsZero() }

// Go takes rotations as far as they can be taken. A playbook that several of them apply is
// applied once for all. One that fails doesn't hold the others up.
func (m *Machine) Go(ctx context.Context, list ...*plays.Rotation) []Result {
	k, end := m.keep(ctx)
	defer end()
	var jobs []*job
	for _, r := range list {
		jobs = append(jobs, &job{r: r, k: k, result: Result{Rotation: r}})
	}
	m.each(ctx, jobs, m.begin)
	m.each(ctx, jobs, m.accept)
	m.prove(ctx, jobs)
	m.each(ctx, jobs, m.promote)
	m.each(ctx, jobs, m.retire)
	results := make([]Result, 0, len(jobs))
	for _, j := range jobs {
		results = append(results, j.result)
	}
	return results
}

// each does something for every rotation that goes on.
func (m *Machine) each(ctx context.Context, jobs []*job, do func(context.Context, *job) error) {
	for _, j := range jobs {
		if j.stopped() {
			continue
		}
		if err := ctx.Err(); err != nil {
			j.result.Err = err
			continue
		}
		j.result.Err = j.k.holding(ctx, []*job{j}, func(ctx context.Context) error { return do(ctx, j) })
		if j.stopped() {
			j.k.over(j)
		}
	}
}

// read reads how far a rotation is.
func (m *Machine) read(j *job) (err error) {
	j.v, err = m.Store.Versions(j.r.Secret)
	return err
}

// begin makes a value where none is pending, nor to be retired. What a run before this one
// wrote is committed before anything uses it.
func (m *Machine) begin(ctx context.Context, j *job) error {
	if err := m.Store.Commit(ctx); err != nil {
		return err
	}
	if err := m.read(j); err != nil {
		return err
	}
	switch {
	case j.v.Pending != 0:
		return m.goOn(ctx, j)
	case j.v.Open():
		return nil
	}
	value, err := m.value(ctx, j)
	if err != nil {
		return err
	}
	// Whoever has a newer store, or is at it, is found before a value is stored.
	m.step(j, "look")
	if err := m.Hosts.Look(ctx, j.r); err != nil {
		return err
	}
	if err := m.note(ctx, j, "begin"); err != nil {
		return err
	}
	m.step(j, "store pending")
	if err := m.Store.SetPending(j.r.Secret, value); err != nil {
		return err
	}
	j.noted = time.Time{} // of the value before
	m.Say(j.r, "pending", "a new value is stored, and nothing uses it yet")
	if err := m.Store.Commit(ctx); err != nil {
		return err
	}
	return m.read(j)
}

// goOn notes that a rotation whose value is pending is in hand again. One that somebody has
// begun to give up goes on back: a part of its consumers may have been put back already.
func (m *Machine) goOn(ctx context.Context, j *job) error {
	back := m.Notes.GoingBack(j.r)
	if !back {
		err := m.note(ctx, j, "accept")
		if back = errors.Is(err, ErrBack); err != nil && !back {
			return err
		}
	}
	if !back {
		return nil
	}
	m.Say(j.r, "back", "its new value is being given up, which was begun and not ended: that goes on")
	return m.back(ctx, j)
}

// value makes a value that the rotation's tasks can carry.
func (m *Machine) value(ctx context.Context, j *job) (value secret.String, err error) {
	for range maxValues {
		if value, err = m.Generate(j.r); err != nil {
			return value, err
		}
		if err = m.Hosts.Check(ctx, j.r, value); !errors.Is(err, ErrRefused) {
			return value, err
		}
	}
	return value, err
}

// accept has the new value accepted. One that is refused gives way to another.
func (m *Machine) accept(ctx context.Context, j *job) error {
	if j.v.Pending == 0 {
		return nil
	}
	for n := 1; ; n++ {
		err := m.make(ctx, j, "accept")
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrRefused):
			return fmt.Errorf("accept: %w", err)
		case n == maxValues:
			return fmt.Errorf("accept: %w, the third one, too: let generate make what is taken", err)
		}
		m.Say(j.r, "refused", "the value is refused, and nothing uses it: another is made")
		if err := m.replace(ctx, j); err != nil {
			return err
		}
	}
}

// replace makes another value in the place of one that is refused.
func (m *Machine) replace(ctx context.Context, j *job) error {
	value, err := m.value(ctx, j)
	if err != nil {
		return err
	}
	if err := m.giveUp(ctx, j, "refused"); err != nil {
		return err
	}
	m.step(j, "replace pending")
	if err := m.Store.ReplacePending(j.r.Secret, value); err != nil {
		return err
	}
	if err := m.Store.Commit(ctx); err != nil {
		return err
	}
	return m.read(j)
}

func (m *Machine) giveUp(ctx context.Context, j *job, step string) error {
	m.step(j, "note "+step)
	j.noted = time.Time{}
	return m.Hosts.GiveUp(ctx, j.r, step)
}

// promote makes the new value the current one.
func (m *Machine) promote(ctx context.Context, j *job) error {
	if j.v.Pending == 0 {
		return nil
	}
	m.step(j, "promote")
	if err := m.Store.Promote(j.r.Secret); err != nil {
		return err
	}
	if err := m.Notes.Promoted(j.r, j.v.Pending, m.Now()); err != nil {
		return err
	}
	m.Say(j.r, "promoted", "every consumer uses the new value: it is the current one")
	if err := m.Store.Commit(ctx); err != nil {
		return err
	}
	return m.read(j)
}

// graceEnds is when the old value may be retired.
func (m *Machine) graceEnds(j *job) (time.Time, error) {
	at, ok := m.Notes.PromotedAt(j.r, j.v.Current)
	if !ok { // somebody else has, or the note was lost: the grace is counted from here on
		at = m.Now()
		if err := m.Notes.Promoted(j.r, j.v.Current, at); err != nil {
			return at, err
		}
	}
	return at.Add(j.r.Grace), nil
}

// retire ends the old value, once the grace is over.
func (m *Machine) retire(ctx context.Context, j *job) error {
	if j.v.Previous == 0 {
		j.result.Done = true
		return m.note(ctx, j, Done)
	}
	until, err := m.graceEnds(j)
	if err != nil {
		return err
	}
	if m.Now().Before(until) || !j.proved {
		j.result.Until = until
		return m.note(ctx, j, "grace")
	}
	for _, phase := range j.r.Phases {
		if phase != "retire" {
			continue
		}
		if err := m.make(ctx, j, phase); err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
	}
	// The note says that it is over: whoever finds the store as it is now ends it as well.
	m.step(j, "note "+Done)
	if err := m.Hosts.Retired(ctx, j.r); err != nil {
		return fmt.Errorf("noting that the old value counts no more: %w", err)
	}
	j.k.over(j)
	m.step(j, "retire in the store")
	if err := m.Store.Retire(j.r.Secret); err != nil {
		return err
	}
	m.Say(j.r, "retired", "the old value is valid no more")
	j.result.Done = true
	return m.Store.Commit(ctx)
}

// make makes the tasks of a phase.
func (m *Machine) make(ctx context.Context, j *job, phase string) error {
	if err := m.noteInTime(ctx, j, phase); err != nil {
		return err
	}
	m.step(j, phase)
	m.Say(j.r, phase, titled(phase))
	return m.Hosts.Make(ctx, j.r, phase)
}

// titled is a phase as the user reads it.
func titled(phase string) string { return strings.Replace(phase, "consumers ", "consumers: ", 1) }

func (m *Machine) noteInTime(ctx context.Context, j *job, step string) error {
	if !j.noted.IsZero() && m.Now().Sub(j.noted) <= noteAgain {
		return nil
	}
	return m.note(ctx, j, step)
}

func (m *Machine) note(ctx context.Context, j *job, step string) error {
	m.step(j, "note "+step)
	j.noted = m.Now()
	if err := m.Hosts.Note(ctx, j.r, step); err != nil {
		return err
	}
	j.k.noted(j)
	return nil
}

func (m *Machine) step(j *job, name string) {
	if m.Step != nil {
		m.Step(j.r, name)
	}
}
