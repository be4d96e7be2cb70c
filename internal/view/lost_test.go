package view_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/internal/engine"
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
	_, out := lines(view.Running, []string{"a"}, &engine.TaskEvent{
		Host: "a", Name: "task.command.run", Kind: "command", Status: wire.Failed,
		Output: []byte(`{"stdout":"half of it","stderr":"","exit_code":3}`), Error: "it: exit code 3",
	})
	want := "a  failed, exit code 3\n  half of it\n\nNothing to change in 0.0s\n"
	if d := cmp.Diff(want, out); d != "" {
		t.Error(d)
	}
}

func TestWhatRunsEveryTimeIsSaidOnce(t *testing.T) {
	_, out := lines(view.Planning, []string{"a"}, &engine.TaskEvent{
		Play: "p", Host: "a", Name: "task.command.c", Kind: "command", Status: wire.Pending, Always: true,
		Changes: []host.Description{{Action: host.Run, Target: "date", Impact: "runs every time"}},
	})
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
