package haproxy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules"
)

// drained has run be the one that has drained app1.
func (f *fakeHAProxy) drained(t *testing.T, name, run string) {
	t.Helper()
	if err := f.make(f.task(name, drain)); err != nil {
		t.Fatal(err)
	}
	n := f.note(name)
	n.Run = run
	if err := n.write(); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("the error is %v, want %q", err, want)
	}
}

func TestDrainWaitsForSessions(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 3
	begin := f.time
	f.step = func(at time.Time) {
		if at.Sub(begin) > 7*time.Second {
			f.rows[0].Sessions = 0
		}
	}
	if err := f.make(f.task("app1", drain)); err != nil {
		t.Fatal(err)
	}
	if spent := f.time.Sub(begin); spent < 7*time.Second || spent > 8*time.Second {
		t.Errorf("it waited for %s", spent)
	}
	n := f.note("app1")
	if n == nil || !n.Settled || n.State != ready || n.Run != "aaaa1111" || n.Invocation != "i1" {
		t.Errorf("noted is %+v", n)
	}
	p := plan(t, f.task("app1", drain), f.view())
	if len(p.Changes) > 0 || !strings.Contains(string(p.Output), `"by":"muster","run":"aaaa1111"`) {
		t.Errorf("planned again: %s, %s", planned(p), p.Output)
	}
}

func TestSessionsThatAreLeft(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 2
	task := f.task("app1", maint)
	wait := modules.Duration(5 * time.Second)
	task.DrainTimeout = &wait
	holds(t, f.make(task), "2 sessions are left after 5s: give them longer, drain_timeout, or have them ended, force = true")
	if f.rows[0].forced() != ready || f.note("app1") != nil {
		t.Errorf("it isn't put back: %+v, %+v", f.rows[0], f.note("app1"))
	}
	task.Force = true
	holds(t, f.make(task), "")
	if !slices.Contains(f.done(), "shutdown sessions server "+f.backend+"/app1") || f.rows[0].forced() != maint {
		t.Errorf("it was told %q", f.done())
	}
}

func TestSessionsThatDoNotEnd(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 2
	f.say["@1 shutdown"] = "\n"
	task := f.task("app1", drain)
	task.Force = true
	holds(t, f.make(task), "2 sessions are left though HAProxy was told to end them")
}

func TestOldWorkersAreToldAndWaitedFor(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.old[77] = 1
	begin := f.time
	f.step = func(at time.Time) {
		switch spent := at.Sub(begin); {
		case spent > 4*time.Second:
			clear(f.old) // the last one has ended
		case spent > 2*time.Second:
			f.old[78] = 0 // of another reload
		}
	}
	if err := f.make(f.task("app1", drain)); err != nil {
		t.Fatal(err)
	}
	if spent := f.time.Sub(begin); spent < 4*time.Second {
		t.Errorf("it waited for %s", spent)
	}
	for _, want := range []string{"@!77 set server " + f.backend + "/app1 state drain", "@!78 set server " + f.backend + "/app1 state drain"} {
		if !slices.Contains(f.done(), want) {
			t.Errorf("nobody said %q: %q", want, f.done())
		}
	}
}

func TestAgentThatLiftsADrain(t *testing.T) {
	for _, c := range []struct {
		name  string
		lifts int
		want  string
	}{
		{"once, as it was being asked when it was switched off", 1, ""},
		{"each time", 100, "it is put back by somebody else each time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app1 := up("app1")
			app1.Agent = checkConfigured | checkEnabled
			f := newFake(t, app1, up("app2"))
			begin, lifts := f.time, c.lifts
			f.step = func(at time.Time) {
				if at.Sub(begin) > 3500*time.Millisecond && f.rows[0].forced() == drain && lifts > 0 {
					f.rows[0].Admin, lifts = 0, lifts-1
				}
			}
			holds(t, f.make(f.task("app1", drain)), c.want)
			if c.want != "" {
				return
			}
			if f.rows[0].forced() != drain || f.rows[0].agentOn() {
				t.Errorf("it ends as %+v", f.rows[0])
			}
			if spent := f.time.Sub(begin); spent < 7*time.Second { // two intervals from the second drain on
				t.Errorf("it was looked at for %s", spent)
			}
			if n := f.note("app1"); !n.Agent {
				t.Errorf("noted is %+v", n)
			}
			holds(t, f.make(f.task("app1", ready)), "")
			if f.rows[0].forced() != ready || !f.rows[0].agentOn() || f.note("app1") != nil {
				t.Errorf("it goes back as %+v", f.rows[0])
			}
		})
	}
}

func TestReloadWhileSessionsEnd(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 1
	begin := f.time
	f.step = func(at time.Time) {
		switch spent := at.Sub(begin); {
		case spent > 6*time.Second:
			f.rows[0].Sessions = 0
		case spent > 5*time.Second && f.broken:
			f.broken, f.rows[0].Admin = false, 0 // another worker, that knows of no drain
		case spent > 2*time.Second && spent < 5*time.Second:
			f.broken = true
		}
	}
	holds(t, f.make(f.task("app1", drain)), "")
	if f.rows[0].forced() != drain {
		t.Error("the new worker has it in use")
	}
}

func TestHAProxyThatIsGoneWhileSessionsEnd(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 1
	begin := f.time
	f.step = func(at time.Time) { f.broken = true }
	holds(t, f.make(f.task("app1", drain)), "asking HAProxy")
	if spent := f.time.Sub(begin); spent > 2*gapTime {
		t.Errorf("it was waited for %s", spent)
	}
	if n := f.note("app1"); n == nil || n.Settled {
		t.Errorf("noted is %+v: the next run has to know", n)
	}
}

func TestServerThatVanishes(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 1
	f.step = func(at time.Time) { f.rows[0].Name = "other" }
	begin := f.time
	holds(t, f.make(f.task("app1", drain)), "HAProxy doesn't have it any more")
	if spent := f.time.Sub(begin); spent > time.Second {
		t.Errorf("it was waited for %s", spent)
	}
}

func TestRefusalIsAnError(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.say["@1 set server"] = "No such server.\n\n"
	holds(t, f.make(f.task("app1", drain)), `state drain": No such server.`)
	f.say = map[string]string{"@1 set weight": "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n"}
	task := f.task("app1", "")
	task.Weight = "5"
	holds(t, f.make(task), "static LB algorithm")
}

func TestEndOfTheTaskEndsTheWait(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.rows[0].Sessions = 1
	ctx, cancel := context.WithCancel(context.Background())
	f.step = func(time.Time) { cancel() }
	p := plan(t, f.task("app1", drain), f.view())
	_, err := p.Changes[0].(*SetServer).apply(ctx, f.host(), f)
	if !errors.Is(err, context.Canceled) || !p.Atomic {
		t.Errorf("it ends with %v, and is put back: %v", err, p.Atomic)
	}
}

func TestReadyWaitsUntilTheCheckHasPassed(t *testing.T) {
	app1 := up("app1")
	app1.Check, app1.Healthy = checkConfigured|checkEnabled, true
	f := newFake(t, app1, up("app2"))
	f.drained(t, "app1", "3f2a")
	f.rows[0].Op, f.rows[0].Healthy = opStopped, false
	begin := f.time
	holds(t, f.make(f.task("app1", ready)), "it isn't up after 1m0s")
	if f.rows[0].forced() != ready || f.note("app1") == nil {
		t.Errorf("it is left as %+v, noted %+v", f.rows[0], f.note("app1"))
	}
	if got := planned(plan(t, f.task("app1", ready), f.view())); got != "(waits until it is up)" {
		t.Errorf("the next plan is %q", got)
	}
	begin = f.time
	f.step = func(at time.Time) {
		if at.Sub(begin) > 5*time.Second {
			f.rows[0].Op, f.rows[0].Healthy = opRunning, true
		}
	}
	holds(t, f.make(f.task("app1", ready)), "")
	if spent := f.time.Sub(begin); spent < 5*time.Second || f.note("app1") != nil {
		t.Errorf("it waited for %s; noted is %+v", spent, f.note("app1"))
	}
}

func TestOutOfMaintenanceAServerIsCheckedFirst(t *testing.T) {
	for _, healthy := range []bool{true, false} {
		app1 := up("app1")
		app1.Check = checkConfigured | checkEnabled
		app1.Admin = forcedMaint
		f := newFake(t, app1, up("app2"))
		begin, seen, used := f.time, "", time.Duration(0)
		f.step = func(at time.Time) {
			if seen == "" {
				seen = f.rows[0].forced() // while nobody knows how it is
			}
			if used == 0 && f.rows[0].forced() == ready {
				used = at.Sub(begin)
			}
			if at.Sub(begin) > 3*time.Second {
				f.rows[0].Healthy = healthy
				if f.rows[0].Op = opRunning; !healthy {
					f.rows[0].Op = opStopped
				}
			}
		}
		task := f.task("app1", ready)
		task.Force = true
		err := f.make(task)
		if seen != drain || f.rows[0].forced() != ready {
			t.Errorf("before it was checked it was %s; in the end %s", seen, f.rows[0].forced())
		}
		if used > 4*time.Second || !healthy && used == 0 { // HAProxy gives one that is down no requests
			t.Errorf("it is put back after %s", used)
		}
		want := ""
		if !healthy {
			want = "it isn't up after"
		}
		holds(t, err, want)
	}
}

func TestWeightsGoBack(t *testing.T) {
	app1 := up("app1")
	app1.Weight, app1.Initial = 30, 10
	f := newFake(t, app1, up("app2"))
	task := f.task("app1", drain)
	task.Weight = "0"
	holds(t, f.make(task), "")
	if f.rows[0].Weight != 0 {
		t.Fatalf("its weight is %d", f.rows[0].Weight)
	}
	if got := planned(plan(t, f.task("app1", ready), f.view())); !strings.Contains(got, "weight: 0 → 30") {
		t.Errorf("planned is %s", got)
	}
	f.rows[0].Initial, f.rows[0].Weight = 20, 20 // the configuration has another one by now
	if got := planned(plan(t, f.task("app1", ready), f.view())); strings.Contains(got, "weight") {
		t.Errorf("planned is %s", got)
	}
}

func TestWhatSomebodyElseHasSetIsLeft(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	p := plan(t, f.task("app1", drain), f.view())
	f.rows[0].Admin = forcedMaint
	_, err := p.Changes[0].(*SetServer).apply(context.Background(), f.host(), f)
	if !errors.Is(err, host.ErrMoved) || f.note("app1") != nil || len(f.done()) > 0 {
		t.Errorf("it ends with %v, having said %q", err, f.done())
	}

	f.rows[0].Admin = 0
	f.drained(t, "app1", "aaaa1111")
	f.rows[0].Admin = forcedMaint // by an operator, since
	p = plan(t, f.task("app1", ready), f.view())
	if len(p.Changes) > 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "is in maintenance, and not by muster") {
		t.Errorf("planned is %s, with %q", planned(p), p.Notes)
	}
	back := &PutServer{Backend: f.backend, Server: "app1", Set: standing{State: drain, Weight: 1}, Back: standing{State: ready, Weight: 1}}
	if _, err := back.Apply(context.Background(), f.host()); !errors.Is(err, host.ErrMoved) {
		t.Errorf("taking back a drain ends with %v", err)
	}
}

func TestWeightThatAnAgentMovesMeanwhile(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	p := plan(t, f.task("app1", drain), f.view())
	f.rows[0].Weight = 7
	if _, err := p.Changes[0].(*SetServer).apply(context.Background(), f.host(), f); err != nil {
		t.Fatal(err)
	}
	if n := f.note("app1"); n.Weight != 7 || f.rows[0].Weight != 7 {
		t.Errorf("noted is %+v; the weight is %d", n, f.rows[0].Weight)
	}
	back := &PutServer{Backend: f.backend, Server: "app1", Set: standing{State: drain, Weight: 1}, Back: standing{State: ready, Weight: 1}}
	if _, err := back.Apply(context.Background(), f.host()); err != nil || f.rows[0].Weight != 7 || f.rows[0].forced() != ready || f.note("app1") != nil {
		t.Errorf("taken back it is %+v: %v", f.rows[0], err)
	}

	task := f.task("app1", "")
	task.Weight = "3"
	p = plan(t, task, f.view())
	f.rows[0].Weight = 8
	if _, err := p.Changes[0].(*SetServer).apply(context.Background(), f.host(), f); !errors.Is(err, host.ErrMoved) {
		t.Errorf("a weight that is to be set and has moved: %v", err)
	}
}

func TestServerThatAnOperatorHadDrained(t *testing.T) {
	app1 := up("app1")
	app1.Admin, app1.Sessions = forcedDrain, 1
	f := newFake(t, app1, up("app2"))
	begin := f.time
	f.step = func(at time.Time) {
		if at.Sub(begin) > 2*time.Second {
			f.rows[0].Sessions = 0
		}
	}
	holds(t, f.make(f.task("app1", drain)), "") // its sessions have to end all the same
	if spent := f.time.Sub(begin); spent < 2*time.Second {
		t.Errorf("it waited for %s", spent)
	}
	holds(t, f.make(f.task("app1", maint)), "")
	if got := planned(plan(t, f.task("app1", ready), f.view())); got != "state: maint → drain (it goes back to drained, as it was before that)" {
		t.Errorf("planned is %s", got)
	}
	holds(t, f.make(f.task("app1", ready)), "")
	if f.rows[0].forced() != drain || f.note("app1") != nil {
		t.Errorf("it ends as %+v", f.rows[0])
	}
}

func TestDrainAfterARestartDoesNotGoOnWithOldNotes(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.drained(t, "app1", "3f2a")
	f.invocation = "i2"
	f.rows[0].Admin, f.rows[0].Weight = forcedMaint, 5 // by an operator, since
	task := f.task("app1", "")
	task.Weight = "6"
	holds(t, f.make(task), "")
	f.rows[0].Admin, f.rows[0].Sessions = forcedDrain, 1
	f.step = func(time.Time) { f.rows[0].Sessions = 0 }
	holds(t, f.make(f.task("app1", drain)), "")
	if n := f.note("app1"); n.State != drain || n.Weight != 6 || n.Invocation != "i2" {
		t.Errorf("noted is %+v", n)
	}
}

func TestLastServerByNow(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	p := plan(t, f.task("app1", drain), f.view())
	f.rows[1].Op = opStopped
	_, err := p.Changes[0].(*SetServer).apply(context.Background(), f.host(), f)
	if holds(t, err, "app1 is the last server of "+f.backend+" that is up"); !errors.Is(err, host.ErrMoved) || len(f.done()) > 0 {
		t.Errorf("it ends with %v, having said %q", err, f.done())
	}
}
