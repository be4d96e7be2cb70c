package haproxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules"
)

func plan(t *testing.T, s *LiveServer, v *host.View) modules.Plan {
	t.Helper()
	p, err := s.Plan(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// planned is what a plan shows in one line, "" where nothing is left to do.
func planned(p modules.Plan) string {
	var list []string
	for _, c := range p.Changes {
		d := c.Describe()
		list = append(list, strings.Join(strings.Fields(strings.ReplaceAll(d.Diff, "\n", ", ")+" ("+d.Impact+")"), " "))
	}
	return strings.Join(list, "; ")
}

func TestHundredUnchangedTasksCostTwoQuestions(t *testing.T) {
	var rows []row
	for i := range 100 {
		rows = append(rows, up(fmt.Sprintf("app%d", i)))
	}
	f := newFake(t, rows...)
	v := f.view()
	for i := range 100 {
		if p := plan(t, f.task(fmt.Sprintf("app%d", i), ready), v); len(p.Changes) > 0 {
			t.Fatalf("something is planned: %s", planned(p))
		}
	}
	if n := f.questions(); n != 2 {
		t.Errorf("%d questions were asked, want 2: %q", n, f.asked)
	}
}

func TestServersThatEarlierTasksTakeOutOrPutBackCount(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	v := f.view()
	first := plan(t, f.task("app1", drain), v)
	v = v.Behind(first.Changes[0].Effects())
	if p := plan(t, f.task("app1", drain), v); len(p.Changes) > 0 {
		t.Errorf("behind its own effects it isn't settled: %s", planned(p))
	} else if !strings.Contains(string(p.Output), `"state":"drain","weight":1,"sessions":0,"by":"muster"`) {
		t.Errorf("behind it the output is %s", p.Output)
	}
	if _, err := f.task("app2", drain).Plan(context.Background(), v); err == nil || !strings.Contains(err.Error(), "app2 is the last server of "+f.backend+" that is up") {
		t.Errorf("with all servers drained in one plan the error is %v", err)
	}
	if p := plan(t, f.task("app1", maint), v); planned(p) != "state: drain → maint (its sessions have 30s to end)" {
		t.Errorf("what is drained already is put into maintenance as %s", planned(p))
	}
	weightless := f.task("app2", "")
	weightless.Weight = "0"
	if _, err := weightless.Plan(context.Background(), v); err == nil {
		t.Error("the last server may lose all its weight")
	}
	forced := f.task("app2", drain)
	forced.Force = true
	if p := plan(t, forced, v); len(p.Changes) != 1 {
		t.Errorf("forced, it plans %s", planned(p))
	}
	back := plan(t, f.task("app1", ready), v)
	if got := planned(back); got != "state: drain → ready (waits until it is up)" {
		t.Errorf("the server goes back with %q", got)
	}
	v = v.Behind(back.Changes[0].Effects())
	if p := plan(t, f.task("app1", ready), v); len(p.Changes) > 0 {
		t.Errorf("behind its own effects it isn't settled: %s", planned(p))
	}
	if p := plan(t, f.task("app2", drain), v); len(p.Changes) != 1 {
		t.Errorf("when the first is back the second is planned as %s", planned(p))
	}
}

func TestWhichServersServe(t *testing.T) {
	backup := func(r row) row { r.Backup = true; return r }
	admin := func(r row, bits int) row { r.Admin = bits; return r }
	op := func(r row, op int) row { r.Op = op; return r }
	weight := func(r row, w int) row { r.Weight = w; return r }
	for _, c := range []struct {
		name   string
		r      row
		others []row
		last   bool
	}{
		{"alone", up("a"), nil, true},
		{"beside another", up("a"), []row{up("b")}, false},
		{"beside one that is drained", up("a"), []row{admin(up("b"), forcedDrain)}, true},
		{"beside one in maintenance", up("a"), []row{admin(up("b"), forcedMaint)}, true},
		{"beside one that follows a drained one", up("a"), []row{admin(up("b"), inheritedDrain)}, true},
		{"beside one without an address", up("a"), []row{admin(up("b"), unresolvedMaint)}, true},
		{"beside one that is down", up("a"), []row{op(up("b"), opStopped)}, true},
		{"beside one that is ending", up("a"), []row{op(up("b"), opStopping)}, true},
		{"beside one without weight", up("a"), []row{weight(up("b"), 0)}, true},
		{"beside one that was disabled once", up("a"), []row{admin(up("b"), configuredMaint)}, false},
		{"beside a backup", up("a"), []row{backup(up("b"))}, true},
		{"a backup that doesn't serve", backup(up("a")), []row{up("b")}, false},
		{"a backup that serves alone", backup(up("a")), []row{op(up("b"), opStopped)}, true},
		{"a backup beside one that serves", backup(up("a")), []row{op(up("b"), opStopped), backup(up("c"))}, false},
		{"down itself", op(up("a"), opStopped), nil, false},
		{"drained itself", admin(up("a"), forcedDrain), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := lastOf(c.r, c.others); (err != nil) != c.last {
				t.Errorf("taking it out is answered with %v", err)
			}
		})
	}
}

func TestWhatAnOperatorDrainedIsReported(t *testing.T) {
	app1, app3 := up("app1"), up("app3")
	app1.Admin, app3.Admin = forcedDrain, forcedMaint|configuredMaint
	f := newFake(t, app1, up("app2"), app3)
	p := plan(t, f.task("app1", ready), f.view())
	want := "app1 of the backend " + f.backend + " is drained, and not by muster: it stays so. With force = true it is put back."
	if len(p.Changes) > 0 || len(p.Notes) != 1 || p.Notes[0] != want {
		t.Errorf("planned is %q with the notes %q", planned(p), p.Notes)
	}
	if !strings.Contains(string(p.Output), `"state":"drain"`) || !strings.Contains(string(p.Output), `"by":"operator"`) {
		t.Errorf("the output is %s", p.Output)
	}
	p = plan(t, f.task("app3", ready), f.view())
	if len(p.Changes) > 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "is disabled in the configuration") || !strings.Contains(string(p.Output), `"by":"configuration"`) {
		t.Errorf("planned is %q with the notes %q and %s", planned(p), p.Notes, p.Output)
	}
}

func TestMaintenanceOfAnOperatorIsMoreThanADrain(t *testing.T) {
	app1 := up("app1")
	app1.Admin = forcedMaint
	f := newFake(t, app1, up("app2"))
	if p := plan(t, f.task("app1", drain), f.view()); len(p.Changes) > 0 {
		t.Errorf("planned is %s", planned(p))
	}
}

func TestPlanWaitsForAConfigurationThatIsToCome(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	v := f.view()
	plan(t, f.task("app1", drain), v) // what was read before doesn't count
	v = v.Behind([]host.Effect{host.Open(loadedKey.Space, loadedKey.Name)})
	for _, name := range []string{"app1", "new"} {
		if _, err := f.task(name, drain).Plan(context.Background(), v); !errors.Is(err, host.ErrNotYet) {
			t.Errorf("of %s the error is %v", name, err)
		}
	}
}

func TestWhatHAProxyDoesNotSayWell(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(f *fakeHAProxy)
		want string // of the error; "" where it is asked again
	}{
		{"an answer that is cut short once", func(f *fakeHAProxy) { f.torn = 1 }, ""},
		{"answers that are cut short twice", func(f *fakeHAProxy) { f.torn = 2 }, ""},
		{"answers that are always cut short", func(f *fakeHAProxy) { f.torn = 1000 }, "it is cut short"},
		{"a connection that is closed", func(f *fakeHAProxy) { f.broken = true }, "it is empty: it is cut short"},
		{"an answer that is cut short between two sections", func(f *fakeHAProxy) {
			f.once["@1 show stat"] = "# pxname,svname,qcur,scur,status,bck,check_rise,check_fall,check_health,last_chk,last_agt,\n\n"
		}, ""},
		{"a refusal", func(f *fakeHAProxy) { f.say["@1 show servers"] = "Permission denied\n\n" }, `it is "Permission denied"`},
		{"no worker", func(f *fakeHAProxy) { f.say["@1 "] = "Can't find the target CLI!\n" }, `it is "Can't find the target CLI!"`},
		{"a column that is missing", func(f *fakeHAProxy) { f.say["@1 show stat"] = "# pxname,svname\n" }, "it has no column qcur"},
		{"a server in one answer alone", func(f *fakeHAProxy) {
			f.say["@1 show servers"] = "1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state\n2 " + f.backend + " app2 2 0 1 1 0 0\n\n"
		}, "it has 2 servers, and 1 are known"},
		{"no server in one answer", func(f *fakeHAProxy) {
			f.say["@1 show stat"] = "# pxname,svname,qcur,scur,status,bck,check_rise,check_fall,check_health,last_chk,last_agt,\n" + f.backend + ",app1,0,0,UP,0,,,,,,\n\n"
		}, "it lacks the server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, up("app1"), up("app2"))
			c.do(f)
			_, err := f.task("app1", drain).Plan(context.Background(), f.view())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestHAProxyThatDoesNotAnswerIsGivenUp(t *testing.T) {
	f := newFake(t, up("app1"))
	f.mu.Lock() // it takes commands, and no more
	defer f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.task("app1", drain).Plan(ctx, f.view()); err == nil || !strings.Contains(err.Error(), "hasn't answered") {
		t.Errorf("the error is %v", err)
	}
}

func TestDisabledSectionsAreLeftOut(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.say["@1 show servers"] = "1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state\n" +
		"2 " + f.backend + " app1 2 0 1 1 0 0\n2 " + f.backend + " app2 2 0 1 1 0 0\n3 off o1 2 0 1 1 0 0\n\n"
	if p := plan(t, f.task("app1", drain), f.view()); len(p.Changes) != 1 {
		t.Errorf("planned is %s", planned(p))
	}
}

func TestUnknownServersAreNamed(t *testing.T) {
	rows := []row{{Backend: "app", Name: "app1"}, {Backend: "app", Name: "app2"}, {Backend: "static", Name: "s"}}
	for _, c := range []struct{ backend, server, want string }{
		{"app", "ap1", "the backend app has no server ap1: did you mean app1? There are app1, app2"},
		{"app", "zzz", "the backend app has no server zzz: there are app1, app2"},
		{"statc", "s", "HAProxy has no backend statc with servers: did you mean static? There are app, static"},
	} {
		if err := unknownServer(rows, c.backend, c.server); err.Error() != c.want {
			t.Errorf("%s/%s: %v, want %s", c.backend, c.server, err, c.want)
		}
	}
	if err := unknownServer(nil, "app", "app1"); err.Error() != "HAProxy has no backend app with servers: it has none at all" {
		t.Error(err)
	}
}

func TestServersArgumentsAreChecked(t *testing.T) {
	registry := modules.NewRegistry(Kinds()...)
	for _, c := range []struct {
		name string
		args map[string]any
		want string
	}{
		{"a weight", map[string]any{"weight": "256"}, ""},
		{"a weight in percent", map[string]any{"weight": "50%"}, ""},
		{"a number", map[string]any{"weight": int64(20)}, ""},
		{"a weight that is too high", map[string]any{"weight": "257"}, `weight: Wrong value: "257" is no weight`},
		{"a negative weight", map[string]any{"weight": "-1"}, "weight: Wrong value"},
		{"no weight at all", map[string]any{"weight": "%"}, "weight: Wrong value"},
		{"a time to drain with a drain", map[string]any{"state": drain, "drain_timeout": "5s"}, ""},
		{"a time to drain with maintenance", map[string]any{"state": maint, "drain_timeout": "5s"}, ""},
		{"a time to drain where none is drained", map[string]any{"state": ready, "drain_timeout": "5s"}, "drain_timeout: Conflicting arguments"},
		{"a time to drain without a state", map[string]any{"drain_timeout": "5s"}, "drain_timeout: Conflicting arguments"},
		{"a time to drain with a state to come", map[string]any{"state": modules.UnknownValue{}, "drain_timeout": "5s"}, ""},
		{"two commands in a name", map[string]any{"server": "a;disable server b"}, "server: Wrong value"},
		{"a line in a name", map[string]any{"backend": "a\nshow env"}, "backend: Wrong value"},
		{"a folder above", map[string]any{"backend": ".."}, "backend: Wrong value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := map[string]any{"server": "app1", "backend": "app"}
			for name, value := range c.args {
				args[name] = value
			}
			_, errs := registry.Decode("haproxy_server", args)
			got := ""
			for _, e := range errs {
				got += e.Error()
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}

func TestAgentIntervals(t *testing.T) {
	const config = `
defaults
	default-server agent-inter 3s
backend app
	default-server agent-inter 500
	server own 10.0.0.1:80 agent-check agent-inter 7s
	server plain 10.0.0.2:80 agent-check
listen other
	server plain 10.0.0.2:80 agent-check agent-inter
`
	for _, c := range []struct {
		config, backend, server string
		want                    time.Duration
	}{
		{config, "app", "own", 7 * time.Second},
		{config, "app", "plain", 500 * time.Millisecond},
		{config, "other", "plain", 3 * time.Second},
		{"", "app", "own", 2 * time.Second},
	} {
		if got := agentInterval(c.config, c.backend, c.server); got != c.want {
			t.Errorf("%s/%s: %s, want %s", c.backend, c.server, got, c.want)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state\n2 app a 2 0 1 1 0 0\n", "# pxname,svname,qcur,scur,status,bck,check_rise,check_fall,check_health,last_chk,last_agt,\napp,a,0,1,UP,0,2,3,4,\"x,\ny\",,\n")
	f.Fuzz(func(t *testing.T, states, stats string) {
		rows, err := parseStates(states)
		if err != nil {
			return
		}
		both, err := addStats(rows, stats, true)
		if err == nil && len(both) > len(rows) {
			t.Errorf("%d servers become %d", len(rows), len(both))
		}
	})
}
