package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/engine"
	"muster/internal/wire"
	"muster/secret"
	"muster/tests/await"
)

// granted is a journal that tells how many tasks are granted at a time.
type granted struct {
	notes
	tasks chan int
}

func (g *granted) Grant(ctx context.Context, host string, tasks []engine.Granted) error {
	g.tasks <- len(tasks)
	return g.notes.Grant(ctx, host, tasks)
}

// twoWindows is a play of more tasks than a host is granted at once. One of them waits
// until DIR/go is there.
func twoWindows(waits int) string {
	var b strings.Builder
	b.WriteString("play \"p\" {\n  hosts = [\"all\"]\n")
	for i := range 40 {
		shell := fmt.Sprintf("touch DIR/%d", i)
		if i == waits {
			shell = "touch DIR/begun; until test -e DIR/go; do sleep 0.02; done; touch DIR/ended"
		}
		fmt.Fprintf(&b, "  task \"command\" \"c%d\" { shell = %q }\n", i, shell)
	}
	return b.String() + "}\n"
}

// A host has its next tasks before it has made the last: it waits neither for the
// controller nor for its journal.
func TestHostHasItsNextTasksBeforeItNeedsThem(t *testing.T) {
	f := newFleet(t)
	g := &granted{notes{f: f}, make(chan int, 100)}
	r := f.run(twoWindows(10), "web1")
	r.Keep(g)
	r.Plan(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Apply(t.Context())
	}()
	all := 0
	for all <= 16 {
		select {
		case n := <-g.tasks:
			all += n
		case <-time.After(20 * time.Second):
			t.Errorf("while it makes the eleventh of %d tasks it is granted no others", all)
			all = 100
		}
	}
	letGo(t, f)
	<-ended
}

func letGo(t *testing.T, f *fleet) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a host was granted already it doesn't begin once the run is stopped.
func TestStopIsToldToTheHosts(t *testing.T) {
	f := newFleet(t)
	r := f.run(twoWindows(0), "web1")
	r.Plan(t.Context())
	ended := make(chan *engine.Summary)
	go func() { ended <- r.Apply(t.Context()) }()
	await.Until(t, "the first task is begun", func() bool { return f.exists("begun") })
	r.Stop()
	letGo(t, f)
	s := <-ended
	if !f.exists("ended") {
		t.Error("the task in hand wasn't finished")
	}
	if s.Outcome != engine.OutcomeInterrupted || f.exists("15") {
		t.Errorf("%s; the last of the tasks that it was granted was made: %t", s.Outcome, f.exists("15"))
	}
}

// The journal has each task before it is made, whoever judges it and wherever it acts.
func TestJournalHasTasksThatTheControllerJudges(t *testing.T) {
	f := newFleet(t)
	n := &notes{f: f}
	r := f.run(`
play "p" {
  hosts = ["web1"]
  task "file" "elsewhere" {
    on      = ["web2"]
    path    = "DIR/elsewhere"
    content = "x"
  }
  task "command" "until" {
    shell = "echo x >> DIR/tries; wc -l < DIR/tries"
    retry {
      attempts = 3
      delay    = "1ms"
      until    = trimspace(self.output.stdout) == "2"
    }
  }
  task "command" "changes" {
    shell        = "true"
    changed_when = false
  }
  task "command" "fails" {
    shell       = "true"
    failed_when = self.output.exit_code != 0
  }
}
`, "web1", "web2")
	r.Keep(n)
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("%s: %v\n%s", s.Outcome, f.states(), f.failures())
	}
	if len(n.early) > 0 {
		t.Errorf("made before it was granted: %q", n.early)
	}
	var got []string
	for _, l := range n.of("web1") {
		if w := strings.Fields(l); w[1] == "grant" || strings.HasPrefix(w[2], "0/") && w[1] != "undo" {
			got = append(got, w[1]+" "+strings.TrimPrefix(w[2], "0/"))
		}
	}
	want(t, "the journal", got, []string{
		"grant task.file.elsewhere", "changed task.file.elsewhere",
		"grant task.command.until", "changed task.command.until", // of which the last end counts
		"grant task.command.changes", "unchanged task.command.changes",
		"grant task.command.fails", "changed task.command.fails",
	})
}

// said is a journal that keeps all that it is told as text.
type said struct{ notes }

func (s *said) Grant(ctx context.Context, host string, tasks []engine.Granted) error {
	s.note("%s grant %+v", host, tasks)
	return nil
}
func (s *said) Done(host, task string, d *wire.Done) {
	s.note("%s done %s %+v %s", host, task, d.Changes, d.Error) // it keeps no output
}

// What the controller knows to be secret isn't in its journal, whatever a host says.
func TestJournalHasNoSecret(t *testing.T) {
	const value = "hunter2hunter2"
	f := newFleet(t)
	f.down["web2"] = true
	s := &said{notes{f: f}}
	r := f.runWith(func(o *engine.Options) {
		o.Redact = &secret.Redactor{}
		o.Redact.Add(value)
		connect := o.Connect
		o.Connect = func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
			if host == "web2" {
				return nil, errors.New("refused for " + value)
			}
			return connect(ctx, host, how)
		}
	}, `
play "p" {
  hosts = ["all"]
  task "file" "f" {
    path    = "DIR/`+value+`"
    content = "a line of `+value+`\n"
  }
  task "command" "c" { shell = "echo '`+value+`' >&2; exit 3" }
}
`, "web1", "web2")
	r.Keep(s)
	r.Plan(t.Context())
	r.Apply(t.Context())
	for _, part := range []string{"grant", "done 0/task.file.f", "done 0/task.command.c", "web1 is failed", "web2 is "} {
		i := slices.IndexFunc(s.lines, func(l string) bool { return strings.Contains(l, part) })
		if i < 0 {
			t.Errorf("the journal has no %q: %q", part, s.lines)
		}
	}
	for _, l := range s.lines {
		if strings.Contains(l, value) {
			t.Errorf("the journal has the secret: %s", l)
		}
	}
}
