package remote

import (
	"context"
	"fmt"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// keep tells what takes a plan's i-th edit back, for the journal. What can't be kept is
// no reason to leave the edit.
func (s *Session) keep(t *task, plan modules.Plan, i int, u host.Undo) error {
	if s.Undo == nil {
		return nil
	}
	kept := &wire.Undo{ID: t.ID, Target: s.describe(t, plan, i).Target}
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
		step, err := s.undoStep(c, wire.FormerLimit)
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

// keepBack keeps on the host what takes a plan's i-th edit, of an atomic task, back. An edit of
// which that can't be kept isn't made: a run that is cut off would leave it.
func (s *Session) keepBack(t *task, plan modules.Plan, i int, u host.Undo) error {
	if s.Back == nil {
		return nil
	}
	kept := &wire.Undo{ID: t.ID, Target: s.describe(t, plan, i).Target}
	for i, c := range append(u.Changes[:len(u.Changes):len(u.Changes)], u.After...) {
		step, err := s.undoStep(c, backLimit)
		if err != nil {
			return fmt.Errorf("keeping what takes it back: %w", err)
		}
		step.After = i >= len(u.Changes)
		kept.Steps = append(kept.Steps, step)
	}
	return s.Back(kept)
}

// backLimit is the size, in bytes, up to which former content is kept on the host.
const backLimit = 16 << 20

// undoStep is a change as journals have it, with the content it would write, up to a
// limit.
func (s *Session) undoStep(c host.Change, limit int64) (wire.UndoStep, error) {
	kind, data, err := host.Encode(c)
	if err != nil {
		return wire.UndoStep{}, err
	}
	step := wire.UndoStep{Type: kind, Change: data}
	w, writes := c.(*host.WriteFile)
	if !writes {
		return step, nil
	}
	if w.Content.Size > limit {
		return step, fmt.Errorf("%s had %d bytes, and more than %d aren't kept", w.Path, w.Content.Size, limit)
	}
	step.Former, err = s.Host.Bodies.Read(context.Background(), w.Content, limit)
	return step, err
}
