package remote

import (
	"context"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// noting is a module whose change notes whether what it does is for this run alone.
type noting struct{ noted map[bool]bool }

func (m *noting) Plan(context.Context, *host.View) (modules.Plan, error) {
	if len(m.noted) > 0 {
		return modules.Plan{}, nil
	}
	return modules.Plan{Changes: []host.Change{&notes{of: m}}}, nil
}

type notes struct {
	edit
	of *noting
}

func (*notes) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "a note"}
}
func (*notes) Effects() []host.Effect { return nil }
func (c *notes) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	c.of.noted[h.Passing] = true
	return host.Result{}, nil
}

// A change is told whether its task stands before what a rolling play does, whatever
// stood so before it.
func TestChangesAreToldWhetherTheyArePassing(t *testing.T) {
	var m *noting
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "noting", New: func() modules.Module { return m }}), host.New(), nil)
	for _, passing := range []bool{true, false} {
		m = &noting{noted: map[bool]bool{}}
		s.Plan(t.Context(), wire.Task{ID: "0/task.noting.n", Kind: "noting", Passing: passing})
		s.Apply(t.Context(), "0/task.noting.n")
		if !m.noted[passing] || len(m.noted) != 1 {
			t.Errorf("where it is %v, noted are %v", passing, m.noted)
		}
	}
}
