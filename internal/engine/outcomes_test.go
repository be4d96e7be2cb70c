package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/engine"
)

// bounded plans and applies a run that may wait for ever, and fails where it does.
// Planned is called in between.
func (f *fleet) bounded(r *engine.Run, planned func()) *engine.Summary {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	r.Plan(ctx)
	if ctx.Err() != nil {
		f.t.Fatalf("planning waits for what never comes\n%s", f.failures())
	}
	planned()
	s := r.Apply(ctx)
	if ctx.Err() != nil {
		f.t.Fatalf("applying waits for what never comes\n%s", strings.Join(f.states(), "\n"))
	}
	return s
}

// made names the files in the fleet's folder that tasks made.
func (f *fleet) made() []string {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "made-") {
			names = append(names, strings.TrimPrefix(e.Name(), "made-"))
		}
	}
	return names
}

// What never comes to a host is waited for by nobody, and counts as skipped.
func TestNobodyWaitsForATaskThatNeverComes(t *testing.T) {
	const fails = `
    task "command" "fails" { shell = "test ${host.name} != web1" }
    task "command" "behind" { shell = "true" }
    rescue {
      task "command" "saves" { shell = "true" }
    }
    always {
      task "command" "anyway" { shell = "true" }
    }
`
	file := func(name, when string) string {
		return `
  task "file" "` + name + `" {
    path    = "DIR/made-` + name + `-${host.name}"
    content = "x"
    when    = ` + when + `
  }
`
	}
	all := []string{"web1", "web2", "web3"}
	for name, test := range map[string]struct {
		playbook string
		change   func(*engine.Options)
		down     string
		made     []string
	}{
		"a rescue's, on the same host": {
			playbook: `play "p" {
  hosts = ["all"]
  block "b" {` + fails + "}\n" + file("ran", "task.command.saves.changed") + file("not", "task.command.saves.skipped") + `}`,
			made: []string{"not-web2", "not-web3", "ran-web1"},
		},
		"a rescue's, on another host": {
			playbook: `play "p" {
  hosts = ["all"]
  block "b" {` + fails + "}\n" + file("one", `hosts["web1"].task.command.saves.changed`) + file("two", `hosts["web2"].task.command.saves.changed`) + `
  task "command" "last" { shell = hosts["web3"].task.file.one.changed ? "true" : "false" }
}`,
			made: []string{"one-web1", "one-web2", "one-web3"},
		},
		"a rescue's, in an earlier play": {
			playbook: `play "p" {
  hosts = ["all"]
  block "b" {` + fails + "}\n" + `}
play "q" {
  hosts = ["all"]` + file("one", `hosts["web1"].task.command.saves.changed`) + file("two", `hosts["web2"].task.command.saves.changed`) + `}`,
			made: []string{"one-web1", "one-web2", "one-web3"},
		},
		"one behind what failed in its block": {
			playbook: `play "p" {
  hosts = ["all"]
  block "b" {` + strings.Replace(fails, "rescue", file("behind", "true")+"rescue", 1) + "}\n" + file("ran", "!task.command.behind.skipped && task.command.anyway.changed") + file("changed", "task.command.behind.changed || task.file.behind.changed") + file("other", `hosts["web1"].task.command.behind.skipped`) + `}`,
			made: []string{"behind-web2", "behind-web3", "changed-web2", "changed-web3", "other-web1", "other-web2", "other-web3", "ran-web2", "ran-web3"},
		},
		"for others, of a role of one host's": {
			playbook: `play "p" {
  hosts = ["all"]
  task "command" "start" { shell = "true" }
  role "r" { for_each = toset(host.name == "web1" ? ["k"] : []) }
  task "file" "end" {
    on      = "web2"
    path    = "DIR/made-end-${host.name}"
    content = host.name == "web2" ? hosts["web1"].task.command.start.output.stdout : "x"
  }
}`,
			made: []string{"end-web1", "end-web2", "end-web3", "role-web1"},
		},
		"that acts on a host that is down": {
			playbook: `play "p" {
  hosts = ["web1", "web2"]
  task "command" "there" {
    on       = "web3"
    on_error = "continue"
    shell    = "true"
  }` + file("own", "!task.command.there.changed") + file("failed", `hosts["web2"].task.command.there.failed`) + `}`,
			down: "web3",
			made: []string{"failed-web1", "failed-web2", "own-web1", "own-web2"},
		},
		"of a host that the limit leaves out": {
			playbook: `play "p" {
  hosts = ["all"]
  task "command" "there" { shell = "true" }` + file("own", `!hosts["web3"].task.command.there.changed`) + `
  task "command" "once" {
    once  = true
    shell = "true"
  }` + file("once", "task.command.once.changed") + `
}`,
			change: func(o *engine.Options) { o.Limit = map[string]bool{"web2": true} },
			made:   []string{"once-web2", "own-web2"},
		},
		"once, and the first host is down": {
			playbook: `play "p" {
  hosts = ["all"]
  task "command" "once" {
    once  = true
    shell = "true"
  }` + file("once", "task.command.once.changed") + `}`,
			down: "web1",
			made: []string{"once-web2", "once-web3"},
		},
		"around a host that a rolling play passes over": {
			playbook: `play "p" {
  hosts = ["all"]
  rolling {
    before {
      task "command" "drain" { shell = "true" }
    }
    after {
      task "command" "back" { shell = "true" }
    }
  }` + file("own", `host.name == "web1"`) + `
}
play "q" {
  hosts = ["all"]` + file("before", `hosts["web1"].task.command.drain.changed`) + file("skipped", `hosts["web2"].task.command.drain.skipped && hosts["web2"].task.command.back.skipped`) + `}`,
			made: []string{"before-web1", "before-web2", "before-web3", "own-web1", "skipped-web1", "skipped-web2", "skipped-web3"},
		},
		"around a host, with tasks for others in a role of one host's": {
			playbook: `play "p" {
  hosts = ["all"]
  rolling {
    before {
      task "command" "drain" {
        on    = "web3"
        shell = "true"
      }
    }
  }
  role "r" { for_each = toset(host.name == "web1" ? ["k"] : []) }
}`,
			made: []string{"role-web1"},
		},
		"of a host whose task failed": {
			playbook: `play "p" {
  hosts = ["all"]
  task "command" "fails" { shell = host.name == "web1" ? "false" : "true" }
  task "command" "behind" {
    shell = "echo x"
  }
}
play "q" {
  hosts = ["web2"]
  task "file" "a" {
    path    = "DIR/made-a"
    content = try(hosts["web1"].task.command.behind.output.stdout, "none")
  }
}`,
			made: []string{"a"},
		},
	} {
		for way, parallel := range map[string]int{"all at once": 0, "one by one": 1} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t)
				role := filepath.Join(f.dir, "roles", "r")
				if err := os.MkdirAll(role, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(role, "role.hcl"), []byte(`
task "file" "on" {
  on      = "web3"
  path    = "`+f.dir+`/made-role-${host.name}"
  content = "x"
}
`), 0o600); err != nil {
					t.Fatal(err)
				}
				f.down[test.down] = true
				r := f.runWith(func(o *engine.Options) {
					o.Parallel = parallel
					if test.change != nil {
						test.change(o)
					}
				}, test.playbook, all...)
				f.bounded(r, func() {})
				if made := f.made(); !slices.Equal(made, test.made) {
					t.Errorf("made %q, want %q\n%s", made, test.made, f.failures())
				}
			})
		}
	}
}

// A host of which nothing is heard any more, from the start or in the middle of its
// plan, is waited for by nobody.
func TestNobodyWaitsForAHostThatFallsSilent(t *testing.T) {
	const playbook = `
play "p" {
  hosts = ["all"]
  task "command" "first" { shell = "true" }
  task "command" "once" {
    once  = true
    shell = "true"
  }
  task "command" "there" {
    on       = "web1"
    on_error = "continue"
    shell    = "true"
  }
  task "file" "other" {
    path    = "DIR/made-other-${host.name}"
    content = "x"
    when    = !hosts["web2"].task.command.first.failed
  }
}
play "q" {
  hosts = ["web3"]
  task "file" "later" {
    path    = "DIR/made-later-${host.name}"
    content = try(hosts["web1"].task.command.there.output.stdout, "none")
  }
}
`
	for name, middle := range map[string]bool{"from the start": false, "in the middle": true} {
		for _, parallel := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d at once", name, parallel), func(t *testing.T) {
				t.Parallel()
				f := newFleet(t)
				f.alive = 50 * time.Millisecond
				f.stopped = map[string]bool{"web1": !middle}
				r := f.runWith(func(o *engine.Options) {
					o.Silence, o.Parallel = time.Second, parallel
					then := o.Events
					o.Events = func(e engine.Event) {
						then(e)
						if e, ok := e.(*engine.TaskEvent); ok && e.Host == "web1" {
							f.mu.Lock()
							f.stopped["web1"] = true
							f.mu.Unlock()
						}
					}
				}, playbook, "web1", "web2", "web3")
				s := f.bounded(r, func() {})
				if c := s.Hosts["web1"]; c.Failed == 0 {
					t.Errorf("web1: %+v", c)
				}
			})
		}
	}
}
