package engine_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
	"muster/secret"
)

const twoFiles = `
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/${host.name}-a"
    content = "right"
  }
  task "file" "b" {
    path    = "DIR/${host.name}-b"
    content = "right"
  }
}
`

// traces are what hosts told, by host and task.
func (f *fleet) traces() map[string][]string {
	list := map[string][]string{}
	for _, e := range f.events {
		if e, ok := e.(*engine.TraceEvent); ok {
			list[e.Host+" "+e.ID] = e.Known
		}
	}
	return list
}

func TestHostsAreAskedWhoDidItOnceAndOnlyWhereSomethingHasDrifted(t *testing.T) {
	trips := map[bool]map[string]int{}
	for _, asks := range []bool{false, true} {
		f := newFleet(t)
		for _, name := range []string{"web1-a", "web1-b"} {
			f.write(t, name, "right")
		}
		f.write(t, "web2-a", "wrong")
		f.write(t, "web2-b", "wrong")
		r := f.runWith(func(o *engine.Options) { o.ReadOnly, o.Trace = true, asks }, twoFiles, "web1", "web2")
		if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
			t.Fatal(s.Outcome)
		}
		r.Close()
		got := f.traces()
		if !asks {
			if len(got) > 0 {
				t.Errorf("nobody asked: %v", got)
			}
		} else if known := got["web2 0/task.file.a"]; len(got) != 2 || len(known) == 0 || !strings.HasPrefix(known[0], filepath.Join(f.dir, "web2-a")+" was written at 20") {
			t.Errorf("%v", got)
		}
		trips[asks] = map[string]int{}
		for name, of := range f.trips {
			trips[asks][name] = of.n
		}
	}
	if trips[true]["web1"] != trips[false]["web1"] || trips[true]["web2"] != trips[false]["web2"]+1 {
		t.Errorf("round trips with the question: %v, without: %v", trips[true], trips[false])
	}
}

func TestWhatAHostTellsOfItsDoingIsBoundedAndHasNoSecret(t *testing.T) {
	f := newFleet(t)
	redact := &secret.Redactor{}
	redact.Add("hunter2-canary")
	r := f.runWith(func(o *engine.Options) {
		o.ReadOnly, o.Trace, o.Redact = true, true, redact
		o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) {
			return played(func(c *wire.Conn, m *wire.Message) bool {
				switch {
				case m.Task != nil:
					p := &wire.Planned{ID: m.Task.ID, Status: wire.Pending, Certainty: wire.Known}
					go func() { _ = c.Send(&wire.Message{Planned: p}) }() // the controller may be writing
				case m.Review != nil:
					_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
				case m.Trace != nil:
					lines := []string{"ann ran vim hunter2-canary"}
					for range 1000 {
						lines = append(lines, strings.Repeat("ä", 1000))
					}
					_ = c.Send(&wire.Message{Traced: &wire.Traced{Known: [][]string{lines, nil}}})
				}
				return true
			}), nil
		}
	}, twoFiles, "web1")
	r.Plan(t.Context())
	got := f.traces()
	known := got["web1 0/task.file.a"]
	if len(got) != 1 || len(known) > 8 || len(strings.Join(known, "")) > 8*400 || strings.Contains(strings.Join(known, ""), "hunter2") || !strings.HasPrefix(known[0], "ann ran vim ") {
		t.Errorf("%d: %v", len(got), known)
	}
}

func TestAHostThatIsLostWhileItIsAskedIsAskedAgain(t *testing.T) {
	last := 0 // the round trip of the question
	for _, cut := range []bool{false, true} {
		f := newFleet(t)
		f.write(t, "web1-a", "wrong")
		severed := !cut
		f.severed = func(string, int) bool {
			trip := f.trips["web1"]
			trip.mu.Lock()
			defer trip.mu.Unlock()
			if severed || trip.n < last {
				return false
			}
			severed = true
			return true
		}
		r := f.runWith(func(o *engine.Options) { o.ReadOnly, o.Trace = true, true }, twoFiles, "web1")
		s := r.Plan(t.Context())
		if !cut {
			last = f.trips["web1"].n
		}
		r.Close()
		if c, got := s.Hosts["web1"], f.traces(); c.Unreachable || c.Pending != 2 || len(got["web1 0/task.file.a"]) == 0 {
			t.Errorf("%v: %+v, %v", cut, c, got)
		}
		if n := f.logins["web1"]; cut != (n > 1) {
			t.Errorf("%d logins", n)
		}
	}
}
