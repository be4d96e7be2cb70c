package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/file"
	"muster/modules/program"
	"muster/transport"
)

// reboots is a kind that reboots the host whose name its folder has.
type reboots struct {
	Dir   string `arg:"dir,key,required"`
	order func(host string)
}

func (r *reboots) Plan(context.Context, *host.View) (modules.Plan, error) {
	return modules.Plan{Always: true, Changes: []host.Change{&order{Host: filepath.Base(r.Dir), order: r.order}}}, nil
}

type order struct {
	Host  string
	order func(host string)
}

func (*order) Type() string { return "test.order/1" }
func (*order) Describe() host.Description {
	return host.Description{Action: host.Run, Target: "reboot", Impact: "shown"}
}
func (*order) Effects() []host.Effect { return []host.Effect{host.Open(host.All, host.All)} }
func (o *order) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	if err := h.Reboots(); err != nil {
		return host.Result{}, err
	}
	o.order(o.Host)
	return host.Result{}, host.ErrRebooting
}

// boots is a fleet whose hosts can reboot.
type boots struct {
	*fleet
	mu     sync.Mutex
	id     map[string]int
	orders []string // hosts, in the order in which they were told to reboot
	// greets returns whether a host that was told to reboot answers a connection, the how
	// many-th since from 1, and in a new boot.
	greets  func(host string, connection int) (answers, anew bool)
	ordered func()         // is called when a host was told to reboot; may be nil
	tried   map[string]int // connections since the order; a host that is back isn't in it
	via     map[string]string
}

func newBoots(t *testing.T) *boots {
	b := &boots{fleet: newFleet(t), id: map[string]int{}, tried: map[string]int{}, via: map[string]string{}}
	b.alive = 5 * time.Millisecond
	b.kinds = modules.NewRegistry(append(append(file.Kinds(), program.Kinds()...), modules.Kind{Name: "reboots", Reboots: true, New: func() modules.Module {
		return &reboots{order: func(host string) {
			b.mu.Lock()
			b.orders, b.tried[host] = append(b.orders, host), 0
			b.mu.Unlock()
			if b.ordered != nil {
				b.ordered()
			}
		}}
	}})...)
	b.facts = func(host string) []byte { return fmt.Appendf(nil, `{"os":"debian","boot_id":%q}`, b.boot(host)) }
	b.remote = func(o *remote.Options) {
		host := strings.TrimSuffix(filepath.Base(o.Lock), ".lock")
		o.Boot = func() (string, error) { return b.boot(host), nil }
	}
	b.severed = func(host string, _ int) bool { return b.away(b.via[host]) }
	b.greets = func(string, int) (bool, bool) { return true, true }
	return b
}

func (b *boots) boot(host string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return host + "-" + strconv.Itoa(b.id[host])
}

// away reports whether a host was told to reboot, and isn't back.
func (b *boots) away(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, away := b.tried[host]
	return away
}

func (b *boots) connect(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
	if via := b.via[host]; via != "" && b.away(via) {
		return nil, &transport.UnreachableError{Host: host, Stage: transport.StageConnect, Err: errors.New("no way")}
	}
	b.mu.Lock()
	if n, away := b.tried[host]; away {
		b.tried[host] = n + 1
		answers, anew := b.greets(host, n+1)
		if anew {
			b.id[host]++
			delete(b.tried, host)
		}
		if !answers {
			b.mu.Unlock()
			return nil, &transport.UnreachableError{Host: host, Stage: transport.StageConnect, Err: errors.New("no route")}
		}
	}
	b.mu.Unlock()
	return b.fleet.connect(ctx, host, how)
}

func (b *boots) start(playbook string, change func(*engine.Options), hosts ...string) *engine.Run {
	return b.runWith(func(o *engine.Options) {
		o.Connect, o.BootPause = b.connect, time.Millisecond
		o.Behind = func(host string) (list []string) {
			for of, via := range b.via {
				if via == host {
					list = append(list, of)
				}
			}
			return list
		}
		change(o)
	}, playbook, hosts...)
}

const oneReboots = `
play "p" {
  hosts = ["web1"]
  task "file" "first" {
    path    = "DIR/first"
    content = "x"
  }
  task "file" "same" {
    path    = "DIR/playbook.hcl"
    mode    = "0600"
  }
  task "reboots" "it" {
    dir     = "DIR/web1"
    timeout = "TIME"
  }
  task "command" "handler" {
    when  = task.file.first.changed
    shell = "echo >> DIR/handler"
  }
  task "command" "unless" {
    when  = task.file.same.changed
    shell = "echo >> DIR/unless"
  }
  task "command" "counts" {
    when  = task.reboots.it.changed
    shell = "echo >> DIR/counts"
  }
}
`

// reboot is the playbook with a timeout, and what else the task is to have.
func reboot(timeout string, more ...string) string {
	return strings.ReplaceAll(oneReboots, `"TIME"`, strconv.Quote(timeout)+"\n    "+strings.Join(more, "\n    "))
}

// A host that reboots is waited for until it greets with another boot id, and the run
// goes on there: nothing is made twice, and what has changed before still counts.
func TestRunGoesOnBehindAReboot(t *testing.T) {
	for _, more := range []string{"", `on_error = "continue"`} {
		b := newBoots(t)
		b.greets = func(_ string, n int) (bool, bool) { return n > 5, n > 8 } // it is away, then still going down
		r := b.start(reboot("1m", more), func(*engine.Options) {}, "web1")
		r.Plan(t.Context())
		b.forget()
		s := r.Apply(t.Context())
		want(t, "it made", b.states(), []string{"web1 file.first changed", "web1 file.same unchanged", "web1 reboots.it changed", "web1 command.handler changed", "web1 command.unless skipped", "web1 command.counts changed"})
		if s.Outcome != engine.OutcomeChanged || len(b.orders) != 1 {
			t.Errorf("it came to %s, ordered %v: %s", s.Outcome, b.orders, b.failures())
		}
		for _, e := range b.events {
			if e, ok := e.(*engine.TaskEvent); ok && e.Name == "task.reboots.it" && (len(e.Changes) != 1 || e.Changes[0].Impact != "shown") {
				t.Errorf("of the reboot it shows %+v", e.Changes)
			}
		}
		r.Close()
		if kept, _ := filepath.Glob(filepath.Join(b.dir, "records-*", "*")); len(kept) > 0 {
			t.Errorf("the host keeps %v", kept)
		}
	}
}

// A connection that is lost at any moment of a run with a reboot leaves nothing undone, and
// has the host reboot once.
func TestHostThatRebootsIsTakenUpAgain(t *testing.T) {
	for part := 2; ; part++ {
		b := newBoots(t)
		lost := false
		b.severed = func(_ string, n int) bool {
			lost = lost || n == part
			return n == part
		}
		r := b.start(reboot("2s"), func(*engine.Options) {}, "web1")
		r.Plan(t.Context())
		s := r.Apply(t.Context())
		r.Close()
		if s.Outcome != engine.OutcomeChanged || len(b.orders) != 1 {
			t.Errorf("lost before part %d it came to %s, ordered %v: %s", part, s.Outcome, b.orders, b.failures())
		}
		for name, want := range map[string]int{"handler": 1, "unless": 0, "counts": 1} {
			data, _ := os.ReadFile(filepath.Join(b.dir, name))
			if n := strings.Count(string(data), "\n"); n != want {
				t.Errorf("lost before part %d: %s was made %d times, not %d", part, name, n, want)
			}
		}
		if !lost {
			break
		}
	}
}

// A host that is back in the same boot hasn't rebooted: its task has failed, and the host
// is there for a rescue.
func TestHostThatDoesNotRebootFails(t *testing.T) {
	b := newBoots(t)
	b.greets = func(_ string, n int) (bool, bool) { return true, false }
	r := b.start(`
play "p" {
  hosts = ["web1"]
  block "b" {
    task "reboots" "it" {
      dir     = "DIR/web1"
      timeout = "300ms"
    }
    task "command" "behind" { shell = "echo >> DIR/behind" }
    rescue {
      task "command" "rescue" { shell = "echo >> DIR/rescue" }
      task "command" "unless" {
        when  = task.reboots.it.changed
        shell = "echo >> DIR/unless"
      }
    }
  }
}
`, func(*engine.Options) {}, "web1")
	r.Plan(t.Context())
	b.forget()
	r.Apply(t.Context())
	if text := b.failures(); !strings.Contains(text, "was told to reboot and hasn't: it still has the boot id web1-0") {
		t.Errorf("it says %q", text)
	}
	if b.exists("behind") || b.exists("unless") || !b.exists("rescue") || len(b.orders) != 1 {
		t.Errorf("made behind it: %t; rescued: %t; ordered %v", b.exists("behind"), b.exists("rescue"), b.orders)
	}
}

// A host that doesn't come back is waited for as long as its task's timeout says. The task
// has failed, and the host is lost.
func TestHostThatIsNotBackFails(t *testing.T) {
	b := newBoots(t)
	b.greets = func(string, int) (bool, bool) { return false, false }
	r := b.start(reboot("300ms"), func(*engine.Options) {}, "web1")
	r.Plan(t.Context())
	b.forget()
	s := r.Apply(t.Context())
	if c := s.Hosts["web1"]; c.Unknown != 0 || c.Changed != 1 {
		t.Errorf("%+v", c)
	}
	if text := b.failures(); !strings.Contains(text, "wasn't back within 300ms, with another boot id than web1-0") || !strings.Contains(text, "no route") {
		t.Errorf("it says %q", text)
	}
	if b.exists("handler") || b.tried["web1"] < 3 {
		t.Errorf("tried %d times", b.tried["web1"])
	}
}

const allReboot = `
play "p" {
  hosts = ["bastion", "web1", "web2"]
  task "command" "slow" {
    when  = host.name == "web2"
    shell = "until test -e DIR/web1.rebooted; do sleep 0.01; done"
  }
  task "reboots" "it" { dir = "DIR/${host.name}" }
  task "command" "behind" { shell = "echo >> DIR/${host.name}.rebooted" }
  task "file" "known" {
    path    = "DIR/${host.name}.known"
    content = "${task.command.behind.output.exit_code}"
  }
}
`

// Hosts that others are reached through reboot after these, which wait for them then,
// however long that takes.
func TestBastionRebootsLast(t *testing.T) {
	b := newBoots(t)
	b.via["web1"], b.via["web2"] = "bastion", "bastion"
	var before []string // the files that are there when the bastion is told to reboot
	b.greets = func(host string, n int) (bool, bool) {
		files, _ := filepath.Glob(filepath.Join(b.dir, "web*.*[dn]"))
		if host == "bastion" && n == 1 {
			before = files
		} else if host == "bastion" && len(files) != len(before) {
			t.Errorf("while it is away there is %v, and was %v", files, before)
		}
		return n > 20, n > 20
	}
	r := b.start(allReboot, func(*engine.Options) {}, "bastion", "web1", "web2")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeChanged {
		t.Errorf("it came to %s: %s", s.Outcome, b.failures())
	}
	want(t, "they rebooted", b.orders, []string{"web1", "web2", "bastion"})
	for _, host := range []string{"bastion", "web1", "web2"} {
		data, _ := os.ReadFile(filepath.Join(b.dir, host+".rebooted"))
		if n := strings.Count(string(data), "\n"); n != 1 || !b.exists(host+".known") {
			t.Errorf("%s went on %d times; to the end: %t", host, n, b.exists(host+".known"))
		}
	}
}

// Where the bastion's reboot is the last that is made, those behind it are taken up again
// all the same, and keep nothing.
func TestHostsBehindABastionThatRebootedLastKeepNothing(t *testing.T) {
	b := newBoots(t)
	b.via["web1"], b.via["web2"] = "bastion", "bastion"
	b.greets = func(_ string, n int) (bool, bool) { return n > 20, n > 20 }
	r := b.start(`
play "p" {
  hosts = ["bastion", "web1", "web2"]
  task "reboots" "it" { dir = "DIR/${host.name}" }
}
`, func(*engine.Options) {}, "bastion", "web1", "web2")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("it came to %s: %s", s.Outcome, b.failures())
	}
	r.Close()
	if kept, _ := filepath.Glob(filepath.Join(b.dir, "records-*", "*")); len(kept) > 0 {
		t.Errorf("they keep %v", kept)
	}
}

// A rolling play reboots batch by batch, also where the bastion is in the first one.
func TestBastionRebootsInItsBatch(t *testing.T) {
	b := newBoots(t)
	b.via["web1"], b.via["web2"] = "bastion", "bastion"
	r := b.start(strings.Replace(allReboot, `"web2"]`, `"web2"]
  rolling { batches = [1] }`, 1), func(*engine.Options) {}, "bastion", "web1", "web2")
	r.Plan(t.Context())
	s := r.Apply(t.Context())
	if s.Outcome != engine.OutcomeChanged {
		t.Errorf("it came to %s: %s", s.Outcome, b.failures())
	}
	want(t, "they rebooted", b.orders, []string{"bastion", "web1", "web2"})
}

// A run that is told to stop waits for a host that reboots, as for any change in hand, and
// begins nothing behind it.
func TestStoppedRunWaitsForAReboot(t *testing.T) {
	for _, when := range []int{0, 1, 3} { // right behind the order, and at a later connection
		b := newBoots(t)
		var r *engine.Run
		b.ordered = func() {
			if when == 0 {
				r.Stop()
			}
		}
		b.greets = func(_ string, n int) (bool, bool) {
			if n == when {
				r.Stop()
			}
			return n > 6, n > 6
		}
		r = b.start(reboot("1m"), func(*engine.Options) {}, "web1")
		r.Plan(t.Context())
		b.forget()
		r.Apply(t.Context())
		want(t, fmt.Sprintf("stopped at %d it made", when), b.states()[:3], []string{"web1 file.first changed", "web1 file.same unchanged", "web1 reboots.it changed"})
		if b.exists("handler") {
			t.Error("it went on behind the reboot")
		}
	}
}

func TestOwnMachineIsNotRebooted(t *testing.T) {
	b := newBoots(t)
	r := b.start(reboot("1m"), func(o *engine.Options) { o.Local = func(host string) bool { return host == "web1" } }, "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeFailed || !strings.Contains(b.failures(), "the machine that muster itself runs on") {
		t.Errorf("as a local host it is planned: %s: %s", s.Outcome, b.failures())
	}
	b = newBoots(t)
	r = b.start(reboot("1m"), func(o *engine.Options) { o.Boot = "web1-0" }, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed || !strings.Contains(b.failures(), "the machine that muster itself runs on") || len(b.orders) > 0 {
		t.Errorf("by another name it came to %s, ordered %v: %s", s.Outcome, b.orders, b.failures())
	}
}

// A host that would reboot for a task of another kind is out of the run.
func TestHostRebootsOnlyForATaskThatSaysSo(t *testing.T) {
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) {
			return played(func(c *wire.Conn, m *wire.Message) bool {
				switch {
				case m.Task != nil:
					_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Run, Target: "c"}}}})
				case m.Review != nil:
					_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
				case m.Grant != nil:
					_ = c.Send(&wire.Message{Reboot: &wire.Reboot{ID: m.Grant.IDs[0], Boot: "b"}})
				}
				return true
			}), nil
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "command" "c" { argv = ["true"] }
}
`, "web1")
	r.Plan(t.Context())
	r.Apply(t.Context())
	for _, e := range f.events {
		if e, ok := e.(*engine.HostEvent); ok && strings.Contains(e.Error.Error(), "a reboot that no task orders") {
			return
		}
	}
	t.Errorf("it isn't told: %v", f.states())
}
