package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// pending are the tasks that a plan shows as to be made, in the order in which it does.
func (f *fleet) pending() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Pending {
			list = append(list, e.Host+" "+e.Task)
		}
	}
	return list
}

// TestRollingPlayIsPlannedAsItIsMade: what stands before a play is part of what the play
// is planned on. What is shown is made, in that order, and then nothing is left.
func TestRollingPlayIsPlannedAsItIsMade(t *testing.T) {
	const after = `after {
      task "line" "end" {
        path = "DIR/conf"
        line = "end"
      }
    }
`
	for name, c := range map[string]struct {
		before, after, play string
		want                []string // of the plan
		conf                string   // what DIR/conf has then
	}{
		"the play needs what before makes": {`task "line" "mk" {
        path   = "DIR/conf"
        line   = "base"
        create = true
      }`, after, `task "line" "edit" {
    path = "DIR/conf"
    line = "edited"
  }`, []string{"mk", "edit", "end"}, "base\nedited\nend\n"},
		"the play edits what before writes": {`task "file" "whole" {
        path    = "DIR/conf"
        content = "from before\n"
      }`, "", `task "line" "edit" {
    path   = "DIR/conf"
    line   = "edited"
    create = true
  }`, []string{"whole", "edit"}, "from before\nedited\n"},
		"the play makes again what before removes": {`task "file" "stop" {
        path  = "DIR/conf"
        state = "absent"
      }`, "", `task "file" "work" {
    path    = "DIR/work"
    content = "x"
  }
  task "file" "start" {
    path    = "DIR/conf"
    content = "there\n"
  }`, []string{"stop", "work", "start"}, "there\n"},
		"the play removes what before makes": {`task "file" "mk" {
        path    = "DIR/gone"
        content = "x"
      }`, "", `task "file" "conf" {
    path    = "DIR/conf"
    content = "new\n"
  }
  task "file" "rm" {
    path  = "DIR/gone"
    state = "absent"
  }`, []string{"mk", "conf", "rm"}, "new\n"},
		"before does the play's own work": {`task "file" "early" {
        path    = "DIR/conf"
        content = "new\n"
      }`, "", `task "file" "late" {
    path    = "DIR/conf"
    content = "new\n"
  }`, []string{"early"}, "new\n"},
		"what before makes guards a command": {`task "file" "lock" {
        path    = "DIR/lock"
        content = "x"
      }`, `after {
      task "file" "unlock" {
        path  = "DIR/lock"
        state = "absent"
      }
    }
`, `task "file" "conf" {
    path    = "DIR/conf"
    content = "new\n"
  }
  task "command" "locked" {
    shell   = "touch DIR/done"
    removes = "DIR/lock"
    creates = "DIR/done"
  }`, []string{"lock", "conf", "locked", "unlock"}, "new\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			if strings.Contains(c.before, "absent") {
				if err := os.WriteFile(filepath.Join(f.dir, "conf"), []byte("there\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			play := "play \"p\" {\n  hosts = [\"all\"]\n  rolling {\n    batches = [1]\n    before {\n      " + c.before + "\n    }\n    " + c.after + "  }\n  " + c.play + "\n}\n"
			r := f.run(play, "web1")
			r.Plan(t.Context())
			var got []string
			for _, task := range f.pending() {
				got = append(got, strings.TrimPrefix(task, "web1 "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the plan shows %q, want %q", got, c.want)
			}
			if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
				t.Fatalf("%s: %v", s.Outcome, f.errorsOf())
			}
			if got := read(t, f, "conf"); got != c.conf {
				t.Errorf("the file has %q, want %q", got, c.conf)
			}
			r.Close()
			r = f.run(play, "web1")
			if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
				t.Errorf("planned again: %s %v", s.Outcome, f.pending())
			}
		})
	}
}

// TestRollingPlayOnOthersIsPlannedBatchByBatch: what each batch does to a third host is
// planned on what the batches before have left there, the play's own tasks too.
func TestRollingPlayOnOthersIsPlannedBatchByBatch(t *testing.T) {
	part := func(label, match string) string {
		return `task "line" "` + label + `" {
    on     = ["hub"]
    path   = "DIR/lb"
    match  = "^${host.name} ` + match + `$"
    line   = "${host.name} ` + label + `"
    create = true
  }
`
	}
	play := "play \"p\" {\n  hosts = [\"web1\", \"web2\", \"web3\"]\n  rolling {\n    batches = [1, 2]\n    before {\n" + part("out", "(out|in)") + "}\n    after {\n" + part("in", "(out|in)") + "}\n  }\n" + part("work", "work") + part("more", "more") + "}\n"
	f := newFleet(t)
	r := f.run(play, "web1", "web2", "web3", "hub")
	r.Plan(t.Context())
	want(t, "the plan", f.pending(), []string{
		"web1 out", "web1 work", "web1 more", "web1 in",
		"web2 out", "web3 out", "web2 work", "web3 work", "web2 more", "web3 more", "web2 in", "web3 in",
	})
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("%s: %v", s.Outcome, f.errorsOf())
	}
	if got, want := read(t, f, "lb"), "web1 in\nweb1 work\nweb1 more\nweb2 in\nweb3 in\nweb2 work\nweb3 work\nweb2 more\nweb3 more\n"; got != want {
		t.Errorf("the file has %q, want %q", got, want)
	}
	r.Close()
	f.forget()
	r = f.run(play, "web1", "web2", "web3", "hub")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Errorf("planned again: %s %v", s.Outcome, f.pending())
	}
}

// TestRollingPlayIsPlannedWhereConnectionsAreLost: at any moment of it, on the host of the
// play and on the one that it acts on.
func TestRollingPlayIsPlannedWhereConnectionsAreLost(t *testing.T) {
	const play = `
play "p" {
  hosts = ["web1", "web2"]
  rolling {
    batches = [1]
    before {
      task "line" "mk" {
        path   = "DIR/conf-${host.name}"
        line   = "base"
        create = true
      }
      task "file" "out" {
        on      = ["hub"]
        path    = "DIR/out-${host.name}"
        content = "x"
      }
    }
    after {
      task "file" "in" {
        on    = ["hub"]
        path  = "DIR/out-${host.name}"
        state = "absent"
      }
    }
  }
  task "line" "edit" {
    path = "DIR/conf-${host.name}"
    line = "edited"
  }
  task "line" "there" {
    on     = ["hub"]
    path   = "DIR/lb"
    line   = host.name
    create = true
  }
}
`
	for _, lost := range []string{"web1", "hub"} {
		for part := 1; ; part++ {
			f := newFleet(t)
			cut := false
			f.severed = func(host string, n int) bool {
				if host != lost || n != part || cut {
					return false
				}
				cut = true
				return true
			}
			r := f.run(play, "web1", "web2", "hub")
			if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending && part == 1 {
				continue // it was never reached
			}
			want(t, "the plan", f.pending(), []string{
				"web1 mk", "web1 out", "web1 edit", "web1 there", "web1 in",
				"web2 mk", "web2 out", "web2 edit", "web2 there", "web2 in",
			})
			if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
				t.Errorf("%s is lost before part %d: %s: %v", lost, part, s.Outcome, f.errorsOf())
			}
			if got := read(t, f, "lb"); got != "web1\nweb2\n" {
				t.Errorf("%s is lost before part %d: the file has %q", lost, part, got)
			}
			r.Close()
			if !cut {
				if part < 8 {
					t.Errorf("only %d parts", part)
				}
				break
			}
			if t.Failed() {
				return
			}
		}
	}
}
