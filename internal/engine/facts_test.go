package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
	"muster/modules/file"
	"muster/modules/program"
)

// factsFleet has a kind of task that alters the fact "os": it is what the file
// HOST-os holds.
func factsFleet(t *testing.T) *fleet {
	f := newFleet(t)
	f.kinds = modules.NewRegistry(slices.Concat(file.Kinds(), program.Kinds(), []modules.Kind{{
		Name: "system", New: func() modules.Module { return &file.File{} },
	}})...)
	f.factKeys = map[string][]host.Key{"os": {host.File(filepath.Join(f.dir, "web1-os"))}}
	f.facts = func(host string) []byte {
		data, err := os.ReadFile(filepath.Join(f.dir, host+"-os"))
		if err != nil {
			data = []byte("bare")
		}
		return []byte(`{"os":"` + string(data) + `"}`)
	}
	return f
}

func read(t *testing.T, f *fleet, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

const factsPlays = `
play "first" {
  hosts = ["web1"]
  task "system" "os" {
    path    = "DIR/web1-os"
    content = "installed"
  }
  task "file" "same" {
    path    = "DIR/same"
    content = host.facts.os
  }
}
play "second" {
  hosts = ["all"]
  task "file" "later" {
    path    = "DIR/later-${host.name}"
    content = hosts["web1"].facts.os
  }
  task "file" "each" {
    for_each = toset([host.facts.os])
    path     = "DIR/each-${host.name}-${each.key}"
    content  = "x"
  }
}
`

func TestFactsAreThoseAtThePlaysStart(t *testing.T) {
	f := factsFleet(t)
	r := f.run(factsPlays, "web1", "web2")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("%+v", s)
	}
	for name, want := range map[string]string{"same": "bare", "later-web1": "installed", "later-web2": "installed", "each-web1-bare": "x"} {
		if got := read(t, f, name); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

func TestFactsThatAnEarlierPlayAltersAreKnownAfterApply(t *testing.T) {
	f := factsFleet(t)
	f.run(factsPlays, "web1").Plan(t.Context())
	want(t, "the plan", f.states(), []string{
		"web1 system.os pending known", "web1 file.same pending known",
		"web1 file.later pending deferred", "web1 file.each pending known",
	})
}

func TestFactsThatNothingAltersCostNothing(t *testing.T) {
	f := factsFleet(t)
	for _, name := range []string{"first", "second"} { // the file "same" settles with the second
		r := f.run(factsPlays, "web1")
		r.Plan(t.Context())
		if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
			t.Fatalf("the %s run: %+v", name, s)
		}
		r.Close()
	}
	f.forget()
	r := f.run(factsPlays, "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged {
		t.Fatalf("%+v", s)
	}
	if n := f.trips["web1"].n; n > 4 {
		t.Errorf("%d round trips", n)
	}
}

// A host's facts are moved by whoever acts on it, and a play reads them as all that
// the plays before it have made leaves them: those of the host's own that end early,
// and those of plays that the host has no part in.
func TestFactsThatOthersTasksAlterAreGatheredAgain(t *testing.T) {
	others := `
play "first" {
  hosts = [HOSTS]
  task "command" "slow" {
    shell   = host.name == "web1" ? "touch DIR/slow-web1" : "SLOW touch DIR/slow-web2"
    creates = "DIR/slow-${host.name}"
  }
  task "file" "made" {
    path    = "DIR/made-${host.name}"
    content = "x"
  }
  task "system" "os" {
    on      = [host.name == "web2" ? "web1" : host.name]
    path    = host.name == "web2" ? "DIR/web1-os" : "DIR/web1-other"
    content = "installed"
  }
}
play "second" {
  hosts = ["web1", "web3"]
  task "file" "later" {
    path    = "DIR/later-${host.name}"
    content = hosts["web1"].facts.os
  }
}
`
	for name, hosts := range map[string]string{
		"the host has no part in the play": `"web2"`,
		"the host is done with the play":   `"web1", "web2"`,
	} {
		t.Run(name, func(t *testing.T) {
			f := factsFleet(t)
			slow := ""
			if strings.Contains(hosts, "web1") {
				slow = "while ! test -e DIR/made-web1; do sleep 0.01; done;"
			}
			r := f.run(strings.NewReplacer("HOSTS", hosts, "SLOW", slow).Replace(others), "web1", "web2", "web3")
			r.Plan(t.Context())
			if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
				t.Fatalf("%+v", s)
			}
			for _, name := range []string{"later-web1", "later-web3"} {
				if got := read(t, f, name); got != "installed" {
					t.Errorf("%s has %q, want %q", name, got, "installed")
				}
			}
		})
	}
}
