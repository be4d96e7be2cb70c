package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/engine"
)

func TestRescueMayHoldBlocksOfItsOwn(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  block "outer" {
    task "command" "fails" { shell = "exit 1" }
    rescue {
      task "command" "says" { argv = ["echo", "-n", "word"] }
      block "inner" {
        task "file" "first" {
          path    = "DIR/first"
          content = task.command.says.output.stdout
        }
        task "command" "fails_too" { shell = "exit 1" }
        rescue {
          task "file" "second" {
            path    = "DIR/second"
            content = "x"
          }
        }
        always {
          task "file" "third" {
            path    = "DIR/third"
            content = "x"
          }
        }
      }
    }
  }
  task "file" "behind" {
    path    = "DIR/behind"
    content = "x"
  }
}
`, "web1")
	r.Plan(t.Context())
	f.forget()
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	for _, name := range []string{"first", "second", "third", "behind"} {
		if !f.exists(name) {
			t.Errorf("%s wasn't made: %v", name, f.states())
		}
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "first")); string(b) != "word" {
		t.Errorf("the file holds %q", b)
	}
}

func TestRunThatOnlyPlansMakesNothing(t *testing.T) {
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) { o.ReadOnly = true }, `
play "p" {
  hosts = ["all"]
  task "file" "f" {
    path    = "DIR/made"
    content = "x"
  }
}
`, "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
		t.Fatalf("%+v", s)
	}
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed || f.exists("made") {
		t.Errorf("it made something: %+v", s)
	}
}

func TestOnceRunsOnTheFirstHostThatIsReached(t *testing.T) {
	f := newFleet(t)
	f.down["web1"] = true
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "who" {
    argv = ["echo", "-n", host.name]
    once = true
  }
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = task.command.who.output.stdout
  }
}
`, "web1", "web2", "web3")
	r.Plan(t.Context())
	r.Apply(t.Context())
	for _, name := range []string{"web2", "web3"} {
		if b, _ := os.ReadFile(filepath.Join(f.dir, name)); string(b) != "web2" {
			t.Errorf("%s read %q: %v", name, b, f.states())
		}
	}
}

func TestHostsWaitForEachOtherAlsoWhereOneIsWorkedOnAtATime(t *testing.T) {
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) { o.Parallel = 1 }, `
play "p" {
  hosts = ["all"]
  task "command" "who" { argv = ["echo", "-n", "${host.name} ${hosts["web3"].facts.os} ${hosts["web1"].facts.os}"] }
  barrier {}
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = join(",", [for h in ["web1", "web2", "web3"] : hosts[h].task.command.who.output.stdout])
    when    = false
  }
  task "file" "g" {
    path    = "DIR/${host.name}"
    content = task.command.who.output.stdout
    on      = ["web2"]
  }
}
`, "web1", "web2", "web3")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "web3")); string(b) != "web3 debian debian" {
		t.Errorf("the file holds %q", b)
	}
}

func TestTaskOnAnotherHostIsPlannedBeforeItsLaterPlays(t *testing.T) {
	for name, around := range map[string]string{
		"a task of a play": `TASK`,
		"before":           "rolling {\n before {\nTASK\n}\n}",
		"after":            "rolling {\n after {\nTASK\n}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			task := `
      task "directory" "d" {
        on   = ["web2"]
        path = "DIR/made"
      }
`
			// web1 is busy with other things first.
			r := f.run(`
play "first" {
  hosts = ["web1"]
  task "command" "busy" {
    for_each = [for i in range(50) : "w${i}"]
    argv     = ["echo", each.key]
  }
  `+strings.Replace(around, "TASK", task, 1)+`
}
play "second" {
  hosts = ["web2"]
  task "file" "f" {
    path    = "DIR/made/f"
    content = "x"
  }
}
`, "web1", "web2")
			if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
				t.Fatalf("%+v: %v", s, f.states())
			}
			if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged || !f.exists("made/f") {
				t.Errorf("%+v: %v", s, f.states())
			}
		})
	}
}

func TestTasksOnAnotherHostArePlannedInOneOrder(t *testing.T) {
	const text = `
play "p" {
  hosts = ["web1", "web2", "web3"]
  task "file" "noted" {
    on      = ["hub"]
    path    = "DIR/noted-${host.name}"
    content = "x"
  }
  task "command" "first" {
    once = true
    argv = ["echo", "-n", "x"]
    on   = ["hub"]
  }
  task "command" "reads" { argv = ["echo", task.command.first.output.stdout, hosts["web1"].task.file.noted.changed] }
  task "file" "last" {
    for_each = ["a", "b"]
    on       = ["hub"]
    path     = "DIR/${each.key}-${host.name}"
    content  = "x"
  }
}
play "q" {
  hosts = ["web1", "web2", "web3"]
  rolling {
    before {
      task "command" "out" {
        on   = ["hub"]
        argv = ["echo", "out", host.name]
      }
    }
  }
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`
	want := []string{
		"noted web1 known", "noted web2 known", "noted web3 known", "first web1 known",
		"last web1 tentative", "last web1 tentative", "last web2 tentative", "last web2 tentative", "last web3 tentative", "last web3 tentative",
		"out web1 tentative", "out web2 tentative", "out web3 tentative",
	}
	for range 20 {
		var got []string
		f := newFleet(t)
		r := f.runWith(func(o *engine.Options) {
			o.Events = func(e engine.Event) {
				if e, ok := e.(*engine.TaskEvent); ok && e.On == "hub" {
					got = append(got, e.Task+" "+e.Host+" "+string(e.Certainty))
				}
			}
		}, text, "web1", "web2", "web3", "hub")
		r.Plan(t.Context())
		if !slices.Equal(got, want) {
			t.Fatalf("the hub planned\n%q\nwant\n%q", got, want)
		}
		r.Close()
	}
}

func TestHostThatWasCutOffBeforeAfterIsPutBack(t *testing.T) {
	const text = `
play "p" {
  hosts = ["all"]
  rolling {
    before {
      task "command" "out" { argv = ["rm", "-f", "DIR/${host.name}-in"] }
    }
    after {
      task "command" "in" { argv = ["touch", "DIR/${host.name}-in"] }
    }
  }
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`
	f := newFleet(t)
	for _, name := range []string{"web1", "web2"} { // made, and never put back
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := f.runWith(func(o *engine.Options) { o.Unfinished = map[string]bool{"web1": true} }, text, "web1", "web2")
	r.Plan(t.Context())
	r.Apply(t.Context())
	if !f.exists("web1-in") || f.exists("web2-in") {
		t.Errorf("what the play does after its steps: %v", f.states())
	}
}
