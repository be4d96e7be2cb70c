package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"muster/internal/engine"
)

const long = `
play "p" {
  hosts = ["all"]
  task "command" "long" {
    shell   = "sleep 2; touch DIR/made-${host.name}"
    creates = "DIR/made-${host.name}"
  }
}
`

// A remote that was stopped is given up; the other hosts, and a task that is merely
// long, are none of that.
func TestRemoteThatSaysNothingIsGivenUp(t *testing.T) {
	f := newFleet(t)
	f.alive = 50 * time.Millisecond
	f.stopped = map[string]bool{}
	r := f.runWith(func(o *engine.Options) {
		o.Silence, o.Pauses = time.Second, []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	}, long, "web1", "web2")
	r.Plan(t.Context())
	f.mu.Lock()
	f.stopped["web1"] = true
	f.events = nil
	f.mu.Unlock()
	began := time.Now()
	s := r.Apply(t.Context())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if c := s.Hosts["web1"]; c.Failed == 0 {
		t.Errorf("web1: %+v", c)
	}
	if c := s.Hosts["web2"]; c.Changed != 1 || c.Failed > 0 {
		t.Errorf("web2: %+v, %s", c, f.failures())
	}
	lost := map[string]bool{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e, ok := e.(*engine.HostEvent); ok {
			lost[e.Host] = errors.Is(e.Error, engine.ErrLost)
		}
	}
	if !lost["web1"] || lost["web2"] {
		t.Errorf("lost: %v", lost)
	}
}

// A remote that is stopped while it plans has made nothing: nothing else is said.
func TestRemoteThatSaysNothingWhilePlanningHasMadeNothing(t *testing.T) {
	for _, making := range []bool{false, true} {
		f := newFleet(t)
		f.alive = 50 * time.Millisecond
		f.stopped = map[string]bool{}
		f.severed = func(_ string, part int) bool {
			f.stopped["web1"] = f.stopped["web1"] || !making && part == 2 // behind its greeting
			return false
		}
		r := f.runWith(func(o *engine.Options) {
			o.Silence, o.Pauses = 300*time.Millisecond, []time.Duration{time.Millisecond}
		}, long, "web1")
		r.Plan(t.Context())
		if making {
			f.mu.Lock()
			f.stopped["web1"] = true
			f.mu.Unlock()
			r.Apply(t.Context())
		}
		f.mu.Lock()
		said, heard := false, false
		for _, e := range f.events {
			switch e := e.(type) {
			case *engine.ProgressEvent:
				said = said || strings.Contains(e.Text, "may have been made")
				heard = heard || strings.Contains(e.Text, "nothing was heard of the remote")
			case *engine.HostEvent:
				said = said || strings.Contains(e.Error.Error(), "may have been made")
			}
		}
		f.mu.Unlock()
		if said != making || !heard {
			t.Errorf("making: %t; it is given up: %t; that something may have been made is said: %t", making, heard, said)
		}
	}
}

// A run that is told to stop waits for what is in hand, however long that takes.
func TestRemoteThatFinishesForAStoppedRunIsNotGivenUp(t *testing.T) {
	f := newFleet(t)
	f.alive = 50 * time.Millisecond
	r := f.runWith(func(o *engine.Options) { o.Silence = time.Second }, strings.Replace(long, "sleep 2", "echo > DIR/begun; sleep 2", 1), "web1")
	f.when("begun", r.Stop)
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; c.Changed != 1 || !f.exists("made-web1") {
		t.Errorf("%+v, %s", c, f.failures())
	}
}
