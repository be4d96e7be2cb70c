package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// counted is a play of tasks that can be seen to be made twice.
const counted = `
play "p" {
  hosts = ["web1"]
  task "command" "first" { shell = "echo >> DIR/first" }
  task "file" "f" {
    path    = "DIR/f"
    content = "x"
  }
  task "command" "guarded" {
    shell   = "echo >> DIR/guarded; touch DIR/made"
    creates = "DIR/made"
  }
  task "file" "same" {
    path    = "DIR/same"
    content = "same"
  }
  task "command" "if" {
    when  = task.file.f.changed
    shell = "echo >> DIR/if"
  }
  task "command" "unless" {
    when  = task.file.same.changed
    shell = "echo >> DIR/unless"
  }
  block "b" {
    task "command" "fails" { shell = "echo >> DIR/fails; exit 3" }
    task "command" "never" { shell = "echo >> DIR/never" }
    rescue {
      task "command" "rescue" { shell = "echo >> DIR/rescue" }
    }
  }
  task "command" "known" {
    shell = "echo ${task.command.first.output.exit_code} >> DIR/known"
  }
}
play "q" {
  hosts = ["web2"]
  task "command" "elsewhere" {
    on    = "web1"
    shell = "echo >> DIR/elsewhere"
  }
}
`

// A connection that is lost at any moment of a run, and once more while the host is
// taken up again, leaves nothing undone and has nothing done twice.
func TestHostIsTakenUpAgain(t *testing.T) {
	for _, more := range []int{0, 1, 4} {
		for part := 1; ; part++ {
			f := newFleet(t)
			if err := os.WriteFile(filepath.Join(f.dir, "same"), []byte("same"), 0o644); err != nil {
				t.Fatal(err)
			}
			lost := 0
			f.severed = func(host string, n int) bool {
				if host != "web1" || n != part && (more == 0 || n != part+more) {
					return false
				}
				lost++
				return true
			}
			r := f.run(counted, "web1", "web2")
			where := fmt.Sprintf("lost before part %d, and %d later", part, more)
			if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
				if part == 1 {
					continue // it was never reached
				}
				t.Fatalf("%s: planning came to %s: %s", where, s.Outcome, f.failures())
			}
			s := r.Apply(t.Context())
			r.Close()
			if s.Outcome != engine.OutcomeChanged {
				t.Fatalf("%s: the run came to %s: %s", where, s.Outcome, f.failures())
			}
			for name, want := range map[string]int{"first": 1, "guarded": 1, "if": 1, "unless": 0, "fails": 1, "never": 0, "rescue": 1, "known": 1, "elsewhere": 1} {
				data, _ := os.ReadFile(filepath.Join(f.dir, name))
				if n := strings.Count(string(data), "\n"); n != want {
					t.Errorf("%s: %s was made %d times, not %d", where, name, n, want)
				}
			}
			if kept, _ := filepath.Glob(filepath.Join(f.dir, "records-*", "*")); len(kept) > 0 {
				t.Errorf("%s: the host keeps %v", where, kept)
			}
			if lost == 0 {
				break
			}
		}
	}
}

// A connection that is lost while it waits for the end of what an earlier one has in hand
// leaves that to the next one: it is told, and nothing is made twice.
func TestConnectionThatIsLostWhileItWaitsIsFollowedByAnother(t *testing.T) {
	f := newFleet(t)
	f.alive = 10 * time.Millisecond
	f.severed = func(host string, _ int) bool {
		if n := f.logins[host]; n < 3 && f.exists("first") {
			fence, _ := filepath.Glob(filepath.Join(f.dir, "records-web1", "*.fence"))
			return n == 1 || len(fence) == 1
		}
		return false
	}
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(ctx context.Context, host string, s engine.Start) (engine.Stream, error) {
			if f.logins[host] == 2 {
				f.write(t, "go", "")
			}
			return f.connect(ctx, host, s)
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "command" "first" { shell = "echo >> DIR/first; until test -e DIR/go; do sleep 0.01; done; echo end" }
  task "command" "guarded" {
    shell   = "echo >> DIR/guarded; touch DIR/made"
    creates = "DIR/made"
  }
  task "command" "known" { shell = "echo ${task.command.first.output.stdout} >> DIR/known" }
}
`, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged || s.Hosts["web1"].Changed != 3 {
		t.Errorf("it came to %s, %+v: %s", s.Outcome, s.Hosts["web1"], f.failures())
	}
	if n := f.logins["web1"]; n != 3 {
		t.Errorf("web1 was logged in to %d times", n)
	}
	for _, name := range []string{"first", "guarded", "known"} {
		data, _ := os.ReadFile(filepath.Join(f.dir, name))
		if n := strings.Count(string(data), "\n"); n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	r.Close()
	if kept, _ := filepath.Glob(filepath.Join(f.dir, "records-*", "*")); len(kept) > 0 {
		t.Errorf("the host keeps %v", kept)
	}
}

// What was granted on a host that can't be taken up again may have been made: that is
// what is said of it.
func TestWhatWasGrantedOnALostHostIsUnknown(t *testing.T) {
	f := newFleet(t)
	f.severed = func(host string, _ int) bool {
		if host == "web1" && f.exists("begun") {
			f.down["web1"] = true
			return true
		}
		return false
	}
	r := f.run(`
play "p" {
  hosts = ["web1"]
  task "file" "begun" {
    path    = "DIR/begun"
    content = "x"
  }
  task "command" "may" { argv = ["true"] }
  task "command" "late" { shell = "echo ${task.command.may.output.exit_code}" }
}
`, "web1")
	kept := &notes{f: f}
	r.Keep(kept)
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; c.Unknown != 2 || c.NotReached != 1 || c.Failed != 1 {
		t.Errorf("%+v", c)
	}
	unknown := 0
	for _, e := range f.events {
		switch e := e.(type) {
		case *engine.TaskEvent:
			if e.Status == wire.Unknown {
				unknown++
			}
		case *engine.HostEvent:
			if !errors.Is(e.Error, engine.ErrLost) || !strings.Contains(e.Error.Error(), "connecting again failed") {
				t.Errorf("it is lost for %v", e.Error)
			}
		}
	}
	if unknown != 2 {
		t.Errorf("%d tasks are told as unknown", unknown)
	}
	if lines := strings.Join(kept.of("web1"), "\n"); strings.Count(lines, "web1 unknown ") != 2 {
		t.Errorf("the journal has\n%s", lines)
	}
}

// A remote that hears nothing of its controller begins nothing more, and ends: the
// controller, which was merely asleep, takes the host up again.
func TestHostWhoseRemoteHeardNothingIsTakenUpAgain(t *testing.T) {
	f := newFleet(t)
	f.silence = func(_ string, connection int) time.Duration {
		if connection == 1 {
			return time.Nanosecond
		}
		return 0
	}
	r := f.run(counted, "web1", "web2")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("it came to %s: %s", s.Outcome, f.failures())
	}
	if n := f.logins["web1"]; n != 2 {
		t.Errorf("web1 was logged in to %d times", n)
	}
}

// A run that is told to stop while it takes a host up again begins nothing there, and
// hears the end of what was in hand.
func TestStoppedRunBeginsNothingOnAHostThatItTakesUp(t *testing.T) {
	f := newFleet(t)
	f.alive = 10 * time.Millisecond
	f.severed = func(host string, _ int) bool { return f.logins[host] == 1 && f.exists("first") }
	var r *engine.Run
	r = f.runWith(func(o *engine.Options) {
		o.Connect = func(ctx context.Context, host string, s engine.Start) (engine.Stream, error) {
			stream, err := f.connect(ctx, host, s)
			if f.exists("first") {
				r.Stop()
				f.write(t, "go", "")
			}
			return stream, err
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "command" "first" { shell = "touch DIR/first; until test -e DIR/go; do sleep 0.01; done" }
  task "command" "second" { shell = "touch DIR/second" }
}
`, "web1")
	r.Plan(t.Context())
	if c := r.Apply(t.Context()).Hosts["web1"]; c.Changed != 1 || c.Unknown != 0 || f.exists("second") {
		t.Errorf("%+v; the second was made: %t", c, f.exists("second"))
	}
}

// A command that is never made twice isn't tried again for its retry block either, once
// its outcome is unknown.
func TestCommandOfUnknownOutcomeIsNotTriedAgain(t *testing.T) {
	f := newFleet(t)
	var grants atomic.Int32
	connection := 0
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) {
			connection++
			first := connection == 1
			return played(func(c *wire.Conn, m *wire.Message) bool {
				switch {
				case m.Open != nil && !first:
					_ = c.Send(&wire.Message{TakenUp: &wire.TakenUp{Doubtful: []string{"0/task.command.c"}}})
				case m.Task != nil:
					_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Pending, Certainty: wire.Known, Always: true, Changes: []host.Description{{Action: host.Run, Target: "c"}}}})
				case m.Review != nil:
					_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
				case m.Grant != nil:
					grants.Add(1)
					if first {
						return false // its connection breaks
					}
					_ = c.Send(&wire.Message{Done: &wire.Done{ID: m.Grant.IDs[0], Status: wire.Failed, Error: "again"}})
				}
				return true
			}), nil
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "command" "c" {
    argv = ["true"]
    retry {
      attempts = 5
      delay    = "1ms"
      until    = self.output.stdout == "never"
    }
  }
}
`, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; c.Failed != 1 || grants.Load() != 1 || !strings.Contains(f.failures(), "its outcome is unknown") {
		t.Errorf("granted %d times, %+v: %s", grants.Load(), c, f.failures())
	}
}

// A host that waits to try a task again is taken up at once: the new connection tries it.
func TestHostThatWaitsToTryAgainIsTakenUpAtOnce(t *testing.T) {
	f := newFleet(t)
	f.alive = 10 * time.Millisecond
	f.severed = func(host string, _ int) bool { return f.logins[host] == 1 && f.exists("tried") }
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(ctx context.Context, host string, s engine.Start) (engine.Stream, error) {
			if f.exists("tried") {
				f.write(t, "ready", "")
			}
			return f.connect(ctx, host, s)
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "command" "c" {
    shell   = "touch DIR/tried; test -e DIR/ready && touch DIR/made"
    creates = "DIR/made"
    retry {
      attempts = 2
      delay    = "1h"
    }
  }
}
`, "web1")
	r.Plan(t.Context())
	if c := r.Apply(t.Context()).Hosts["web1"]; c.Changed != 1 {
		t.Errorf("%+v: %s", c, f.failures())
	}
}
