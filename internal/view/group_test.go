package view_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
)

// event is a pending task that creates something.
func event(play, seq int, at, id, name, role, creates string) *engine.TaskEvent {
	return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Play: "play", Role: role, Kind: "file"}, PlayIndex: play, Seq: seq, ID: id, Name: name}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Create, Target: creates}}}}
}

func TestPlanOfManyHostsIsInTheOrderOfTheRun(t *testing.T) {
	var out bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &out})
	v.Begin(view.Planning, []string{"a", "b", "c"})
	// As hosts answer, which is any order: what is done on another host comes first.
	elsewhere := event(0, 5, "b", "0/task.file.last", "task.file.last", "", "/last")
	elsewhere.On = "log"
	for _, e := range []*engine.TaskEvent{
		elsewhere,
		event(0, 2, "c", `0/role.r["x"]/task.file.f`, "task.file.f", `r["x"]`, "/f"),
		event(0, 2, "c", `0/role.r["y"]/task.file.f`, "task.file.f", `r["y"]`, "/f"),
		event(0, 1, "b", "0/task.file.first", "task.file.first", "", "/first-2"),
		event(0, 2, "b", `0/role.r["x"]/task.file.f`, "task.file.f", `r["x"]`, "/f"),
		event(0, 1, "a", "0/task.file.first", "task.file.first", "", "/first-1"),
	} {
		v.Event(e)
	}
	v.Summary(engine.NewSummary(), view.End{})
	var got []string
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.Contains(line, "  on ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"~ file.first  on a",
		"~ file.first  on b",
		`~ role.r["x"] file.f  on b, c`,
		`~ role.r["y"] file.f  on c`,
		"~ file.last  on log, for b",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestVerboseNamesAllHosts: of what many hosts share only some are named else.
func TestVerboseNamesAllHosts(t *testing.T) {
	var hosts []string
	s := engine.NewSummary()
	for i := range 12 {
		name := fmt.Sprintf("app%d", i)
		hosts = append(hosts, name)
		s.Order, s.Hosts[name] = append(s.Order, name), &engine.Counts{Pending: 1}
	}
	for _, verbose := range []bool{false, true} {
		var out bytes.Buffer
		v := view.New(view.Options{Format: "plain", Verbose: verbose, Out: &out, Err: &out})
		v.Begin(view.Planning, hosts)
		for _, name := range hosts {
			v.Event(event(0, 1, name, "0/task.file.one", "task.file.one", "", "/one"))
		}
		v.Summary(s, view.End{})
		line, end := "file.one  on app0, app1, app2 and 9 more\n", "  app0, app1, app2 and 9 more  1 pending\n"
		if verbose {
			line, end = "file.one  on "+strings.Join(hosts, ", ")+"\n", "  app10  1 pending\n  app11  1 pending\n"
		}
		if !strings.Contains(out.String(), line) || !strings.Contains(out.String(), end) {
			t.Errorf("verbose %v: %s", verbose, out.String())
		}
	}
}
