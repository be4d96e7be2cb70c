package main

import (
	"context"
	"encoding/json"
	"strings"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/rotate"
	"muster/internal/vault"
	"muster/modules/rotation"
)

// accepts is the first host that accepts the value, by its name and its address.
func (t *rotator) accepts(r *plays.Rotation) string {
	if len(r.Accept) == 0 {
		return ""
	}
	name := r.Accept[0]
	if h, ok := t.loaded.inventory.Host(name); ok && h.Address != "" && h.Address != name {
		return name + " (" + h.Address + ")"
	}
	return name
}

// statePhase is the play that keeps a note.
func statePhase(v vault.Versions, hosts []string, note string) *plays.Phase {
	return &plays.Phase{Name: plays.StatePhase, Hosts: hosts, State: plays.RotationState{New: v.Current.Value, Old: v.Current.Value, Note: note}}
}

// keepNote keeps a note on these hosts, or on the first that accepts the value where there are
// none. That one says where the value is on its way back, and then keeps nothing: ErrBack.
func (t *rotator) keepNote(ctx context.Context, r *plays.Rotation, v vault.Versions, note rotation.Note, hosts []string) error {
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	var knows rotation.Note
	err = t.part(ctx, r, statePhase(v, hosts, string(text)), request{watch: func(e engine.Event) {
		if task, ok := e.(*engine.TaskEvent); ok && task.Output != nil && hosts == nil {
			_ = json.Unmarshal(task.Output, &knows)
		}
	}})
	if err == nil && knows.Step == rotation.Back && note.Step != rotation.Back && note.GivenUp == "" {
		return rotate.ErrBack
	}
	return err
}

// Look plans such a note on all hosts of a rotation: one that knows of another secret of that
// name, or of a later store, refuses it.
func (t *rotator) Look(ctx context.Context, r *plays.Rotation) error {
	v, err := t.store.store.Get(r.Secret)
	if err != nil {
		return err
	}
	hosts, err := t.allHosts(r)
	if err != nil {
		return err
	}
	text, err := json.Marshal(t.noteOf(r, v, rotation.Begin))
	if err != nil {
		return err
	}
	return t.part(ctx, r, statePhase(v, hosts, string(text)), request{readOnly: true})
}

// looked is an error where a host that was looked at refuses what is to be. One that can't be
// reached isn't asked: its own part says so, at its turn.
func looked(s *engine.Summary) error {
	var refused []string
	for _, name := range s.Order {
		if c := s.Hosts[name]; c.Failed > 0 && !c.Unreachable {
			refused = append(refused, name)
		}
	}
	if len(refused) > 0 {
		return &openError{"nothing is begun, since it is refused on " + strings.Join(refused, ", "), exitFailed}
	}
	return nil
}
