package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"muster/internal/engine"
)

// lateTask is a task that fails where the file that a host makes behind a barrier is there
// before this task, which stands before the barrier on another host, has ended.
const lateTask = `
  task "command" "late" {
    when  = host.name == "SLOW"
    shell = "for i in $(seq 40); do ls DIR/OUT-* 2>&- && exit 1; sleep 0.02; done"
  }
  barrier {}
  task "file" "behind" {
    when    = host.name != "SLOW"
    path    = "DIR/OUT-${host.name}"
    content = "x"
  }
`

func lateIn(slow, out string) string {
	return strings.NewReplacer("SLOW", slow, "OUT", out).Replace(lateTask)
}

func TestHostsWaitForEachOtherAtABarrier(t *testing.T) {
	for name, plays := range map[string]string{
		"the first": `
play "p" {
  hosts = ["all"]
` + lateIn("web1", "one") + `
}
`,
		"one in a later play than all were in": `
play "p" {
  hosts = ["all"]
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
play "q" {
  hosts = ["all"]
` + lateIn("web1", "one") + `
}
`,
		"one in a later play than one was in": `
play "p" {
  hosts = ["web1"]
  barrier {}
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
play "q" {
  hosts = ["all"]
` + lateIn("web1", "one") + `
}
`,
		"the second of a play": `
play "p" {
  hosts = ["all"]
  barrier {}
` + lateIn("web2", "one") + `
}
`,
		"in each batch, those of the batch": `
play "p" {
  hosts = ["all"]
  rolling {
    batches = [2]
  }
` + lateIn("web1", "one") + `
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			r := f.run(plays, "web1", "web2", "web3")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r.Plan(ctx)
			if s := r.Apply(ctx); s.Outcome != engine.OutcomeChanged || !f.exists("one-web3") {
				t.Errorf("%s: %v\n%s", s.Outcome, f.states(), f.failures())
			}
		})
	}
}

// What is always to be done at a block's end is done where it failed, and the failure stays.
func TestWhatABlockIsAlwaysToDoIsDoneWhereItFailed(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  block "b" {
    task "command" "fails" { shell = "exit 1" }
    always {
      task "file" "always" {
        path    = "DIR/always"
        content = "x"
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
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed || !f.exists("always") || f.exists("behind") {
		t.Errorf("%s: %v", s.Outcome, f.states())
	}
}

// Too many failures keep what stands behind the play from being made, also where there
// is no batch left.
func TestRollingPlayThatFailsInItsLastBatchEndsTheRun(t *testing.T) {
	f := newFleet(t)
	r := f.run(rolling, "web1", "web2", "hub")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeFailed || !f.exists("web1") || !f.exists("back-web2") || f.exists("behind") {
		t.Errorf("%s: %v", s.Outcome, f.states())
	}
	f = newFleet(t)
	r = f.run(strings.Replace(rolling, "batches = [1", "keep_on_failure = true\n    batches = [1", 1), "web1", "web2", "hub")
	r.Plan(t.Context())
	if r.Apply(t.Context()); !f.exists("back-web1") || !f.exists("out-web2") || f.exists("back-web2") {
		t.Errorf("a host that failed isn't kept as it is: %v", f.states())
	}
}
