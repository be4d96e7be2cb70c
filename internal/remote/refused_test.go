package remote

import (
	"context"
	"fmt"
	"testing"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// picky is a module whose service never takes its value, as the plan knows already or not.
type picky struct{ tries, knows int }

func (m *picky) err() error {
	return fmt.Errorf("the account app: %w: it is too short", host.ErrRefused)
}

func (m *picky) Plan(context.Context, *host.View) (modules.Plan, error) {
	if m.knows > 0 {
		return modules.Plan{}, m.err()
	}
	return modules.Plan{Changes: []host.Change{&given{of: m}}}, nil
}

type given struct {
	edit
	of *picky
}

func (*given) Describe() host.Description {
	return host.Description{Action: host.Update, Target: "value"}
}
func (*given) Effects() []host.Effect { return nil }
func (c *given) Apply(context.Context, *host.Host) (host.Result, error) {
	c.of.tries++
	return host.Result{}, c.of.err()
}

// Who made the value is told that the service doesn't take it, and it isn't tried again.
func TestValueThatIsRefusedIsToldAndNotTriedAgain(t *testing.T) {
	m := &picky{}
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "picky", New: func() modules.Module { return m }}), host.New(), nil)
	task := wire.Task{ID: "0/task.picky.p", Kind: "picky", Retry: &wire.Retry{Attempts: 3, Delay: time.Millisecond}}
	if p, _ := s.Plan(t.Context(), task); p.Status != wire.Pending || p.Refused {
		t.Fatalf("it is planned as %+v", p)
	}
	if d := s.Apply(t.Context(), task.ID); d.Status != wire.Failed || !d.Refused || m.tries != 1 || d.Error != m.err().Error() {
		t.Errorf("it ended as %+v after %d tries", d, m.tries)
	}
	m.knows, task.ID = 1, "0/task.picky.q"
	if p, _ := s.Plan(t.Context(), task); p.Status != wire.Failed || !p.Refused {
		t.Errorf("it is planned as %+v", p)
	}
}
