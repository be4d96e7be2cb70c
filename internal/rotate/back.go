package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"muster/internal/lang/plays"
)

// Back gives up rotations whose new value isn't the current one yet: the consumers use the
// current value again, the pending one is valid no more, and the store forgets it. It can
// be made again, as Go can.
func (m *Machine) Back(ctx context.Context, list ...*plays.Rotation) []Result {
	k, end := m.keep(ctx)
	defer end()
	var results []Result
	for _, r := range list {
		j := &job{r: r, k: k, result: Result{Rotation: r}}
		m.each(ctx, []*job{j}, m.back)
		results = append(results, j.result)
	}
	return results
}

func (m *Machine) back(ctx context.Context, j *job) error {
	j.result.Back = true
	if err := m.Store.Commit(ctx); err != nil {
		return err
	}
	if err := m.read(j); err != nil {
		return err
	}
	switch {
	case j.v.Previous != 0:
		j.result.Back = false
		return errors.New("its new value is the current one already: there is no way back, only on; a rotation anew makes another")
	case j.v.Pending == 0:
		return errors.New("it isn't open: there is nothing to take back")
	}
	// From here on there is only the way back, whoever goes on with it: it is kept here, and
	// by the note on the accepting host for all others.
	m.step(j, "keep back")
	if err := m.Notes.GoBack(j.r); err != nil {
		return err
	}
	// The consumers first: what they use is valid all the time.
	if err := m.note(ctx, j, "back"); err != nil {
		return err
	}
	for _, phase := range j.r.Phases {
		if phase == "accept" || phase == "retire" {
			continue
		}
		m.step(j, "back "+phase)
		m.Say(j.r, phase, "back: "+titled(phase))
		var err error
		if file := j.r.Applies[phase]; file != "" {
			err = m.Hosts.ApplyBack(ctx, file, j.r)
		} else {
			err = m.Hosts.Undo(ctx, j.r, phase)
		}
		if err != nil {
			return fmt.Errorf("back: %s: %w", phase, err)
		}
	}
	// With the current value as the new one, retire ends the pending one; where there is
	// nothing to retire, accept puts the current one in its place.
	phase := "retire"
	if !slices.Contains(j.r.Phases, phase) {
		phase = "accept"
	}
	m.step(j, "back "+phase)
	m.Say(j.r, phase, "back: the new value is to be valid no more")
	if err := m.Hosts.Undo(ctx, j.r, phase); err != nil {
		return fmt.Errorf("back: %s: %w", phase, err)
	}
	if err := m.giveUp(ctx, j, Done); err != nil {
		return err
	}
	j.k.over(j)
	m.step(j, "drop pending")
	if err := m.Store.DropPending(j.r.Secret); err != nil {
		return err
	}
	m.Say(j.r, "dropped", "the new value is forgotten: the current one stays")
	j.result.Done = true
	return m.Store.Commit(ctx)
}
