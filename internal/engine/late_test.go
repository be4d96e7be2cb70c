package engine_test

import (
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// TestJudgedFailureShowsTheProgramsLastWords: the host took the program's end
// for no failure, and what it said is known all the same.
func TestJudgedFailureShowsTheProgramsLastWords(t *testing.T) {
	for _, c := range []struct{ name, task, want string }{
		{"failed_when, with an exit code", `
    shell       = "echo out; echo no luck >&2; exit 3"
    failed_when = self.output.exit_code == 3`, "failed_when holds: exit code 3\nno luck\nstdout:\nout"},
		{"failed_when, of a program that was content", `
    shell       = "echo WARNING: nearly full"
    failed_when = strcontains(self.output.stdout, "WARNING")`, "failed_when holds: exit code 0\nWARNING: nearly full"},
		{"failed_when, of a program that says nothing", `
    shell       = "exit 2"
    failed_when = self.output.exit_code == 2`, "failed_when holds: exit code 2"},
		{"failed_when, of a sensitive task", `
    shell       = "cat; exit 3"
    stdin       = sensitive("hunter2")
    failed_when = self.output.exit_code == 3`, "failed_when holds: exit code 3"},
		{"a sensitive task's program", `
    shell     = "echo hush; exit 3"
    sensitive = true`, "echo hush; exit 3: exit code 3 (what it said isn't shown: the task is sensitive)"},
		{"until", `
    shell = "echo still starting"
    retry {
      attempts = 2
      until    = self.output.stdout == "up"
    }`, "what \"until\" asks for didn't come about: exit code 0\nstill starting"},
		{"until, of a program that fails", `
    shell = "echo no luck; exit 1"
    retry {
      attempts = 2
      until    = self.output.stdout == "up"
    }`, "echo no luck; exit 1: exit code 1\nno luck"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			r := f.run("play \"p\" {\n  hosts = [\"all\"]\n  task \"command\" \"c\" {"+c.task+"\n  }\n}\n", "web1")
			r.Plan(t.Context())
			if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed {
				t.Errorf("outcome %s", s.Outcome)
			}
			var got []string
			for _, e := range f.events {
				if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Failed {
					got = append(got, e.Error)
				}
			}
			want(t, "errors", got, []string{c.want})
		})
	}
}
