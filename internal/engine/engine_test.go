package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/lang"
	"muster/internal/lang/plays"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/file"
	"muster/modules/program"
	"muster/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is hosts whose remotes run in this process: they share its files, so
// that playbooks name host.name in every path.
type fleet struct {
	t       *testing.T
	dir     string
	address string // of all hosts; "": each one's name
	kinds   *modules.Registry
	down    map[string]bool
	damaged map[string]bool
	stopped map[string]bool // nothing more is heard of the host's remote
	alive   time.Duration   // how often remotes say that they live
	// silence is how long the remote of a host's connection, counted from 1, believes
	// in a controller of which it hears nothing; nil: as long as ever.
	silence  func(host string, connection int) time.Duration
	logins   map[string]int
	facts    func(host string) []byte
	factKeys map[string][]host.Key
	trips    map[string]*trips
	// severed, if not nil, is asked for each part that comes from a host's remote, the
	// how many-th of the run it is from 1: whether the connection is lost before it.
	severed func(host string, part int) bool
	parts   map[string]int
	remote  func(o *remote.Options) // changes what remotes are started with; may be nil

	far bool // what is sent to hosts takes its time, and is lost where the connection is closed meanwhile

	mu     sync.Mutex
	events []engine.Event
}

func newFleet(t *testing.T) *fleet {
	return &fleet{t: t, dir: t.TempDir(), kinds: modules.NewRegistry(slices.Concat(file.Kinds(), program.Kinds())...), down: map[string]bool{}, damaged: map[string]bool{}, trips: map[string]*trips{}, parts: map[string]int{}, logins: map[string]int{},
		facts: func(string) []byte { return []byte(`{"os":"debian"}`) }}
}

// run returns a run of a playbook, in which DIR is the fleet's folder.
func (f *fleet) run(playbook string, hosts ...string) *engine.Run {
	f.t.Helper()
	return f.runWith(func(*engine.Options) {}, playbook, hosts...)
}

// runWith is run with other options.
func (f *fleet) runWith(change func(*engine.Options), playbook string, hosts ...string) *engine.Run {
	f.t.Helper()
	path := filepath.Join(f.dir, "playbook.hcl")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(playbook, "DIR", f.dir)), 0o600); err != nil {
		f.t.Fatal(err)
	}
	fl := &plays.Fleet{Groups: map[string][]string{"all": hosts}}
	for _, h := range hosts {
		address := h
		if f.address != "" {
			address = f.address
		}
		fl.Hosts = append(fl.Hosts, plays.Host{Name: h, Address: address})
	}
	facts := cty.Object(map[string]cty.Type{"os": cty.String})
	pb, diags := lang.Load(path, plays.Options{Kinds: f.kinds, Fleet: fl, Root: f.dir, Facts: facts, RequireValues: true})
	if diags.HasErrors() {
		f.t.Fatal(diags)
	}
	o := engine.Options{Playbook: pb, Connect: f.connect, FactsType: facts, FactKeys: f.factKeys, Kinds: f.kinds, Events: func(e engine.Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}}
	o.Pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	change(&o)
	r := engine.New(o)
	f.t.Cleanup(r.Close)
	return r
}

// connect starts a remote in this process.
func (f *fleet) connect(_ context.Context, host string, how engine.Start) (engine.Stream, error) {
	if f.down[host] {
		return nil, &transport.UnreachableError{Host: host, Stage: transport.StageConnect, Err: errors.New("no route")}
	}
	sum := "right"
	f.mu.Lock()
	if f.damaged[host] && !how.Fresh {
		sum = "wrong"
	}
	f.mu.Unlock()
	f.mu.Lock()
	f.logins[host]++
	silence := time.Duration(0)
	if f.silence != nil {
		silence = f.silence(host, f.logins[host])
	}
	f.mu.Unlock()
	toRemote, near := io.Pipe()
	var in io.WriteCloser = near
	if f.far {
		in = newFar(near)
	}
	out, fromRemote := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		facts := func(context.Context) []byte { return f.facts(host) }
		o := remote.Options{Kinds: f.kinds, Facts: facts, FactKeys: f.factKeys, AliveEvery: f.alive, Silence: silence, Sum: sum, Lock: filepath.Join(f.dir, host+".lock"), Records: filepath.Join(f.dir, "records-"+host), Plain: true}
		if f.remote != nil {
			f.remote(&o)
		}
		_ = remote.Serve(context.Background(), toRemote, fromRemote, o)
		_ = fromRemote.Close()
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &trips{}
	f.trips[host] = t
	return &pipe{in: in, out: out, ended: ended, trips: t, stopped: func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.stopped[host]
	}, severed: func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.severed == nil {
			return false
		}
		f.parts[host]++
		return f.severed(host, f.parts[host])
	}, closed: make(chan struct{})}, nil
}

// states lists where tasks stand, as the events tell: "web1 task.file.a changed".
func (f *fleet) states() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok {
			s := fmt.Sprintf("%s %s %s", e.Host, strings.TrimPrefix(e.Name, "task."), e.Status)
			if e.Status == wire.Pending {
				s += " " + string(e.Certainty)
			}
			if e.Tolerated {
				s += " tolerated"
			}
			list = append(list, s)
		}
	}
	return list
}

// when calls do when a task has written to DIR/name, a pipe that it waits at.
func (f *fleet) when(name string, do func()) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			do()
		}
	}()
	f.t.Cleanup(func() { // whoever still waits
		if fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
			_ = unix.Close(fd)
		}
		<-ended
	})
}

func (f *fleet) forget() { f.events = nil }

func (f *fleet) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(f.dir, name))
	return err == nil
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const hundred = `
play "many" {
  hosts = ["all"]
  task "file" "f" {
    for_each = toset([for n in range(100) : tostring(n)])
    path     = "DIR/${host.name}-${each.key}"
    content  = "${host.facts.os} ${each.key}"
  }
}
play "again" {
  hosts = ["all"]
  task "file" "g" {
    path    = "DIR/${host.name}-g"
    content = "g"
    when    = !task.file.h.changed
  }
  task "file" "h" {
    path    = "DIR/${host.name}-h"
    content = "h"
  }
}
`

func TestUnchangedRunTakesFewRoundTrips(t *testing.T) {
	f := newFleet(t)
	playbook := strings.Replace(hundred, "    when    = !task.file.h.changed\n", "", 1)
	r := f.run(playbook, "web1", "web2")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Fatalf("the first run is %s: %v", s.Outcome, f.states())
	}
	r.Close()
	r = f.run(playbook, "web1", "web2")
	s := r.Plan(t.Context())
	if s.Outcome != engine.OutcomeUnchanged || s.Hosts["web1"].Unchanged != 102 {
		t.Fatalf("the second run is %s: %+v", s.Outcome, s.Hosts["web1"])
	}
	for host, trips := range f.trips {
		// The remote's first message, then all tasks at once. Opening the
		// channel and the command are counted where there is a real one.
		if trips.n > 2 {
			t.Errorf("%s took %d round trips, want at most 2", host, trips.n)
		}
	}
}

func TestFailureStopsItsHostAlone(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "c" { shell = host.name == "web1" ? "echo no luck >&2; exit 3" : "true" }
  task "file" "behind" {
    path    = "DIR/${host.name}"
    content = ""
  }
}
play "q" {
  hosts = ["all"]
  task "file" "next" {
    path    = "DIR/${host.name}-next"
    content = ""
  }
}
`, "web1", "web2")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeFailed || s.Hosts["web1"].Failed != 1 || s.Hosts["web1"].NotReached != 2 || s.Hosts["web2"].Changed != 3 {
		t.Errorf("outcome %s, web1 %+v, web2 %+v", s.Outcome, s.Hosts["web1"], s.Hosts["web2"])
	}
	if f.exists("web1") || f.exists("web1-next") || !f.exists("web2") || !f.exists("web2-next") {
		t.Error("the failed host went on, or the other didn't")
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Status == wire.Failed && !strings.Contains(e.Error, "no luck") {
			t.Errorf("the failure doesn't show the program's last words: %q", e.Error)
		}
	}
}

func TestUnreachableHostLeavesTheOthers(t *testing.T) {
	f := newFleet(t)
	f.down["web1"] = true
	r := f.run(hundred[:strings.Index(hundred, `play "again"`)], "web1", "web2")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if !s.Hosts["web1"].Unreachable || s.Hosts["web2"].Changed != 100 || s.Outcome != engine.OutcomeUnreachable {
		t.Errorf("outcome %s, web1 %+v, web2 %+v", s.Outcome, s.Hosts["web1"], s.Hosts["web2"])
	}
}

func TestOutputIsReadWhenItIsKnown(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "ask" { argv = ["echo", "-n", "answer"] }
  task "file" "answer" {
    path    = "DIR/${host.name}"
    content = task.command.ask.output.stdout
  }
  task "file" "other" {
    path    = "DIR/${host.name}-other"
    content = "x"
    when    = task.file.answer.changed
  }
}
`, "web1")
	r.Plan(t.Context())
	want(t, "planned", f.states(), []string{"web1 command.ask pending known", "web1 file.answer pending deferred", "web1 file.other pending tentative"})
	f.forget()
	r.Apply(t.Context())
	want(t, "made", f.states(), []string{"web1 command.ask changed", "web1 file.answer changed", "web1 file.other changed"})
	if b, _ := os.ReadFile(filepath.Join(f.dir, "web1")); string(b) != "answer" {
		t.Errorf("the file holds %q", b)
	}
}

func TestRescueMakesGoodForAFailure(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  block "b" {
    task "command" "fails" { shell = "exit 1" }
    task "file" "never" {
      path    = "DIR/never"
      content = ""
    }
    rescue {
      task "file" "rescued" {
        path    = "DIR/rescued"
        content = "x"
      }
    }
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
	f.forget()
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeChanged {
		t.Errorf("outcome %s: %v", s.Outcome, f.states())
	}
	if f.exists("never") || !f.exists("rescued") || !f.exists("always") || !f.exists("behind") {
		t.Errorf("rescue, always or what follows didn't run: %v", f.states())
	}
}

func TestOnceRunsOnTheFirstHostAndIsShared(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "who" {
    argv = ["echo", "-n", host.name]
    once = true
  }
  task "file" "f" {
    path    = "DIR/${host.name}"
    content = task.command.who.output.stdout
  }
}
`, "web1", "web2")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if b, _ := os.ReadFile(filepath.Join(f.dir, "web2")); string(b) != "web1" || s.Outcome != engine.OutcomeChanged {
		t.Errorf("web2 read %q; %s, %v", b, s.Outcome, f.states())
	}
}

func TestTaskOnAnotherHostCountsForThePlaysHost(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["web1", "web2"]
  task "file" "f" {
    on      = ["lb"]
    path    = "DIR/${on_host.name}-${host.name}"
    content = "x"
  }
}
`, "web1", "web2", "lb")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if !f.exists("lb-web1") || !f.exists("lb-web2") || s.Hosts["web1"].Changed != 1 || s.Hosts["web2"].Changed != 1 {
		t.Errorf("%s: %+v %v", s.Outcome, s.Hosts, f.states())
	}
}

func TestDamagedRemoteIsSentAnew(t *testing.T) {
	f := newFleet(t)
	f.damaged["web1"] = true
	r := f.run(hundred[:strings.Index(hundred, `play "again"`)], "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending || f.logins["web1"] != 2 {
		t.Errorf("%s after %d logins, not 2: %v", s.Outcome, f.logins["web1"], f.events)
	}
}

func TestFactsOfAHostWithoutAPlayAreAskedFor(t *testing.T) {
	f := newFleet(t)
	r := f.run(`
play "p" {
  hosts = ["web1"]
  task "file" "f" {
    path    = "DIR/f"
    content = hosts["db1"].facts.os
  }
}
`, "web1", "db1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("%s: %v", s.Outcome, f.states())
	}
	if b, _ := os.ReadFile(filepath.Join(f.dir, "f")); string(b) != "debian" {
		t.Errorf("the file holds %q", b)
	}
}
