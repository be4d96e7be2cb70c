package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
)

// rulesOf is a kind that tells what it sees, and what is wrong with one of its arguments.
type rulesOf struct {
	Rules []string `arg:"rules"`
}

func (r *rulesOf) Plan(context.Context, *host.View) (modules.Plan, error) {
	for i, rule := range r.Rules {
		if rule == "wrong" {
			return modules.Plan{}, modules.ArgError{Arg: "rules", Path: []string{"[0]", "[1]", "[2]"}[i], Summary: "Wrong rule", Detail: "it says wrong"}
		}
	}
	return modules.Plan{Notes: []string{"Somebody else has drained app1."}}, nil
}

func (f *fleet) judging(rules string) *engine.Run {
	f.kinds = modules.NewRegistry(modules.Kind{Name: "rules_of", New: func() modules.Module { return &rulesOf{} }})
	return f.run("play \"p\" {\n  hosts = [\"web1\"]\n  task \"rules_of\" \"r\" {\n    rules = [\n"+rules+"    ]\n  }\n}\n", "web1")
}

// What a host finds wrong with a part of an argument is told with that part's place.
func TestErrorOfAPlanHasThePlaceOfItsArgument(t *testing.T) {
	f := newFleet(t)
	r := f.judging("      \"right\",\n      \"wrong\",\n")
	defer r.Close()
	r.Plan(t.Context())
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && (e.Line != 6 || !strings.Contains(e.Error, "it says wrong")) {
			t.Errorf("it is told at line %d: %s", e.Line, e.Error)
		}
	}
}

// What a plan notes of the host is told, though nothing is to be done.
func TestNotesOfAPlanAreTold(t *testing.T) {
	f := newFleet(t)
	r := f.judging("      \"right\",\n")
	defer r.Close()
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Errorf("it came to %s", s.Outcome)
	}
	told := slices.ContainsFunc(f.events, func(e engine.Event) bool {
		n, ok := e.(*engine.NoticeEvent)
		return ok && n.Text == "web1: Somebody else has drained app1."
	})
	if !told {
		t.Errorf("nothing is told of it: %v", f.events)
	}
}
