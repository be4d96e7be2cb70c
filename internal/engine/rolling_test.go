package engine_test

import (
	"slices"
	"testing"

	"muster/internal/engine"
)

const rolling = `
play "p" {
  hosts = ["all", "!hub"]
  rolling {
    batches = [1, "50%"]
    before {
      task "file" "out" {
        on      = ["hub"]
        path    = "DIR/out-${host.name}"
        content = "x"
      }
    }
    after {
      task "file" "back" {
        on      = ["hub"]
        path    = "DIR/back-${host.name}"
        content = "x"
      }
    }
  }
  task "command" "work" {
    shell   = host.name == "web2" ? "exit 1" : "touch DIR/${host.name}"
    creates = "DIR/${host.name}"
  }
}
play "q" {
  hosts = ["web1"]
  task "file" "behind" {
    path    = "DIR/behind"
    content = "x"
  }
}
`

func TestRollingPlayStopsAfterTheBatchInWhichAHostFails(t *testing.T) {
	f := newFleet(t)
	r := f.run(rolling, "web1", "web2", "web3", "web4", "hub")
	r.Plan(t.Context())
	f.forget()
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed {
		t.Errorf("%+v: %v", s, f.states())
	}
	// web2 fails, web3 is in its batch, and web4 isn't come to.
	for name, want := range map[string]bool{
		"out-web1": true, "web1": true, "back-web1": true, "out-web2": true, "back-web2": true,
		"out-web3": true, "web3": true, "back-web3": true, "out-web4": false, "web4": false, "behind": false,
	} {
		if f.exists(name) != want {
			t.Errorf("%s is there: %t", name, !want)
		}
	}
	var said []string
	for _, e := range f.events {
		if e, ok := e.(*engine.NoticeEvent); ok {
			said = append(said, e.Text)
		}
	}
	if want := []string{"p: failed on web2, which is more than max_failures allows: web4 is left as it is"}; !slices.Equal(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
}

func TestRollingPlayDoesNothingAroundHostsItDoesNotChange(t *testing.T) {
	f := newFleet(t)
	r := f.run(rolling, "web1", "web3", "hub")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("%+v: %v", s, f.states())
	}
	r.Close()
	r = f.run(rolling, "web1", "web3", "hub")
	f.forget()
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Errorf("%+v: %v", s, f.states())
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.On != "" {
			t.Errorf("%s on %s was looked at", e.Task, e.On)
		}
	}
}

// A host on which planning failed counts before the first batch, whatever else is to be
// done there.
func TestRollingPlayCountsHostsThatCouldNotBePlannedFirst(t *testing.T) {
	for name, more := range map[string]string{"nothing else is pending there": `host.name == "web1"`, "something else is": "true"} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			r := f.run(`
play "p" {
  hosts = ["all"]
  rolling {
    batches = [1]
  }
  task "file" "work" {
    when    = `+more+`
    path    = "DIR/${host.name}"
    content = "x"
  }
  task "file" "fails" {
    when    = host.name == "web2"
    path    = "DIR/no/such/folder"
    content = "x"
  }
}
`, "web1", "web2")
			r.Plan(t.Context())
			r.Apply(t.Context())
			if f.exists("web1") {
				t.Error("web1 was made, although web2 had failed")
			}
		})
	}
}
