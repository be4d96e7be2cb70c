package remote

import (
	"context"
	"fmt"

	"muster/host"
	"muster/internal/wire"
)

// keep tells what takes an edit back, for the journal. What can't be kept is
// no reason to leave the edit.
func (s *Session) keep(t *task, c host.Change, u host.Undo) error {
	if s.Undo == nil {
		return nil
	}
	kept := &wire.Undo{ID: t.ID, Target: s.describe(t, c).Target}
	switch {
	case t.Sensitive:
		kept.Missing = "the task is sensitive"
	case len(u.Changes)+len(u.After) == 0:
		kept.Missing = "nothing takes it back"
	}
	for i, c := range append(u.Changes[:len(u.Changes):len(u.Changes)], u.After...) {
		if kept.Missing != "" {
			break
		}
		step, err := s.undoStep(c)
		if err != nil {
			kept.Missing = err.Error()
			break
		}
		step.After = i >= len(u.Changes)
		kept.Steps = append(kept.Steps, step)
	}
	if kept.Missing != "" {
		kept.Steps = nil
	}
	return s.Undo(kept)
}

// undoStep is a change as the journal has it, with the content it would write.
func (s *Session) undoStep(c host.Change) (wire.UndoStep, error) {
	kind, data, err := host.Encode(c)
	if err != nil {
		return wire.UndoStep{}, err
	}
	step := wire.UndoStep{Type: kind, Change: data}
	w, writes := c.(*host.WriteFile)
	if !writes {
		return step, nil
	}
	if w.Content.Size > wire.FormerLimit {
		return step, fmt.Errorf("%s had %d bytes, and more than %d aren't kept", w.Path, w.Content.Size, wire.FormerLimit)
	}
	step.Former, err = s.Host.Bodies.Read(context.Background(), w.Content, wire.FormerLimit)
	return step, err
}
