package view_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
)

// BenchmarkAThousandHosts is the terminal's part of a run of 1,000 hosts with 100 tasks
// each, one of which is changed on all: what its plan and its apply show, and a footer
// every fifth of a second for a minute.
func BenchmarkAThousandHosts(b *testing.B) {
	var hosts []string
	var standings []engine.Standing
	for i := range 1000 {
		name := fmt.Sprintf("web%d", i)
		hosts = append(hosts, name)
		standings = append(standings, engine.Standing{Host: name, Stage: engine.StageApply, Name: "task.file.f", Since: ago(i % 30)})
	}
	var events []*engine.TaskEvent
	for n := range 100 {
		id := fmt.Sprintf("0/task.file.f%d", n)
		for _, h := range hosts {
			e := &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h, Play: "site", Kind: "file"}, Seq: n, ID: id, Name: id[2:]}, Planned: task.Planned{Status: wire.Unchanged}}
			if n == 50 {
				e = event(0, n, h, id, id[2:], "", "/f")
			}
			events = append(events, e)
		}
	}
	s := engine.NewSummary()
	for _, h := range hosts {
		s.Order, s.Hosts[h] = append(s.Order, h), &engine.Counts{Unchanged: 99, Changed: 1}
	}
	for b.Loop() {
		out := view.Folding(io.Discard, func() int { return 80 })
		v := view.New(view.Options{Format: "pretty", Out: out, Err: out})
		screen := view.NewScreen(io.Discard, io.Discard, func() (int, int) { return 80, 24 }, true)
		v.Begin(view.PlanningFirst, hosts)
		for _, e := range events {
			v.Event(e)
		}
		v.Begin(view.Making, hosts)
		for _, e := range events[50*1000 : 51*1000] {
			v.Event(done(e, wire.Changed, ""))
		}
		for i := range 300 {
			screen.Footer(view.Footer(standings, ago(60), noon.Add(time.Duration(i)*200*time.Millisecond), 3))
		}
		v.Summary(s, view.End{})
	}
}
