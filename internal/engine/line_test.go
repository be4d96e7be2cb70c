package engine_test

import (
	"slices"
	"strings"
	"testing"

	"muster/internal/engine"
)

// TestTasksOnOneHostAreMadeInTheOrderOfTheirPlans: each of two hosts edits a file on one
// of them or on a third, of which the first plan makes it; and the first host is slow.
func TestTasksOnOneHostAreMadeInTheOrderOfTheirPlans(t *testing.T) {
	const slow = `task "command" "slow" {
    shell   = "i=0; while test ${host.name} = web1 -a $i -lt 30 -a ! -e DIR/lb; do sleep 0.01; i=$((i+1)); done; touch DIR/slow-${host.name}"
    creates = "DIR/slow-${host.name}"
  }
`
	const edit = `task "line" "LABEL" {
    on     = ["TARGET"]
    path   = "DIR/lb"
    match  = "^${host.name} "
    line   = "${host.name} LABEL"
    create = true
  }
`
	// LABEL's file is made on the target itself, behind what all hosts do to it there.
	const own = `task "line" "own" {
    path   = host.name == "TARGET" ? "DIR/lb" : "DIR/own-${host.name}"
    line   = "own"
    create = true
  }
`
	drain, ready := strings.ReplaceAll(edit, "LABEL", "drained"), strings.ReplaceAll(edit, "LABEL", "ready")
	for name, play := range map[string]string{
		"a rolling play": `rolling {
    batches = [2]
    before {
` + slow + drain + `}
    after {
` + ready + `}
  }
  task "file" "work" {
    path    = "DIR/${host.name}"
    content = "x"
  }
`,
		"a play": slow + drain + own,
	} {
		for _, target := range []string{"hub", "web1", "web2"} {
			t.Run(name+" on "+target, func(t *testing.T) {
				f := newFleet(t)
				text := strings.NewReplacer("TARGET", target, "DIR", f.dir).Replace("play \"p\" {\n  hosts = [\"web1\", \"web2\"]\n" + play + "}\n")
				r := f.run(text, "web1", "web2", "hub")
				r.Plan(t.Context())
				f.mu.Lock()
				var planned, want []string
				for _, e := range f.events {
					if e, ok := e.(*engine.TaskEvent); ok && len(e.Changes) == 1 && strings.HasSuffix(e.Changes[0].Target, "/lb") {
						planned = append(planned, e.Host+" "+e.Task)
					}
				}
				f.mu.Unlock()
				want = []string{"web1 drained", "web2 drained"}
				switch {
				case name != "a play":
					want = append(want, "web1 ready", "web2 ready")
				case target != "hub":
					want = append(want, target+" own")
				}
				if !slices.Equal(planned, want) {
					t.Errorf("planned as %q, want %q", planned, want)
				}
				if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
					t.Errorf("%s: %v", s.Outcome, f.errorsOf())
				}
				if got := read(t, f, "lb"); !strings.HasPrefix(got, "web1 ") {
					t.Errorf("the file has %q", got)
				}
			})
		}
	}
}
