package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/rotate"
	"muster/internal/vault"
	"muster/internal/view"
	"muster/modules/rotation"
	"muster/secret"
)

// fixed is the store in a part of a rotation: of the secrets that are rotated there the
// part's own hosts use one version, and what is made with another one doesn't agree.
type fixed struct {
	*used
	use map[string]secret.String
	// beside are the other values, of those secrets of which both are valid: whatever task
	// lets values in keeps them.
	beside map[string]secret.String
}

// Open has those secrets only where both values are valid.
func (f *fixed) Open() []string {
	list := slices.DeleteFunc(f.used.Open(), func(name string) bool { _, ok := f.use[name]; return ok })
	return slices.AppendSeq(list, maps.Keys(f.beside))
}

// Versions gives what is to be used of them, and what is valid beside.
func (f *fixed) Versions(host, name string) (plays.SecretVersions, error) {
	if value, ok := f.use[name]; ok {
		v := plays.SecretVersions{Valid: []secret.String{value}, Only: true}
		if other, ok := f.beside[name]; ok {
			v.Valid = append(v.Valid, other)
			if kept, err := f.store.Get(name); err == nil && kept.Previous.Number != 0 && kept.Previous.Value == other {
				v.Ending = 1
			}
		}
		return v, nil
	}
	return f.used.Versions(host, name)
}

func newFixed(u *used) *fixed {
	return &fixed{used: u, use: map[string]secret.String{}, beside: map[string]secret.String{}}
}

// add takes in the secret of a rotation: the value to be used and the other one, which is
// valid, too, where both are. With a cutover only one is ever to be.
func (f *fixed) add(r *plays.Rotation, use, other secret.String, both bool) {
	f.use[r.Secret] = use
	if both && r.Strategy != plays.Cutover && other != use {
		f.beside[r.Secret] = other
	}
}

// rotator is the store, the hosts and the notes of a project's rotations.
type rotator struct {
	*rotations
	app   *app
	by    string
	store *used
}

func newRotator(a *app, p *rotations) *rotator {
	return &rotator{rotations: p, app: a, by: whoami() + " in " + p.loaded.project.Dir}
}

// of is the rotation of a secret.
func (t *rotator) of(secret string) *plays.Rotation {
	return t.list[slices.IndexFunc(t.list, func(f *rotationFile) bool { return f.Secret == secret })].Rotation
}

// reread reads the store as it is by now.
func (t *rotator) reread() error {
	s, err := vault.Read(t.path)
	if err != nil {
		return err
	}
	t.store = &used{app: t.app, store: s, read: map[string]int{}, asks: map[string]func() (secret.String, error){}}
	return t.store.unlock()
}

// update changes the store on the disk. With ended, the name of a secret, its rotation is
// over with that.
func (t *rotator) update(ended string, edit func(*vault.Store) error) error {
	ids, _, err := t.app.identities()
	if err != nil {
		return err
	}
	if err := t.writes(ended); err != nil {
		return err
	}
	if err := vault.Update(t.path, ids, edit); err != nil {
		return err
	}
	return t.reread()
}

func (t *rotator) Versions(name string) (rotate.Versions, error) {
	i, ok := t.store.store.Info(name)
	if !ok || i.From != "" {
		return rotate.Versions{}, fmt.Errorf("the store has no value of %q itself: what a program has can't be rotated", name)
	}
	return rotate.Versions{Current: i.Current, Pending: i.Pending, Previous: i.Previous}, nil
}

func (t *rotator) SetPending(name string, value secret.String) error {
	if err := t.update("", func(s *vault.Store) error { _, err := s.SetPending(name, value); return err }); err != nil {
		return err
	}
	r := t.of(name)
	return t.keepMidway(r, midway{Strategy: r.Strategy})
}

func (t *rotator) ReplacePending(name string, value secret.String) error {
	err := t.update("", func(s *vault.Store) error {
		if err := s.DropPending(name); err != nil {
			return err
		}
		_, err := s.SetPending(name, value)
		return err
	})
	if err != nil {
		return err
	}
	r := t.of(name)
	return t.keepMidway(r, midway{Strategy: r.Strategy})
}

func (t *rotator) DropPending(name string) error {
	if err := t.update(name, func(s *vault.Store) error { return s.DropPending(name) }); err != nil {
		return err
	}
	return t.dropMidway(t.of(name))
}

func (t *rotator) Promote(name string) error {
	return t.update("", func(s *vault.Store) error { return s.Promote(name) })
}

func (t *rotator) Retire(name string) error {
	return t.update(name, func(s *vault.Store) error { return s.Retire(name) })
}

// values are the two values of a rotation: the one that is to be used, and the other one.
// Where there is one it is both.
func (t *rotator) values(r *plays.Rotation) (now, before secret.String, err error) {
	v, err := t.store.store.Get(r.Secret)
	if err != nil {
		return now, before, err
	}
	now, before = v.Current.Value, v.Current.Value
	switch {
	case v.Pending.Number != 0:
		now = v.Pending.Value
	case v.Previous.Number != 0:
		before = v.Previous.Value
	}
	return now, before, nil
}

// Note keeps the step on the first host that accepts the value.
func (t *rotator) Note(ctx context.Context, r *plays.Rotation, step string) error {
	v, err := t.store.store.Get(r.Secret)
	if err != nil {
		return err
	}
	return t.keepNote(ctx, r, v, t.noteOf(r, v, step), nil)
}

// GiveUp notes there that the pending value counts no more; where the rotation is over with
// that, on all its hosts, as Retired does.
func (t *rotator) GiveUp(ctx context.Context, r *plays.Rotation, step string) error {
	v, err := t.store.store.Get(r.Secret)
	if err != nil {
		return err
	}
	note := t.noteOf(r, v, step)
	note.GivenUp = note.Digest
	note.Version, note.Digest = v.Current.Number, secret.Digest(r.Secret, v.Current.Value)
	if step != rotate.Done { // another takes its place at once
		return t.keepNote(ctx, r, v, note, nil)
	}
	note.Retired = []string{note.GivenUp}
	hosts, err := t.allHosts(r)
	if err != nil {
		return err
	}
	return t.keepNote(ctx, r, v, note, hosts)
}

// noteOf is a note of the newest value.
func (t *rotator) noteOf(r *plays.Rotation, v vault.Versions, step string) rotation.Note {
	newest := v.Current
	if v.Pending.Number != 0 {
		newest = v.Pending
	}
	return rotation.Note{Step: step, Version: newest.Number, Digest: secret.Digest(r.Secret, newest.Value), Current: secret.Digest(r.Secret, v.Current.Value), Strategy: r.Strategy,
		Accepts: t.accepts(r), By: t.by, Turn: time.Now().Unix()}
}

// Retired has all hosts of a rotation know that its old value counts no more: those of its
// own parts, and of the playbooks that it applies.
func (t *rotator) Retired(ctx context.Context, r *plays.Rotation) error {
	v, err := t.store.store.Get(r.Secret)
	if err != nil || v.Previous.Number == 0 {
		return err
	}
	hosts, err := t.allHosts(r)
	if err != nil {
		return err
	}
	note := t.noteOf(r, v, rotate.Done)
	note.Retired = []string{secret.Digest(r.Secret, v.Previous.Value)}
	return t.keepNote(ctx, r, v, note, hosts)
}

// allHosts are those of a rotation's own parts, and of the playbooks that it applies.
func (t *rotator) allHosts(r *plays.Rotation) ([]string, error) {
	hosts := slices.Clone(r.Hosts)
	for _, file := range r.Applies {
		pb, err := t.app.playbook(t.loaded, nil, file, false)
		if err != nil {
			return nil, err
		}
		for _, p := range pb.Plays {
			hosts = append(hosts, p.Hosts...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// Make makes the tasks of a phase.
func (t *rotator) Make(ctx context.Context, r *plays.Rotation, phase string) error {
	now, before, err := t.values(r)
	if err != nil {
		return err
	}
	return t.part(ctx, r, &plays.Phase{Name: phase, State: plays.RotationState{New: now, Old: before}}, request{})
}

// Undo makes them with the values exchanged.
func (t *rotator) Undo(ctx context.Context, r *plays.Rotation, phase string) error {
	now, before, err := t.values(r)
	if err != nil {
		return err
	}
	return t.part(ctx, r, &plays.Phase{Name: phase, State: plays.RotationState{New: before, Old: now}}, request{})
}

// part makes a phase of a rotation, as a request says besides.
func (t *rotator) part(ctx context.Context, r *plays.Rotation, phase *plays.Phase, q request) error {
	phase.Rotation = r.Name
	file := t.list[slices.IndexFunc(t.list, func(f *rotationFile) bool { return f.Rotation == r })].file
	f := newFixed(t.store)
	f.add(r, phase.State.New, phase.State.Old, phase.Name != "retire")
	q.file, q.start, q.phase, q.quiet = file, time.Now(), phase, phase.Name == plays.StatePhase
	return t.run(ctx, q, f, phase.State.Old)
}

// Apply applies a playbook with the new values of rotations.
func (t *rotator) Apply(ctx context.Context, file string, list []*plays.Rotation) error {
	f := newFixed(t.store)
	var others []secret.String
	for _, r := range list {
		now, before, err := t.values(r)
		if err != nil {
			return err
		}
		f.add(r, now, before, true)
		others = append(others, before)
	}
	return t.run(ctx, request{file: file, start: time.Now()}, f, others...)
}

// ApplyBack applies it with the current value of one.
func (t *rotator) ApplyBack(ctx context.Context, file string, r *plays.Rotation) error {
	now, before, err := t.values(r)
	if err != nil {
		return err
	}
	f := newFixed(t.store)
	f.add(r, before, now, true)
	return t.run(ctx, request{file: file, start: time.Now()}, f, now)
}

// run makes a part with the values of secrets that it is to use. The others are hidden, too.
func (t *rotator) run(ctx context.Context, q request, f *fixed, others ...secret.String) error {
	l := *t.loaded
	l.secrets = f
	p, err := t.app.prepareIn(&l, nil, q)
	if err != nil {
		return err
	}
	defer p.close()
	if len(p.run.Hosts()) == 0 {
		return fmt.Errorf("%s runs on no host: it would count as made, and nothing would be", q.file)
	}
	for _, value := range append(slices.Collect(maps.Values(f.use)), others...) {
		p.redact.Add(value.Reveal())
	}
	return t.app.rotatePart(ctx, p)
}

// rotatePart makes a part of a rotation: nil says that all of it is as it is to be.
func (a *app) rotatePart(ctx context.Context, r *prepared) error {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	making := make(chan struct{})
	defer interrupts(r.run, making, abort, a)()
	if !r.quiet {
		a.view().Begin(view.PlanningFirst, r.run.Hosts())
	}
	stop := a.watch(r)
	s := r.run.Plan(ctx)
	stop()
	if ctx.Err() != nil {
		return &openError{"it was interrupted", exitInterrupted}
	}
	if r.readOnly {
		return looked(s)
	}
	id := ""
	if going, _ := split(s); len(going) > 0 {
		close(making)
		k, err := a.keep(r)
		if err != nil {
			return err
		}
		if !r.quiet {
			a.view().Begin(view.Making, r.run.Hosts())
		}
		stop := a.watch(r)
		s = r.run.Apply(ctx)
		stop()
		if ctx.Err() != nil {
			s.Outcome = engine.OutcomeInterrupted
		}
		if err := k.end(s); err != nil {
			return err
		}
		id = k.run.ID()
	}
	if !r.quiet {
		a.view().Summary(s, r.end(id))
	}
	return proved(s)
}

// openError says why a part isn't made on all of its hosts, with the exit code for that.
type openError struct {
	text string
	code exitError
}

func (e *openError) Error() string { return e.text }

// Unwrap returns the exit code.
func (e *openError) Unwrap() error { return e.code }

// proved is an error where not all hosts are as they are to be.
func proved(s *engine.Summary) error {
	var open []string
	code := exitError(exitUnreachable)
	for _, name := range s.Order {
		if c := s.Hosts[name]; c.Failed > 0 || c.Unreachable || c.Pending > 0 || c.Unknown > 0 {
			open = append(open, name)
			if !c.Unreachable {
				code = exitFailed
			}
		}
	}
	if s.Outcome == engine.OutcomeInterrupted {
		return &openError{"it was interrupted", exitInterrupted}
	}
	if len(open) > 0 && s.Refused() {
		return fmt.Errorf("on %s: %w", strings.Join(open, ", "), rotate.ErrRefused)
	}
	if len(open) > 0 {
		return &openError{"not on all hosts, and left as it is: " + strings.Join(open, ", "), code}
	}
	return nil
}
