package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; c.Unknown != 2 || c.Skipped != 1 || c.Failed != 1 {
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
}
