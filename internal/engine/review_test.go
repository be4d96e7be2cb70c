package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// failures lists what failed, with the reasons.
func (f *fleet) failures() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Failed {
			list = append(list, fmt.Sprintf("%s %s: %s", e.Host, e.Name, e.Error))
		}
	}
	return strings.Join(list, "\n")
}

// Two tasks that write one file are in each other's way whatever their kinds, their
// users and their plays; in one order both change it, in the other the first agrees.
func TestTasksThatUndoEachOtherFailThePlan(t *testing.T) {
	const one = `
play "one" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/f"
    content = "a\n"
    mode    = "0666"
  }
}
`
	for name, test := range map[string]struct{ second, there string }{
		"another content": {second: `task "file" "b" { path = "DIR/f", content = "b\n" }`},
		"a mode":          {second: `task "file" "b" { path = "DIR/f", mode = "0600" }`},
		"no file at all":  {second: `task "file" "b" { path = "DIR/f", state = "absent" }`},
		"its folder": {second: `task "directory" "b" { path = "DIR", mode = "0750", state = "present" }
  task "file" "c" { path = "DIR/f", content = "c\n" }`},
		"where it agrees now": {second: `task "file" "b" { path = "DIR/f", content = "b\n" }`, there: "a\n"},
		"a line of it":        {second: `task "line" "b" { path = "DIR/f", line = "b" }`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			if test.there != "" {
				if err := os.WriteFile(filepath.Join(f.dir, "f"), []byte(test.there), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			second := strings.NewReplacer(", ", "\n", "{ ", "{\n", " }", "\n}").Replace(test.second)
			r := f.run(one+"play \"two\" {\n  hosts = [\"all\"]\n  "+second+"\n}\n", "web1")
			s := r.Plan(t.Context())
			if got := f.failures(); s.Outcome != engine.OutcomeFailed || !strings.Contains(got, "in two states") || !strings.Contains(got, "task.file.a") {
				t.Errorf("%s: it fails with %q", s.Outcome, got)
			}
			if test.there == "" && f.exists("f") {
				t.Error("planning has made the file")
			}
		})
	}
}

// A folder goes with all that is in it, also where that is as it is to be.
func TestTaskInAFolderThatGoesFailsThePlan(t *testing.T) {
	for name, there := range map[string]string{"to be made": "", "as it is to be": "a"} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			if err := os.Mkdir(filepath.Join(f.dir, "d"), 0o755); err != nil {
				t.Fatal(err)
			}
			if there != "" {
				f.write(t, "d/f", there)
			}
			r := f.run(`
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/d/f"
    content = "a"
  }
  task "directory" "b" {
    path  = "DIR/d"
    state = "absent"
  }
}
`, "web1")
			s := r.Plan(t.Context())
			if got := f.failures(); s.Outcome != engine.OutcomeFailed || !strings.Contains(got, "in two states") || !strings.Contains(got, "task.file.a") {
				t.Errorf("%s: it fails with %q", s.Outcome, got)
			}
		})
	}
}

func TestTasksOfOneFileThatAgreeAreNoConflict(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path = "DIR/f"
    content = "a\n"
  }
  task "file" "mode" {
    path = "DIR/f"
    mode = "0600"
  }
  task "file" "again" {
    path = "DIR/f"
    content = "a\n"
  }
}
`, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("%s: %s", s.Outcome, f.failures())
	}
}

// What no plan could tell is found when all is made: the play hasn't settled.
func TestPlayThatHasNotSettledFailsTheRun(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path = "DIR/f"
    content = "a\n"
  }
  task "command" "spoils" {
    shell   = "echo spoilt > DIR/f; touch DIR/done"
    creates = "DIR/done"
  }
}
`, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if got := f.failures(); s.Outcome != engine.OutcomeFailed || !strings.Contains(got, "web1 task.file.a: ") || !strings.Contains(got, "would update") || !strings.Contains(got, "what task.command.spoils alters") {
		t.Errorf("%s: %q", s.Outcome, got)
	}
}

// Tasks may have one name in several plays, and be those of several hosts.
func TestTheOtherTaskOfAConflictIsNamedWithItsPlace(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "one" {
  hosts = ["web2"]
  task "file" "f" {
    on      = ["web1"]
    path    = "DIR/f"
    content = "a\n"
  }
}
play "two" {
  hosts = ["web1"]
  task "file" "f" {
    path    = "DIR/f"
    content = "b\n"
  }
}
`, "web1", "web2")
	s := r.Plan(t.Context())
	if got := f.failures(); s.Outcome != engine.OutcomeFailed || !strings.Contains(got, `.hcl:4, play "one", for web2)`) {
		t.Errorf("%s: %q", s.Outcome, got)
	}
}

// A guarded command that another one takes back isn't its kind's fault.
func TestACommandThatUndoesAnotherIsNamed(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "x" {
    argv    = ["touch", "DIR/x"]
    creates = "DIR/x"
  }
  task "command" "y" {
    shell   = "rm DIR/x; touch DIR/y"
    creates = "DIR/y"
  }
}
`, "web1")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if got := f.failures(); s.Outcome != engine.OutcomeFailed || !strings.Contains(got, "web1 task.command.x: ") || !strings.Contains(got, "task.command.y alters") || strings.Contains(got, "at fault") {
		t.Errorf("%s: %q", s.Outcome, got)
	}
}

// What a rescue takes back, and what a rolling play does before, isn't to last.
func TestWhatIsTakenBackByDesignIsNoConflict(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all", "!hub"]
  rolling {
    batches = [1]
    before {
      task "file" "drain" {
        on = ["hub"]
        path = "DIR/server-${host.name}"
        content = "drain"
      }
    }
    after {
      task "file" "ready" {
        on = ["hub"]
        path = "DIR/server-${host.name}"
        content = "ready"
      }
    }
  }
  block "b" {
    task "file" "config" {
      path = "DIR/config-${host.name}"
      content = "new"
    }
    task "command" "fails" { argv = ["false"] }
    rescue {
      task "file" "back" {
        path = "DIR/config-${host.name}"
        content = "old"
      }
    }
  }
}
`, "web1", "web2", "hub")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
		t.Fatalf("%s: %s", s.Outcome, f.failures())
	}
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("%s: %s", s.Outcome, f.failures())
	}
}

// A third host is planned as the batches will find it: one server after the other.
func TestRollingPlayIsPlannedBatchByBatch(t *testing.T) {
	f := newFleet(t)
	play := func(batches string) string {
		return `
play "p" {
  hosts = ["all", "!hub"]
  rolling {
    batches = ` + batches + `
    before {
      task "file" "drain" {
        on = ["hub"]
        path = "DIR/drained-${host.name}"
        content = "x"
      }
    }
    after {
      task "file" "ready" {
        on = ["hub"]
        path = "DIR/drained-${host.name}"
        state = "absent"
      }
    }
  }
  task "file" "work" {
    path = "DIR/${host.name}"
    content = "x"
  }
}
`
	}
	for batches, want := range map[string][]string{
		"[1]":      {"web1 drain", "web1 ready", "web2 drain", "web2 ready"},
		`["100%"]`: {"web1 drain", "web2 drain", "web1 ready", "web2 ready"},
	} {
		f.forget()
		r := f.run(play(batches), "web1", "web2", "hub")
		if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
			t.Fatalf("%s: %s", s.Outcome, f.failures())
		}
		var got []string
		for _, e := range f.events {
			if e, ok := e.(*engine.TaskEvent); ok && e.On == "hub" {
				got = append(got, e.Host+" "+e.Task)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("batches %s: the hub is planned as %q, want %q", batches, got, want)
		}
		r.Close()
	}
}

// Where nothing is pending nobody is asked twice.
func TestUnchangedHostIsNotReviewed(t *testing.T) {
	f := newFleet(t)
	const play = `
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path = "DIR/f"
    content = "a\n"
  }
}
`
	for range 2 {
		r := f.run(play, "web1")
		r.Plan(t.Context())
		r.Apply(t.Context())
		r.Close()
	}
	r := f.run(play, "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Fatal(s.Outcome)
	}
	if n := f.trips["web1"].n; n > 1 {
		t.Errorf("%d round trips", n)
	}
}
