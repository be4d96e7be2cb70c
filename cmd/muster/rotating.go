package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"muster/internal/engine"
	"muster/internal/lang"
	"muster/internal/rotate"
	"muster/internal/vault"
	"muster/internal/view"
	"muster/secret"
)

// rotated is the store in a part of a rotation: of the secret that is rotated the part's
// own hosts use one version, and only that.
type rotated struct {
	*used
	name string
	use  secret.String
}

// Open leaves out the secret itself: what is made with its other version doesn't agree.
func (r *rotated) Open() []string {
	return slices.DeleteFunc(r.used.Open(), func(name string) bool { return name == r.name })
}

// Versions gives one version of the secret.
func (r *rotated) Versions(host, name string) (lang.SecretVersions, error) {
	if name == r.name {
		return lang.SecretVersions{Valid: []secret.String{r.use}}, nil
	}
	return r.used.Versions(host, name)
}

// rotator is a rotation's store, hosts and notes.
type rotator struct {
	app   *app
	file  string // of the rotation
	path  string // of the store
	dir   string // of what the project keeps here, which alone has made
	by    string
	store *used
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

// update changes the store on the disk.
func (t *rotator) update(edit func(*vault.Store) error) error {
	ids, _, err := t.app.identities()
	if err != nil {
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
	return t.update(func(s *vault.Store) error { _, err := s.SetPending(name, value); return err })
}

func (t *rotator) Promote(name string) error {
	return t.update(func(s *vault.Store) error { return s.Promote(name) })
}

func (t *rotator) Retire(name string) error {
	return t.update(func(s *vault.Store) error { return s.Retire(name) })
}

// Note keeps the step on the first host that accepts the value.
func (t *rotator) Note(ctx context.Context, r *lang.Rotation, step string) error {
	return t.run(ctx, r, lang.StatePhase, step)
}

// Make makes a part of the rotation.
func (t *rotator) Make(ctx context.Context, r *lang.Rotation, phase string) error {
	return t.run(ctx, r, phase, phase)
}

func (t *rotator) run(ctx context.Context, r *lang.Rotation, phase, step string) error {
	v, err := t.store.store.Get(r.Secret)
	if err != nil {
		return err
	}
	st := lang.RotationState{New: v.Current.Value, Old: v.Current.Value, Step: step, Generation: t.store.store.Generation(), By: t.by}
	switch {
	case v.Pending.Number != 0:
		st.New = v.Pending.Value
	case v.Previous.Number != 0:
		st.Old = v.Previous.Value
	}
	l, diags, err := t.app.load(ctx, false)
	if err != nil {
		return err
	}
	l.secrets = &rotated{used: t.store, name: r.Secret, use: st.New}
	q := request{file: t.file, start: time.Now(), phase: &lang.Phase{Rotation: r.Name, Name: phase, State: st}}
	if other := r.Applies[phase]; other != "" {
		q.file, q.phase = other, nil
	}
	q.quiet = phase == lang.StatePhase
	p, err := t.app.prepareIn(l, diags, q)
	if err != nil {
		return err
	}
	defer p.close()
	p.redact.Add(st.New.Reveal(), st.Old.Reveal())
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
	s := r.run.Plan(ctx)
	if ctx.Err() != nil {
		return errors.New("it was interrupted")
	}
	if going, _ := split(s); len(going) > 0 {
		close(making)
		k, err := a.keep(r)
		if err != nil {
			return err
		}
		if !r.quiet {
			a.view().Begin(view.Making, r.run.Hosts())
		}
		s = r.run.Apply(ctx)
		if ctx.Err() != nil {
			s.Outcome = engine.OutcomeInterrupted
		}
		if err := k.end(s); err != nil {
			return err
		}
	}
	if !r.quiet {
		a.view().Summary(s, time.Since(r.start).Seconds())
	}
	return proved(s)
}

// proved is an error where not all hosts are as they are to be.
func proved(s *engine.Summary) error {
	var open []string
	for _, name := range s.Order {
		if c := s.Hosts[name]; c.Failed > 0 || c.Unreachable || c.Pending > 0 || c.Unknown > 0 {
			open = append(open, name)
		}
	}
	if s.Outcome == engine.OutcomeInterrupted {
		return errors.New("it was interrupted")
	}
	if len(open) > 0 {
		return fmt.Errorf("not on all hosts, and left as it is: %s", strings.Join(open, ", "))
	}
	return nil
}

// noted is the note of a rotation on this machine.
type noted struct {
	Version  int       `json:"version"`
	Promoted time.Time `json:"promoted"`
}

func (t *rotator) notePath(r *lang.Rotation) string {
	return filepath.Join(t.dir, "rotations", r.Name+".json")
}

// Promoted notes when a version was promoted.
func (t *rotator) Promoted(r *lang.Rotation, version int, at time.Time) error {
	path := t.notePath(r)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(noted{version, at})
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// PromotedAt returns when a version was promoted.
func (t *rotator) PromotedAt(r *lang.Rotation, version int) (time.Time, bool) {
	data, err := os.ReadFile(t.notePath(r))
	var n noted
	if err != nil || json.Unmarshal(data, &n) != nil || n.Version != version {
		return time.Time{}, false
	}
	return n.Promoted, true
}
