package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
	"muster/tests/await"
)

// planning is a module that plans what a function says; n counts from 0.
type planning struct {
	n    int
	plan func(n int, v *host.View) modules.Plan
}

func (m *planning) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	m.n++
	return m.plan(m.n-1, v), nil
}

// doingOf returns a session in which the task "t" has the module m, planned.
func doingOf(t *testing.T, m modules.Module, task wire.Task) *Session {
	t.Helper()
	s := NewSession(modules.NewRegistry(modules.Kind{Name: "k", New: func() modules.Module { return m }}), host.New(), []byte("key"))
	task.ID, task.Kind = "t", "k"
	if p, _ := s.Plan(t.Context(), task); p.Status != wire.Pending {
		t.Fatalf("it is planned as %+v", p)
	}
	return s
}

// step is a change that does what a function does.
type step struct {
	edit
	does func(ctx context.Context, h *host.Host) error
}

func (s *step) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	return host.Result{}, s.does(ctx, h)
}

func newStep(name string, does func(context.Context, *host.Host) error) *step {
	return &step{edit{Key: host.Key{Space: "step", Name: name}, As: host.Update}, does}
}

// longStep is a step that may be interrupted.
type longStep struct{ *step }

func (longStep) Interruptible() {}

func nothing(context.Context, *host.Host) error { return nil }

// once plans changes, and finds nothing left to do when they are planned again.
func once(changes ...host.Change) *planning {
	return &planning{plan: func(n int, _ *host.View) modules.Plan {
		if n >= 2 { // planned, and planned at its turn
			return modules.Plan{}
		}
		return modules.Plan{Changes: changes}
	}}
}

func TestATaskIsPlannedAgainAfterItsChanges(t *testing.T) {
	again := newStep("again", nothing)
	for name, c := range map[string]struct {
		plan  func(n int) modules.Plan
		fault bool
		made  int
	}{
		"it has converged": {func(n int) modules.Plan {
			return once(again).plan(n, nil)
		}, false, 1},
		"it would make the same once more": {func(int) modules.Plan {
			return modules.Plan{Changes: []host.Change{again}}
		}, true, 1},
		"it would make something else": {func(n int) modules.Plan {
			return modules.Plan{Changes: []host.Change{newStep(fmt.Sprint(max(n, 1)), nothing)}}
		}, true, 0},
		"it foretold that there would be more": {func(n int) modules.Plan {
			switch n {
			case 0, 1:
				return modules.Plan{Changes: []host.Change{again}, Then: []host.Description{{Action: host.Update, Target: "step more"}}}
			case 2:
				return modules.Plan{Changes: []host.Change{newStep("more", nothing)}}
			}
			return modules.Plan{}
		}, false, 2},
		"there is no end of it": {func(int) modules.Plan {
			return modules.Plan{Changes: []host.Change{again}, Then: []host.Description{{Action: host.Update, Target: "step again"}}}
		}, true, maxRounds},
		"nobody can tell": {func(int) modules.Plan {
			return modules.Plan{Changes: []host.Change{again}, Always: true}
		}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := doingOf(t, &planning{plan: func(n int, _ *host.View) modules.Plan { return c.plan(n) }}, wire.Task{})
			d := s.Apply(t.Context(), "t")
			want := wire.Changed
			if c.fault {
				want = wire.Failed
			}
			if d.Status != want || c.made > 0 && len(d.Changes) != c.made {
				t.Errorf("it ended as %+v", d)
			}
			if c.fault && c.made > 0 && !strings.Contains(d.Error, `a fault of the kind "k": after its changes it still wants to update step again`) {
				t.Errorf("it says %q", d.Error)
			}
		})
	}
}

func TestNothingIsBegunOnceTheRunIsStopped(t *testing.T) {
	for _, ending := range []string{"the run is stopped", "the controller is gone", "the task's timeout is over"} {
		t.Run(ending, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			var s *Session
			second := false
			task := wire.Task{}
			first := newStep("first", func(context.Context, *host.Host) error {
				switch ending {
				case "the run is stopped":
					stop(errStopped)
				case "the controller is gone":
					s.Still = func() error { return errGone }
				default:
					begun := time.Now()
					await.Until(t, "the time is over", func() bool { return time.Since(begun) > 2*task.Timeout })
				}
				return nil
			})
			if strings.Contains(ending, "timeout") {
				task.Timeout = 20 * time.Millisecond
			}
			m := once(first, newStep("second", func(context.Context, *host.Host) error { second = true; return nil }))
			s = doingOf(t, m, task)
			d := s.Apply(ctx, "t")
			if d.Status != wire.Failed || len(d.Changes) != 1 || !strings.HasPrefix(d.Error, "stopped before it was to update step second: ") {
				t.Errorf("it ended as %+v", d)
			}
			if second {
				t.Error("another change was begun")
			}
		})
	}
}

// A task of which nothing was begun when the run was stopped hasn't failed: its turn hasn't
// come.
func TestATaskThatNothingWasBegunOfIsNotReached(t *testing.T) {
	for name, c := range map[string]struct {
		stop error
		want wire.Status
		text string
	}{
		"the run is stopped":     {errStopped, wire.Skipped, "interrupted"},
		"the controller is gone": {errGone, wire.Failed, "stopped before it was to update step first: the connection to the controller is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			made := false
			s := doingOf(t, once(newStep("first", func(context.Context, *host.Host) error { made = true; return nil })), wire.Task{Timeout: time.Hour})
			stop(c.stop)
			if d := s.Apply(ctx, "t"); d.Status != c.want || d.Error != c.text || made {
				t.Errorf("it ended as %+v", d)
			}
		})
	}
}

// A change that says so is interrupted; any other is finished, since nobody could tell
// what half of it leaves.
func TestOnlyWhatCanBeInterruptedIs(t *testing.T) {
	for _, by := range []string{"a stop", "a timeout"} {
		for _, can := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, interruptible %t", by, can), func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				task := wire.Task{}
				if by == "a timeout" {
					task.Timeout = 20 * time.Millisecond
				}
				interrupted := false
				begun := time.Now()
				change := newStep("long", func(ctx context.Context, _ *host.Host) error {
					if by == "a stop" {
						stop(errStopped)
					}
					if can {
						select {
						case <-ctx.Done():
						case <-time.After(10 * time.Second): // of patience
						}
					} else {
						await.Until(t, "the time is over", func() bool { return time.Since(begun) > 2*task.Timeout })
					}
					interrupted = ctx.Err() != nil
					return context.Cause(ctx)
				})
				c := host.Change(change)
				if can {
					c = longStep{change}
				}
				d := doingOf(t, once(c), task).Apply(ctx, "t")
				if interrupted != can || (d.Status == wire.Failed) != can {
					t.Errorf("it was interrupted: %t, and ended as %+v", interrupted, d)
				}
			})
		}
	}
}

// What is made of an atomic task is taken back where it fails, the last edit first; what
// makes the restored state count comes when all is restored.
func TestAnAtomicTaskThatFailsIsTakenBackFromItsEnd(t *testing.T) {
	for _, atomic := range []bool{true, false} {
		var log []string
		note := func(name string) *step {
			return newStep(name, func(context.Context, *host.Host) error { log = append(log, name); return nil })
		}
		made := func(name string) *step {
			return newStep(name, func(_ context.Context, h *host.Host) error {
				err := h.Begin(host.Undo{Changes: []host.Change{note("un" + name)}, After: []host.Change{note("reload " + name)}})
				log = append(log, name)
				return err
			})
		}
		fails := newStep("c", func(context.Context, *host.Host) error { return errors.New("no luck") })
		m := once(made("a"), made("b"), fails)
		plan := m.plan
		m.plan = func(n int, v *host.View) modules.Plan {
			p := plan(n, v)
			p.Atomic = atomic
			return p
		}
		d := doingOf(t, m, wire.Task{}).Apply(t.Context(), "t")
		want, left := []string{"a", "b"}, 2
		if atomic {
			want, left = append(want, "unb", "una", "reload a", "reload b"), 0
		}
		if !slices.Equal(log, want) || d.Status != wire.Failed || d.Undone != atomic || len(d.Changes) != left || !strings.Contains(d.Error, "no luck") {
			t.Errorf("atomic %t: it did %q, and ended as %+v", atomic, log, d)
		}
	}
}
