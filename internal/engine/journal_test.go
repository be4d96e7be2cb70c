package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

// notes is a journal that fails after some grants.
type notes struct {
	f     *fleet
	after int // how many grants it keeps; 0: all

	mu     sync.Mutex
	lines  []string
	grants int
	early  []string // what had been made before it was granted
	err    error
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) Grant(_ context.Context, host string, tasks []engine.Granted) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.grants++; n.after > 0 && n.grants > n.after {
		n.err = errors.New("no space left on device")
	}
	if n.err != nil {
		return n.err
	}
	for _, t := range tasks {
		n.lines = append(n.lines, fmt.Sprintf("%s grant %s %d", host, t.Name, len(t.Changes)))
		for _, c := range t.Changes {
			if n.f.exists(strings.TrimPrefix(c.Target, n.f.dir+"/")) {
				n.early = append(n.early, c.Target)
			}
		}
	}
	return nil
}

func (n *notes) Before(host, task string, u *wire.Undo) {
	n.note("%s undo %s %d %s", host, task, len(u.Steps), u.Missing)
}
func (n *notes) Tolerated(host, task string)          { n.note("%s tolerates %s", host, task) }
func (n *notes) Done(host, task string, d *wire.Done) { n.note("%s %s %s", host, d.Status, task) }
func (n *notes) HostEnd(host string, end engine.HostEnd, why string) {
	n.note("%s is %s: %s", host, end, why)
}
func (n *notes) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// of returns the lines about a host.
func (n *notes) of(host string) []string {
	var list []string
	for _, l := range n.lines {
		if strings.HasPrefix(l, host+" ") {
			list = append(list, l)
		}
	}
	return list
}

func TestJournalHasATaskBeforeItIsMadeAndAfter(t *testing.T) {
	f := newFleet(t)
	n := &notes{f: f}
	f.down["web3"] = true
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/${host.name}-a"
    content = "a"
  }
  task "command" "c" { shell = host.name == "web1" ? "echo no luck >&2; exit 3" : "true" }
  task "file" "b" {
    path    = "DIR/${host.name}-b"
    content = "b"
  }
}
`, "web1", "web2", "web3")
	r.Keep(n)
	r.Plan(t.Context())
	r.Apply(t.Context())
	if len(n.early) > 0 {
		t.Errorf("made before it was granted: %q", n.early)
	}
	want(t, "web2", n.of("web2"), []string{
		"web2 grant task.file.a 1", "web2 grant task.command.c 1", "web2 grant task.file.b 1",
		"web2 undo 0/task.file.a 1 ", "web2 changed 0/task.file.a",
		"web2 changed 0/task.command.c",
		"web2 undo 0/task.file.b 1 ", "web2 changed 0/task.file.b", "web2 is done: ",
	})
	got := n.of("web1")
	if i := slices.IndexFunc(got, func(l string) bool { return strings.HasPrefix(l, "web1 failed ") }); i < 0 {
		t.Errorf("web1's failure isn't in the journal: %q", got)
	}
	if last := got[len(got)-1]; !strings.HasPrefix(last, "web1 is failed: task.command.c: ") || !strings.Contains(last, "no luck") {
		t.Errorf("web1's last line is %q", last)
	}
	if got := n.of("web3"); len(got) != 1 || !strings.HasPrefix(got[0], "web3 is unreachable: ") {
		t.Errorf("web3: %q", got)
	}
}

var many = strings.Replace(hundred, "    when    = !task.file.h.changed\n", "", 1)

func TestRunStopsBeforeTheNextChangeWhereTheJournalIsFull(t *testing.T) {
	f := newFleet(t)
	n := &notes{f: f, after: 2}
	r := f.run(many, "web1")
	r.Keep(n)
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeFailed {
		t.Errorf("outcome %s", s.Outcome)
	}
	if err := r.Broken(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("the run isn't broken: %v", err)
	}
	made := 0
	for i := range 100 {
		if f.exists(fmt.Sprintf("web1-%d", i)) {
			made++
		}
	}
	if made > 32 || s.Outcome == engine.OutcomeInterrupted {
		t.Errorf("%d files were made with two grants of 16 in the journal; outcome %s", made, s.Outcome)
	}
}

func TestStoppedHostIsNotDone(t *testing.T) {
	f := newFleet(t)
	n := &notes{f: f}
	var r *engine.Run
	r = f.runWith(func(o *engine.Options) {
		o.Events = func(e engine.Event) {
			if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Changed {
				r.Stop()
			}
		}
	}, many, "web1")
	r.Keep(n)
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeInterrupted {
		t.Errorf("outcome %s", s.Outcome)
	}
	if got := n.of("web1"); got[len(got)-1] != "web1 is stopped: the run ended before the host did" {
		t.Errorf("the last line is %q", got[len(got)-1])
	}
}

func TestHostThatIsOnlyActedOnIsNoneOfTheRuns(t *testing.T) {
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) { o.Limit = map[string]bool{"web1": true} }, `
play "p" {
  hosts = ["web1"]
  task "file" "f" {
    on      = ["web2"]
    path    = "DIR/${host.name}-on-${on_host.name}"
    content = "x"
  }
}
`, "web1", "web2")
	n := &notes{f: f}
	r.Keep(n)
	r.Plan(t.Context())
	if got := r.Hosts(); !slices.Equal(got, []string{"web1"}) {
		t.Errorf("the run is about %q", got)
	}
	r.Apply(t.Context())
	if got := n.of("web1"); got[len(got)-1] != "web1 is done: " || len(n.of("web2")) > 0 {
		t.Errorf("the journal has %q", n.lines)
	}
}
