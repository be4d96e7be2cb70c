package view_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
)

// done is the end of the task that event plans.
func done(e *engine.TaskEvent, status wire.Status, problem string) *engine.TaskEvent {
	c := *e
	c.Status, c.Error, c.File, c.Line = status, problem, "site.hcl", 7
	return &c
}

// applied shows a plan of hosts, and then events while it is made; then a summary.
func applied(hosts []string, planned, made []engine.Event, s *engine.Summary, end view.End) string {
	var out bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &out})
	v.Begin(view.PlanningFirst, hosts)
	for _, e := range planned {
		v.Event(e)
	}
	v.Begin(view.Making, hosts)
	out.Reset()
	for _, e := range made {
		v.Event(e)
	}
	v.Summary(s, end)
	return out.String()
}

func TestWhatIsMadeIsShownOnceForAllHosts(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	var planned, made []engine.Event
	first := map[string]*engine.TaskEvent{}
	for _, h := range hosts {
		one, two := event(0, 1, h, "0/task.file.one", "task.file.one", "", "/one"), event(0, 2, h, "0/task.file.two", "task.file.two", "", "/two")
		planned, first[h] = append(planned, one, two), one
		if h != "b" {
			made = append(made, done(two, wire.Changed, ""))
		}
	}
	made = append([]engine.Event{done(first["c"], wire.Changed, ""), done(first["a"], wire.Changed, ""), done(first["b"], wire.Failed, "no luck\nsaid b")}, made...)
	s := engine.NewSummary()
	for _, h := range hosts {
		s.Order, s.Hosts[h] = append(s.Order, h), &engine.Counts{Changed: 2, Actions: map[host.Action]int{host.Create: 2}}
	}
	s.Hosts["b"] = &engine.Counts{Failed: 1, NotReached: 1}
	s.Outcome = engine.OutcomeFailed
	got := applied(hosts, planned, made, s, view.End{Seconds: 1, Run: "20260504-0302-7f3a", Next: "muster apply site.hcl --resume"})
	want := `play
  ! file.one  on b  failed, site.hcl:7
      create /f
      no luck …
  ~ file.one  on a, c  2 of 3 hosts changed
  ~ file.two  on a, c  2 of 3 hosts changed

  a     2 changed
  b     1 failed, 1 not reached
  c     2 changed

Failed
  b  file.one  site.hcl:7
      no luck
      said b

2 created; 2 hosts alike
Failed in 1.0s, run 20260504-0302-7f3a
To go on: muster apply site.hcl --resume
`
	if d := cmp.Diff(strings.Replace(want, "/f\n", "/one\n", 1), got); d != "" {
		t.Error(d)
	}
}

func TestAHostThatIsLostHoldsNoTaskUp(t *testing.T) {
	hosts := []string{"a", "b"}
	a, b := event(0, 1, "a", "0/task.file.one", "task.file.one", "", "/one"), event(0, 1, "b", "0/task.file.one", "task.file.one", "", "/one")
	var out, errs bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &errs})
	v.Begin(view.PlanningFirst, hosts)
	v.Event(a)
	v.Event(b)
	v.Begin(view.Making, hosts)
	out.Reset()
	v.Event(done(a, wire.Changed, ""))
	if out.Len() > 0 {
		t.Errorf("it is shown before b is through: %s", out.String())
	}
	v.Event(&engine.HostEvent{Host: "b", Error: errors.New("gone")})
	if want := "play\n  ~ file.one  on a  1 of 2 hosts changed\n"; out.String() != want {
		t.Errorf("%s, and not %s", out.String(), want)
	}
}

func TestATaskOfOneHostOfSeveralIsJustChanged(t *testing.T) {
	e := event(0, 1, "b", "0/task.file.one", "task.file.one", "", "/one")
	got := applied([]string{"a", "b"}, []engine.Event{e}, []engine.Event{done(e, wire.Changed, "")}, engine.NewSummary(), view.End{})
	if !strings.HasPrefix(got, "play\n  ~ file.one  on b  changed\n\n") {
		t.Error(got)
	}
}

func TestWhatWasNotForeseenIsShownInTheOrderOfTheHosts(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	var planned, made []engine.Event
	for _, h := range []string{"c", "a", "b"} {
		e := event(0, 1, h, "0/task.file.one", "task.file.one", "", "/one")
		end := done(e, wire.Changed, "")
		end.Unforeseen = true
		planned, made = append(planned, e), append(made, end)
	}
	if got := applied(hosts, planned, made, engine.NewSummary(), view.End{}); !strings.HasPrefix(got, "play\n  ~ file.one  on a, b, c  changed\n      create /one\n") {
		t.Error(got)
	}
}

// answered is a pending file whose diff is given.
func answered(at, diff string) *engine.TaskEvent {
	return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Play: "site", Kind: "file"}, ID: "0/task.file.f", Name: "task.file.f"}, Planned: task.Planned{Status: wire.Pending, Changes: []host.Description{{Action: host.Update, Target: "/etc/" + at + ".conf", Diff: diff}}}}
}

func TestDiffsThatAreNearlyAlikeAreShownOnce(t *testing.T) {
	diff := func(name, weight string) string {
		return "-a\n+b\n server " + name + ".example.com\n+weight " + weight + "\n x\n y"
	}
	got := plain([]string{"web1", "web2", "web3"}, answered("web2", diff("web2", "1")), answered("web3", diff("web3", "2")), answered("web1", diff("web1", "1")))
	want := `site
  ~ file.f  on web1, web2, web3
      update /etc/‹host›.conf
        -a
        +b
         server ‹host›.example.com
        +weight 1  (web1, web2)
        +weight 2  (web3)
         x
         y

`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	other := plain([]string{"web1", "web2"}, answered("web1", diff("web1", "1")), answered("web2", "-b\n+c\n other\n+heavy\n z\n y"))
	if n := strings.Count(other, "~ file.f  on"); n != 2 {
		t.Errorf("diffs that have little in common are shown in one:\n%s", other)
	}
}

func TestANameWithinALongerOneKeepsNobodyApart(t *testing.T) {
	of := func(at string) *engine.TaskEvent {
		e := answered(at, "+upstream web-"+at+".conf\n+"+at+"_data\n+own "+at)
		e.Changes[0].Target, e.Changes[0].Impact = "/etc/web-"+at+".conf", "reloads "+at
		e.Then = []host.Description{{Action: host.Reload, Target: at + "_data", Diff: "of " + at}}
		return e
	}
	got := plain([]string{"app1", "app2"}, of("app2"), of("app1"))
	want := `site
  ~ file.f  on app1, app2
      update /etc/web-‹host›.conf  reloads ‹host›
        +upstream web-‹host›.conf
        +‹host›_data
        +own ‹host›
      reload ‹host›_data (then)
        of ‹host›

`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What is shown of several hosts has to be what each of them said, its name put back.
func TestNothingIsSaidOfAHostThatItDidNotSay(t *testing.T) {
	for _, tt := range []struct{ name, first, second, third, want string }{
		{"a host that has another's name", "+to web1", "+to web1", "+to web3", "+to web1  (web1, web2)|+to web3  (web3)"},
		{"the mark itself", "+to web1 ‹host›", "+to web2 ‹host›", "+to web3 ‹host›", `+to ‹host› \u2039host›`},
		{"the mark instead of a name", "+to ‹host›", "+to ‹host›", "+to web3", `+to \u2039host›  (web1, web2)|+to web3  (web3)`},
		{"the mark on all", "+to ‹host›", "+to ‹host›", "+to ‹host›", `+to \u2039host›`},
		{"a name that is part of a word", "+to web1, web11", "+to web2, web11", "+to web3, web11", "+to ‹host›, web11"},
		{"a name that all have beside their own", "+web1 web1", "+web1 web2", "+web1 web3", "+web1 ‹host›"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := plain([]string{"web1", "web2", "web3"}, answered("web1", tt.first), answered("web2", tt.second), answered("web3", tt.third))
			if want := strings.ReplaceAll(tt.want, "|", "\n        "); !strings.Contains(got, "\n        "+want+"\n\n") {
				t.Errorf("it reads\n%s\nand not %s", got, want)
			}
		})
	}
}

func TestMessagesAndPlanningFailuresAreGrouped(t *testing.T) {
	says := func(at, text string) *engine.TaskEvent {
		return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Kind: "print"}, ID: "0/task.print.p", Name: "task.print.p"}, Planned: task.Planned{Status: wire.Unchanged}, Output: fmt.Appendf(nil, `{"message":%q}`, text)}
	}
	fails := func(at string) *engine.TaskEvent {
		return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Kind: "command"}, Seq: 1, ID: "0/task.command.c", Name: "task.command.c", File: "site.hcl", Line: 3}, Planned: task.Planned{Status: wire.Failed, Error: "no user " + at + "-admin"}, Output: fmt.Appendf(nil, `{"pid":%q}`, at)}
	}
	got := plain([]string{"a", "b", "c"}, fails("c"), says("c", "c is up"), says("a", "a is up"), fails("a"), says("b", "down"), fails("b"))
	want := `site
  = print.p  on a, c  unchanged
      ‹host› is up
  = print.p  on b  unchanged
      down
  ! command.c  on a, b, c  failed, site.hcl:3
      no user ‹host›-admin

`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEqualFailuresAreShownOnceWhileTheyHappen(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	var planned, made []engine.Event
	for _, h := range hosts {
		e := event(0, 1, h, "0/task.file.one", "task.file.one", "", "/one")
		planned, made = append(planned, e), append(made, done(e, wire.Failed, "no luck on "+h))
	}
	s := engine.NewSummary()
	s.Order = hosts
	for _, h := range hosts {
		s.Hosts[h] = &engine.Counts{Failed: 1}
	}
	got := applied(hosts, planned, made, s, view.End{})
	want := `play
  ! file.one  on a  failed, site.hcl:7
      create /one
      no luck on a
  ! file.one  on b, c  failed, site.hcl:7
      create /one
      no luck on ‹host›

  a     1 failed
  b     1 failed
  c     1 failed

Failed
  a, b, c  file.one  site.hcl:7
      no luck on ‹host›

Nothing to change in 0.0s
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestALongDiffIsFoldedUnlessAllIsAskedFor(t *testing.T) {
	diff := strings.TrimSuffix(strings.Repeat("+x\n", 61), "\n")
	for verbose, want := range map[bool]int{false: 40, true: 61} {
		var out bytes.Buffer
		v := view.New(view.Options{Format: "plain", Out: &out, Err: &out, Verbose: verbose})
		v.Begin(view.Planning, []string{"a"})
		v.Event(answered("a", diff))
		if n := strings.Count(out.String(), "+x\n"); n != want || strings.Contains(out.String(), "… 21 more lines: -v shows them") == verbose {
			t.Errorf("verbose %v: %d lines\n%s", verbose, n, out.String())
		}
	}
	if got := plain([]string{"a"}, answered("a", strings.TrimSuffix(strings.Repeat("+x\n", 60), "\n"))); strings.Contains(got, "more lines") {
		t.Error("sixty lines are folded")
	}
}

// ran is what an ad hoc command said.
func ran(at, stdout string) *engine.TaskEvent {
	return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Kind: "command"}, Name: "task.command.run"}, Planned: task.Planned{Status: wire.Changed}, Output: fmt.Appendf(nil, `{"stdout":%q}`, stdout)}
}

func TestAnswersOfAnAdHocCommandAreGroupedInTheOrderOfTheInventory(t *testing.T) {
	_, out := lines(view.Running, []string{"a", "b", "c", "d", "long-name"}, ran("d", "two\nlines\n"), ran("long-name", "6.1\n"), ran("c", "6.12\n"), ran("a", "6.1\n"), ran("b", ""))
	want := "a, long-name  6.1\nb             said nothing\nc             6.12\nd\n  two\n  lines\n\nNothing to change in 0.0s\n"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
}

func TestOfAnAdHocCommandOnlyThoseThatDidNotAnswerAreListed(t *testing.T) {
	var out, errs bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &errs})
	v.Begin(view.Running, []string{"a", "b", "c"})
	v.Event(ran("a", "yes"))
	s := engine.NewSummary()
	s.Order, s.Outcome = []string{"a", "b", "c"}, engine.OutcomeInterrupted
	s.Hosts["a"], s.Hosts["b"], s.Hosts["c"] = &engine.Counts{Changed: 1}, &engine.Counts{NotReached: 1}, &engine.Counts{Unknown: 1}
	v.Summary(s, view.End{Seconds: 1})
	want := "a  yes\n\n  b     1 not reached\n  c     1 unknown\nInterrupted in 1.0s\nWhether it was run on 1 host isn't known: it may still be running there.\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestOneThousandHostsStayReadable(t *testing.T) {
	var hosts []string
	s := engine.NewSummary()
	for i := range 1000 {
		name := fmt.Sprintf("web%d", i)
		s.Order, s.Hosts[name] = append(s.Order, name), &engine.Counts{Unchanged: 99, Pending: 1, Actions: map[host.Action]int{host.Update: 1}}
		hosts = append(hosts, name)
	}
	s.Hosts["web7"] = &engine.Counts{Unchanged: 100}
	s.Outcome = engine.OutcomePending
	var out bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &out})
	v.Begin(view.Planning, hosts)
	v.Summary(s, view.End{Seconds: 2})
	want := "\n  web0, web1, web2 and 996 more  99 unchanged, 1 pending\n  web7                           100 unchanged\n\n1 to update; 999 hosts alike\nChanges are pending in 2.0s\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestWhatRunsEveryTimeIsNoPendingChange(t *testing.T) {
	s := engine.NewSummary()
	for _, h := range []string{"a", "b"} {
		s.Add(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h}}, Planned: task.Planned{Status: wire.Pending, Always: true, Changes: []host.Description{{Action: host.Run, Target: "date"}}}})
		s.Add(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h}}, Planned: task.Planned{Status: wire.Pending, Always: true, Changes: []host.Description{{Action: host.Run, Target: "uptime"}}}})
	}
	var out bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &out})
	v.Summary(s, view.End{})
	if s.Outcome != engine.OutcomeUnchanged || !strings.Contains(out.String(), "\nNothing to change; 2 commands run every time on each of 2 hosts in 0.0s\n") {
		t.Errorf("%s: %s", s.Outcome, out.String())
	}
}

func TestTextOfAHostBeginsNoLine(t *testing.T) {
	evil := "x\nChanged in 0.1s\n! forged"
	for _, phase := range []view.Phase{view.Planning, view.PlanningFirst, view.Making, view.Running, view.Quiet} {
		for _, hosts := range [][]string{{"a"}, {"a", "b"}} {
			var out bytes.Buffer
			v := view.New(view.Options{Format: "plain", Out: &out, Err: &out, Verbose: true})
			v.Begin(phase, hosts)
			for _, status := range []wire.Status{wire.Pending, wire.Failed, wire.Changed, wire.Unknown} {
				v.Event(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "a", Play: evil, Role: evil, Kind: "print"}, ID: evil, Name: evil, File: evil}, Planned: task.Planned{Status: status, Error: evil, Changes: []host.Description{{Action: "create", Target: evil, Diff: evil, Impact: evil}}}, Unforeseen: true, Output: fmt.Appendf(nil, `{"stdout":%q,"stderr":%q,"message":%q}`, evil, evil, evil)})
			}
			v.Event(&engine.HostEvent{Host: "b", Error: errors.New(evil)})
			v.Event(&engine.NoticeEvent{Text: "a: " + evil})
			v.Event(&engine.ProgressEvent{Host: "a", Text: evil})
			v.Warn(evil)
			v.Error(errors.New(evil))
			v.Rotation(view.Rotation{Name: "r", Text: evil})
			s := engine.NewSummary()
			s.Order, s.Hosts["a"], s.Hosts["b"] = hosts, &engine.Counts{}, &engine.Counts{}
			v.Summary(s, view.End{Next: evil})
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "Changed in") || strings.HasPrefix(line, "! forged") {
					t.Errorf("phase %d, %d hosts: a line is the host's:\n%s", phase, len(hosts), out.String())
					break
				}
			}
		}
	}
}

func TestOutputThatIsNoJSONIsAnErrorInTheStream(t *testing.T) {
	var out bytes.Buffer
	v := view.New(view.Options{Format: "json", Out: &out})
	v.Event(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "a"}, Name: "task.command.x"}, Planned: task.Planned{Status: wire.Changed}, Output: []byte("{broken")})
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 3 || !strings.Contains(got[1], `"type":"task","host":"a"`) || !strings.Contains(got[2], `"severity":"error","summary":"a: the output of task.command.x isn't JSON`) {
		t.Errorf("%s", out.String())
	}
}

// With -v a task that changed nothing is told as that.
func TestATaskThatChangedNothingIsUnchanged(t *testing.T) {
	hosts := []string{"a", "b"}
	a, b := event(0, 1, "a", "0/task.file.one", "task.file.one", "", "/one"), event(0, 1, "b", "0/task.file.one", "task.file.one", "", "/one")
	for want, made := range map[string][]engine.Event{
		"  = file.one  on a, b  unchanged\n":              {done(a, wire.Unchanged, ""), done(b, wire.Unchanged, "")},
		"  = file.one  on a, b  1 of 2 hosts unchanged\n": {done(a, wire.Unchanged, ""), done(b, wire.Skipped, "")},
	} {
		var out bytes.Buffer
		v := view.New(view.Options{Format: "plain", Out: &out, Err: &out, Verbose: true})
		v.Begin(view.PlanningFirst, hosts)
		v.Event(a)
		v.Event(b)
		v.Begin(view.Making, hosts)
		for _, e := range made {
			v.Event(e)
		}
		v.Summary(engine.NewSummary(), view.End{})
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s isn't there:\n%s", want, out.String())
		}
	}
}

// TestTotalsReadAsASentence: what was run wasn't "run on 8 hosts" each.
func TestTotalsReadAsASentence(t *testing.T) {
	counts := func(created, run int) *engine.Counts {
		return &engine.Counts{Changed: created + run, Actions: map[host.Action]int{host.Create: created, host.Run: run}}
	}
	for _, c := range []struct {
		name  string
		a, b  *engine.Counts
		total string
	}{
		{"hosts that differ", counts(6, 2), counts(7, 3), "13 created, 5 run; on 2 hosts in all"},
		{"hosts alike", counts(6, 2), counts(6, 2), "6 created, 2 run; 2 hosts alike"},
		{"packages", &engine.Counts{Changed: 4, Actions: map[host.Action]int{host.Create: 3, host.Delete: 1}, Packages: map[host.Action]int{host.Create: 2, host.Delete: 1}}, &engine.Counts{}, "1 created, 2 installed, 1 removed; on one host"},
		{"one of them", counts(6, 2), &engine.Counts{}, "6 created, 2 run; on one host"},
	} {
		s := engine.NewSummary()
		s.Order, s.Hosts["a"], s.Hosts["b"] = []string{"a", "b"}, c.a, c.b
		if got := applied(s.Order, nil, nil, s, view.End{}); !strings.Contains(got, "\n"+c.total+"\n") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestAPlanThatIsAskedAboutHasNotEnded: "Failed" stands where failures are the last thing.
func TestAPlanThatIsAskedAboutHasNotEnded(t *testing.T) {
	s := engine.NewSummary()
	s.Order, s.Outcome = []string{"a", "b"}, engine.OutcomeFailed
	s.Hosts["a"], s.Hosts["b"] = &engine.Counts{Pending: 1}, &engine.Counts{Failed: 1}
	for asks, want := range map[bool]string{true: "\nPlanned, but failed on 1 of 2 hosts, in 1.0s\n", false: "\nFailed in 1.0s\n"} {
		if got := applied(s.Order, nil, nil, s, view.End{Seconds: 1, Asks: asks}); !strings.HasSuffix(got, want) {
			t.Errorf("asks %v: %s", asks, got)
		}
	}
}
