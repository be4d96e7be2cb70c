package engine_test

import (
	"strings"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// Who reads what another host doesn't give is told which host, and why: that its task failed,
// that it can't be used, or that it has no part in the run.
func TestWhoReadsOfAHostThatIsOutIsToldWhy(t *testing.T) {
	const playbook = `
play "p" {
  hosts = ["web1"]
  task "command" "before" { shell = "WEB1" }
  task "command" "said" { shell = "echo 7" }
}
play "q" {
  hosts = ["web2"]
  task "file" "later" {
    path    = "DIR/made"
    content = hosts["web1"].task.command.said.output.stdout
  }
}
`
	for name, c := range map[string]struct {
		web1 string
		down bool
		want string
	}{
		"its task failed":  {"exit 3", false, "before failed on web1"},
		"it can't be used": {"true", true, "web1 can't be used"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.down["web1"] = c.down
			r := f.run(strings.ReplaceAll(playbook, "WEB1", c.web1), "web1", "web2")
			r.Plan(t.Context())
			r.Apply(t.Context())
			told := ""
			for _, e := range f.events {
				if e, ok := e.(*engine.TaskEvent); ok && e.Host == "web2" && e.Status == wire.Failed {
					told = e.Error
				}
			}
			if !strings.Contains(told, c.want) {
				t.Errorf("it is told %q", told)
			}
		})
	}
}
