package remote

import (
	"context"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// counting is a module whose state tells nothing of what was done, and whose changes do.
type counting struct{ done int }

func (m *counting) Plan(context.Context, *host.View) (modules.Plan, error) {
	if m.done > 0 {
		return modules.Plan{Output: []byte(`{"done":0}`)}, nil
	}
	return modules.Plan{Changes: []host.Change{&counted{of: m}}}, nil
}

type counted struct {
	edit
	of *counting
}

func (*counted) Describe() host.Description {
	return host.Description{Action: host.Delete, Target: "one"}
}
func (*counted) Effects() []host.Effect { return nil }
func (c *counted) Apply(context.Context, *host.Host) (host.Result, error) {
	c.of.done = 1
	return host.Result{Output: []byte(`{"done":1}`)}, nil
}

func TestWhatAChangeSaysGoesBeforeWhatTheStateTells(t *testing.T) {
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "counting", New: func() modules.Module { return &counting{} }}), host.New(), nil)
	if p, _ := s.Plan(t.Context(), wire.Task{ID: "0/task.counting.c", Kind: "counting"}); p.Status != wire.Pending {
		t.Fatalf("%+v", p)
	}
	if d := s.Apply(t.Context(), "0/task.counting.c"); d.Status != wire.Changed || string(d.Output) != `{"done":1}` {
		t.Errorf("it ended as %+v", d)
	}
}

// slow is a module whose change takes until the run is told to stop. Its plan
// asks the host, which takes a context that isn't over.
type slow struct {
	stop func()
	done bool
}

func (m *slow) Plan(ctx context.Context, _ *host.View) (modules.Plan, error) {
	if m.done || ctx.Err() != nil {
		return modules.Plan{}, ctx.Err()
	}
	return modules.Plan{Changes: []host.Change{&slowly{of: m}}}, nil
}

type slowly struct {
	edit
	of *slow
}

func (*slowly) Describe() host.Description {
	return host.Description{Action: host.Restart, Target: "slow.service"}
}
func (*slowly) Effects() []host.Effect { return nil }
func (c *slowly) Apply(context.Context, *host.Host) (host.Result, error) {
	c.of.stop()
	c.of.done = true
	return host.Result{}, nil
}

func TestChangeInHandIsFinishedAndCountsWhereTheRunIsStopped(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	m := &slow{stop: func() { stop(errStopped) }}
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "slow", New: func() modules.Module { return m }}), host.New(), nil)
	if p, _ := s.Plan(ctx, wire.Task{ID: "0/task.slow.s", Kind: "slow"}); p.Status != wire.Pending {
		t.Fatalf("%+v", p)
	}
	if d := s.Apply(ctx, "0/task.slow.s"); d.Status != wire.Changed || len(d.Changes) != 1 {
		t.Errorf("it ended as %+v", d)
	}
}
