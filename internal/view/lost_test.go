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
	"muster/transport"
)

// lines shows events of a phase, then an empty summary, and returns what went
// to standard error, and the output.
func lines(phase view.Phase, hosts []string, events ...engine.Event) (errs, out string) {
	var o, e bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &o, Err: &e})
	v.Begin(phase, hosts)
	for _, event := range events {
		v.Event(event)
	}
	s := engine.NewSummary()
	v.Summary(s, view.End{})
	return e.String(), o.String()
}

// away is a host that can't be reached, because of a bastion where one is named.
func away(host, bastion string) *engine.HostEvent {
	e := &transport.UnreachableError{Host: host, Where: "10.0.0.2:22", Stage: transport.StageConnect, Err: errors.New("refused")}
	if bastion != "" {
		e.Stage, e.Err = transport.StageBastion, &transport.BastionError{Bastion: bastion, Where: "10.0.0.1", Err: errors.New("refused")}
	}
	return &engine.HostEvent{Host: host, Error: e}
}

func TestWhatABastionSaysForAllHostsIsSaidOnce(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	errs, _ := lines(view.Planning, hosts, away("c", "nat"), away("b", ""), away("a", "nat"))
	want := "! a, c: unreachable: bastion nat (10.0.0.1): refused\n! b: unreachable: b (10.0.0.2:22): connecting: refused\n"
	if d := cmp.Diff(want, errs); d != "" {
		t.Error(d)
	}
}

// refused is a host at an address of its own that takes no connection, or shows a key that
// isn't known.
func refused(host, where, key string) *engine.HostEvent {
	e := &transport.UnreachableError{Host: host, Where: where + " through nat", Stage: transport.StageConnect, Err: fmt.Errorf("dial tcp %s: refused", where)}
	if key != "" {
		e.Stage, e.Err = transport.StageHostKey, &transport.HostKeyError{Verdict: transport.KeyUnknown, Host: host, Type: "ssh-ed25519", Fingerprint: key}
	}
	return &engine.HostEvent{Host: host, Error: e}
}

func TestHostsThatAreLostForOneReasonShareALine(t *testing.T) {
	hosts := []string{"web1", "web2", "web-3", "db1", "db2"}
	events := []engine.Event{
		refused("db2", "10.0.2.2:22", "SHA256:two"), refused("web-3", "10.0.1.3:22", ""), refused("web2", "10.0.1.2:2222", ""),
		refused("db1", "10.0.2.1:22", "SHA256:one"), refused("web1", "10.0.1.1:22", ""),
	}
	want := "! web1, web2, web-3: unreachable: ‹host› (‹address› through nat): connecting: dial tcp ‹address›: refused\n" +
		"! db1, db2: unreachable: ‹host› (‹address› through nat): the host key ssh-ed25519 ‹fingerprint› is not known: compare it with the host's, then run: muster trust ‹host›\n"
	if errs, _ := lines(view.Planning, hosts, events...); errs != want {
		t.Error(cmp.Diff(want, errs))
	}
	if errs, _ := lines(view.Planning, hosts, events[1], events[0]); !strings.HasPrefix(errs, "! web-3: unreachable: web-3 (10.0.1.3:22 through nat): ") || !strings.Contains(errs, "SHA256:two") {
		t.Errorf("what is one host's own isn't said of it: %s", errs)
	}
	var out, errs bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &errs, Verbose: true})
	v.Begin(view.Planning, hosts)
	for _, e := range events {
		v.Event(e)
	}
	v.Summary(engine.NewSummary(), view.End{})
	if n := strings.Count(errs.String(), "\n"); n != len(events) {
		t.Errorf("-v says it in %d lines: %s", n, errs.String())
	}
}

// TestAMarkThatAHostPrintsIsNoMark: it would be read as its name, or as its address.
func TestAMarkThatAHostPrintsIsNoMark(t *testing.T) {
	says := func(text string) *engine.HostEvent { return &engine.HostEvent{Host: "a", Error: errors.New(text)} }
	errs, _ := lines(view.Planning, []string{"a", "b"}, says("no ‹host› at ‹address› with ‹fingerprint›"))
	if want := `no \u2039host› at \u2039address› with \u2039fingerprint›` + "\n"; !strings.HasSuffix(errs, want) {
		t.Error(errs)
	}
	said := event(0, 1, "a", "0/task.print.p", "task.print.p", "", `/‹host›`)
	said.Kind, said.Output = "print", []byte(`{"message":"I am ‹host›"}`)
	said.Then, said.Changes[0].Impact = said.Changes, "restarts ‹host›"
	_, out := lines(view.Planning, []string{"a", "b"}, said)
	if strings.Contains(out, "‹host›") || strings.Count(out, `\u2039host›`) != 5 {
		t.Error(out)
	}
}

func TestWhyHostsAreLostIsSaidOnce(t *testing.T) {
	hosts := []string{"a", "b", "c"}
	for first, last := range map[view.Phase]view.Phase{view.PlanningFirst: view.Making, view.Quiet: view.Running} {
		var out, errs bytes.Buffer
		v := view.New(view.Options{Format: "plain", Out: &out, Err: &errs})
		v.Begin(first, hosts)
		v.Event(away("b", ""))
		v.Begin(last, hosts)
		v.Event(away("c", ""))
		s := engine.NewSummary()
		for _, h := range hosts {
			s.Order, s.Hosts[h] = append(s.Order, h), &engine.Counts{Unreachable: h != "a"}
		}
		v.Summary(s, view.End{})
		if n := strings.Count(errs.String(), "refused"); n != 1 {
			t.Errorf("phase %d: it is said %d times:\n%s", last, n, errs.String())
		}
		if !strings.HasSuffix(errs.String(), "! b, c: unreachable: ‹host› (‹address›): connecting: refused\n") {
			t.Errorf("phase %d: %s", last, errs.String())
		}
	}
}

func TestAHostThatIsLostWhileChangesAreMadeIsToldAtOnce(t *testing.T) {
	var o, e bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &o, Err: &e})
	v.Begin(view.Making, []string{"a", "b"})
	v.Event(away("a", ""))
	if e.Len() == 0 {
		t.Error("nothing was said")
	}
}

func TestAnAdHocCommandThatFailsSaysItsExitCode(t *testing.T) {
	_, out := lines(view.Running, []string{"a"}, &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "a", Kind: "command"}, Name: "task.command.run"}, Planned: task.Planned{Status: wire.Failed, Error: "it: exit code 3"}, Output: []byte(`{"stdout":"half of it","stderr":"","exit_code":3}`)})
	want := "a  failed, exit code 3\n  half of it\n\nNothing to change in 0.0s\n"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
}

func TestWhatRunsEveryTimeIsSaidOnce(t *testing.T) {
	_, out := lines(view.Planning, []string{"a"}, &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Play: "p", Host: "a", Kind: "command"}, Name: "task.command.c"}, Planned: task.Planned{Status: wire.Pending, Always: true, Changes: []host.Description{{Action: host.Run, Target: "date", Impact: "runs every time"}}}})
	want := "p\n  ~ command.c  on a  runs every time\n      run date\n\nNothing to change in 0.0s\n"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
}

func TestTheSummarySaysSoOfAHostWithoutTasks(t *testing.T) {
	var o bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &o, Err: &o})
	s := engine.NewSummary()
	s.Order, s.Hosts["web1"] = []string{"web1"}, &engine.Counts{}
	v.Summary(s, view.End{})
	if d := cmp.Diff("\n  web1  no tasks\nNothing to change in 0.0s\n", o.String()); d != "" {
		t.Error(d)
	}
}
