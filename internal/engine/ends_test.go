package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/engine"
)

// watched is a journal that leaves a file in the fleet's folder when it hears how
// the run ended on a host.
type watched struct{ *notes }

func (w watched) HostEnd(host string, end engine.HostEnd, why string) {
	w.notes.HostEnd(host, end, why)
	_ = os.WriteFile(filepath.Join(w.f.dir, "end-"+host), nil, 0o600)
}

// A run that is cut off is gone on with where it isn't done: so the end of a host is
// kept as soon as nothing more is to be made there, and not before.
func TestJournalHasTheEndOfAHostWhenNothingMoreIsMadeThere(t *testing.T) {
	const rest = `
  task "file" "a" {
    path    = "DIR/${host.name}-a"
    content = "a"
  }
  task "command" "c" {
    shell = { web1 = "true", web3 = "true", web2 = "exit 3", web4 = "until [ -e DIR/end-web1 -a -e DIR/end-web2 -a -e DIR/end-web3 ]; do sleep 0.01; done" }[host.name]
  }
}
`
	for name, test := range map[string]struct {
		playbook string
		first    string // the host whose end is first
	}{
		"others go on":   {"play \"p\" {\n  hosts = [\"all\"]\n" + rest, "web3"},
		"batches follow": {"play \"p\" {\n  hosts = [\"all\"]\n  rolling {\n    batches      = [2]\n    max_failures = 3\n  }\n" + rest, "web3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.down["web3"] = true
			n := watched{&notes{f: f}}
			r := f.run(test.playbook, "web1", "web2", "web3", "web4")
			r.Keep(n)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r.Plan(ctx)
			r.Apply(ctx)
			if ctx.Err() != nil {
				t.Fatalf("the end of web1, web2 or web3 is kept only when web4 is done: %q", n.lines)
			}
			ends := n.ends()
			if ends[0] != test.first || ends[len(ends)-1] != "web4" {
				t.Errorf("the ends came in the order %v", ends)
			}
		})
	}
}

func (n *notes) ends() []string {
	var hosts []string
	for _, l := range n.lines {
		if host, rest, _ := strings.Cut(l, " "); strings.HasPrefix(rest, "is ") {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func TestJournalHasNoEndOfAHostOnWhichOthersMayStillAct(t *testing.T) {
	const served = `
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/${host.name}-a"
    content = "a"
  }
}
play "q" {
  hosts = ["web2"]
  task "command" "long" { shell = "for i in 1 2 3 4 5 6 7 8 9; do [ -e DIR/end-web3 ] || sleep 0.2; done" }
`
	for name, test := range map[string]struct {
		tasks string
		early []string // the hosts that are done before web2 is
	}{
		"a task": {`  task "file" "there" {
    on      = "web1"
    path    = "DIR/there"
    content = "x"
  }
}
`, []string{"web3"}},
		"a rescue": {`  block "b" {
    task "command" "fails" { shell = "false" }
    rescue {
      task "file" "there" {
        on      = "web1"
        path    = "DIR/there"
        content = "x"
      }
    }
  }
}
`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			n := watched{&notes{f: f}}
			r := f.run(served+test.tasks, "web1", "web2", "web3")
			r.Keep(n)
			r.Plan(t.Context())
			r.Apply(t.Context())
			made := slices.IndexFunc(n.lines, func(l string) bool {
				return strings.HasPrefix(l, "web2 changed") && strings.HasSuffix(l, "task.file.there")
			})
			if made < 0 {
				t.Fatalf("%q\n%s", n.lines, f.failures())
			}
			var early []string
			for _, host := range n.ends() {
				if slices.Index(n.lines, host+" is done: ") < made {
					early = append(early, host)
				}
			}
			want(t, "done before", early, test.early)
		})
	}
}

func TestJournalHasTheEndsOfARunThatHasNothingToMake(t *testing.T) {
	f := newFleet(t)
	f.down["web3"] = true
	n := &notes{f: f}
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = host.name == "web2" ? "DIR/there/in" : "DIR/there"
    content = ""
  }
}
`, "web1", "web2", "web3")
	if err := os.WriteFile(filepath.Join(f.dir, "there"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.Keep(n)
	r.Plan(t.Context())
	r.Conclude()
	for host, want := range map[string]string{"web1": "web1 is done: ", "web2": "web2 is failed: task.file.a: ", "web3": "web3 is unreachable: "} {
		if got := n.of(host); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
