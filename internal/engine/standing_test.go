package engine_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/internal/engine"
	"muster/tests/await"
)

func TestARunTellsWhereItsHostsStand(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "first" { argv = ["true"] }
  task "command" "slow" {
    shell   = host.name == "web1" ? "while ! test -e DIR/go; do sleep 0.01; done" : "true"
    timeout = "1m"
  }
  task "command" "fails" { shell = host.name == "web2" ? "exit 3" : "true" }
}
`, "web1", "web2", "web3")
	stages := func() (list []engine.Stage) {
		for _, s := range r.Standings() {
			list = append(list, s.Stage)
		}
		return list
	}
	is := func(want ...engine.Stage) bool {
		got := stages()
		for i := range want {
			if len(got) != len(want) || got[i] != want[i] {
				return false
			}
		}
		return true
	}
	if !is(engine.StageTurn, engine.StageTurn, engine.StageTurn) {
		t.Errorf("before anything: %v", stages())
	}
	r.Plan(t.Context())
	if !is(engine.StagePlanned, engine.StagePlanned, engine.StagePlanned) {
		t.Errorf("after the plan: %v", stages())
	}
	began := time.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Apply(t.Context())
	}()
	await.True(t.Context(), func() bool {
		return is(engine.StageApply, engine.StageFailed, engine.StageDone) && r.Standings()[0].Name == "task.command.slow"
	})
	if s := r.Standings()[0]; s.Host != "web1" || s.Bound != time.Minute || s.Since.Before(began) || s.Since.After(time.Now()) {
		t.Errorf("%+v", s)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-ended
	if !is(engine.StageDone, engine.StageFailed, engine.StageDone) {
		t.Errorf("at the end: %v", stages())
	}
}
