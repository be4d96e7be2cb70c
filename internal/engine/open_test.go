package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
	"muster/modules"
)

// proof is a kind that looks at its turn, or fails with what it has found.
type proof struct {
	Finds string `arg:"finds"`
}

func (p *proof) Plan(context.Context, *host.View) (modules.Plan, error) {
	if p.Finds == "a difference" {
		return modules.Plan{Output: []byte(`{"differences":1}`)}, errors.New("they differ")
	}
	return modules.Plan{Changes: []host.Change{&look{p.Finds}}, Always: true}, nil
}

type look struct{ Finds string }

func (*look) Type() string               { return "test.look/1" }
func (*look) Describe() host.Description { return host.Description{Action: host.Check, Target: "rows"} }
func (*look) Effects() []host.Effect     { return nil }
func (l *look) Apply(context.Context, *host.Host) (host.Result, error) {
	if l.Finds == "nothing" {
		return host.Result{Open: []string{"Nobody can tell."}}, nil
	}
	return host.Result{}, nil
}

func (f *fleet) proving(finds string) *engine.Run {
	f.kinds = modules.NewRegistry(modules.Kind{Name: "proof", New: func() modules.Module { return &proof{} }})
	return f.run("play \"p\" {\n  hosts = [\"web1\"]\n  task \"proof\" \"p\" {\n    finds = \""+finds+"\"\n  }\n}\n", "web1")
}

// A check that was made and couldn't tell isn't passed over as one that found all well.
func TestWhatACheckCouldNotTellIsTold(t *testing.T) {
	for finds, open := range map[string]int{"nothing": 1, "all well": 0} {
		f := newFleet(t)
		r := f.proving(finds)
		defer r.Close()
		r.Plan(t.Context())
		s := r.Apply(t.Context())
		if s.Outcome != engine.OutcomeUnchanged || s.Open() != open || s.Hosts["web1"].Unchanged != 1 {
			t.Errorf("%s: it came to %s, with %d open", finds, s.Outcome, s.Open())
		}
		told := slices.ContainsFunc(f.events, func(e engine.Event) bool {
			n, ok := e.(*engine.NoticeEvent)
			return ok && n.Text == "web1: Nobody can tell."
		})
		if told != (open > 0) {
			t.Errorf("%s: %v", finds, f.events)
		}
	}
}

// What a task found that fails is in its output, for those who read JSON.
func TestATaskThatFailsTellsWhatItFound(t *testing.T) {
	f := newFleet(t)
	r := f.proving("a difference")
	defer r.Close()
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeFailed {
		t.Errorf("it came to %s", s.Outcome)
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && (e.Status != wire.Failed || string(e.Output) != `{"differences":1}`) {
			t.Errorf("it ended as %+v", e)
		}
	}
}

// late is a kind that finds something at its turn, and not before.
type late struct{ plans *int }

func (l *late) Plan(context.Context, *host.View) (modules.Plan, error) {
	if *l.plans++; *l.plans == 1 {
		return modules.Plan{Changes: []host.Change{&look{"all well"}}, Notes: []string{"Told before."}}, nil
	}
	return modules.Plan{Notes: []string{"Told before.", "Somebody has drained it."}}, nil
}

// What a task finds at its turn is told, once: the plan may have been made before it could.
func TestNotesOfATurnAreTold(t *testing.T) {
	f, plans := newFleet(t), 0
	f.kinds = modules.NewRegistry(modules.Kind{Name: "late", New: func() modules.Module { return &late{&plans} }})
	r := f.run("play \"p\" {\n  hosts = [\"web1\"]\n  task \"late\" \"l\" {}\n}\n", "web1")
	defer r.Close()
	r.Plan(t.Context())
	r.Apply(t.Context())
	var told []string
	for _, e := range f.events {
		if n, ok := e.(*engine.NoticeEvent); ok {
			told = append(told, n.Text)
		}
	}
	if want := []string{"web1: Told before.", "web1: Somebody has drained it."}; !slices.Equal(told, want) {
		t.Errorf("%q is told, and not %q", told, want)
	}
}
