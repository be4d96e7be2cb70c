package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/tests/await"
	"muster/transport"
)

var eight = []string{"lb1", "app1", "app2", "app3", "db1", "db2", "cache1", "log1"}

// task is one of the sample's.
type work struct {
	name, kind string
	line       int
	always     bool
	change     host.Description
}

// tasks are a host's.
func tasks(name string) []work {
	return []work{
		{"task.package.chrony", "package", 4, false, host.Description{Action: host.Create, Target: "package chrony 4.3-2+deb12u1"}},
		{"task.template.chrony", "template", 8, false, host.Description{Action: host.Update, Target: "/etc/chrony/chrony.conf",
			Diff: "@@ -3,4 +3,5 @@\n confdir /etc/chrony/conf.d\n-pool 2.debian.pool.ntp.org iburst\n+server ntp1.internal iburst\n+server ntp2.internal iburst\n driftfile /var/lib/chrony/chrony.drift\n+bindcmdaddress " + address(name)}},
		{"task.file.motd", "file", 16, false, host.Description{Action: host.Create, Target: "/etc/motd.d/" + name, Diff: "@@ -0,0 +1 @@\n+" + name + " is kept by muster"}},
		{"task.service.chrony", "service", 21, false, host.Description{Action: host.Restart, Target: "chrony.service"}},
		{"task.command.synchronised", "command", 25, true, host.Description{Action: host.Run, Target: "chronyc waitsync 10"}},
	}
}

// address is where a host answers: some share one.
func address(name string) string {
	if strings.HasPrefix(name, "db") {
		return "10.0.2.1"
	}
	return "10.0.1.1"
}

func (t work) event(at string, seq int, status wire.Status) *engine.TaskEvent {
	return &engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: at, Play: "time", Kind: t.kind}, Seq: seq, ID: "0/" + t.name, Name: t.name, File: "playbooks/time.hcl", Line: t.line}, Planned: task.Planned{Status: status, Always: t.always, Certainty: wire.Known, Changes: []host.Description{t.change}}}
}

// show returns a view of a terminal, and the two parts of it.
func show(columns int) (*terminal, *view.Screen, view.View) {
	x := &terminal{}
	s := view.NewScreen(x, x, func() (int, int) { return columns, 40 }, true)
	return x, s, view.New(view.Options{Format: "pretty", Color: true, Out: s.Out(), Err: s.Err()})
}

// plan plans hosts, and says what it came to.
func plan(v view.View, p view.Phase, hosts []string) *engine.Summary {
	v.Begin(p, hosts)
	s := engine.NewSummary()
	for _, h := range hosts {
		for i, t := range tasks(h) {
			e := t.event(h, i, wire.Pending)
			v.Event(e)
			s.Add(e)
		}
	}
	return s
}

func planned(columns int) string {
	x, _, v := show(columns)
	v.Summary(plan(v, view.Planning, eight), view.End{Seconds: 2.3})
	return "$ muster plan playbooks/time.hcl\n" + x.text(columns)
}

// begin plans and begins to make, with nothing of it on the terminal.
func begin(x *terminal, v view.View) {
	plan(v, view.PlanningFirst, eight)
	v.Begin(view.Making, eight)
	x.rows, x.at = nil, 0
}

// made is an apply in which some hosts fail.
func made(columns, failing int) string {
	x, _, v := show(columns)
	begin(x, v)
	s := engine.NewSummary()
	fails := []string{"app2", "db1", "log1"}[:failing]
	end := view.End{Seconds: 21.4, Run: "20260504-0302-7f3a"}
	for i := range tasks("") {
		for _, h := range eight {
			t := tasks(h)[i]
			e := t.event(h, i, wire.Changed)
			if slices.Contains(fails, h) && i >= 3 {
				if e.Status, e.Error = wire.Skipped, "a task before it failed"; i == 3 {
					e.Status, e.Changes = wire.Failed, nil
					e.Error = "restarting chrony.service: it failed, exit code 1\nchronyd[4711]: Could not open /etc/chrony/keys\nchronyd[4711]: Fatal error"
				}
			}
			v.Event(e)
			s.Add(e)
			if e.Status == wire.Skipped {
				s.Hosts[h].Skipped, s.Hosts[h].NotReached = 0, 1
			}
		}
	}
	if failing > 0 {
		end.Next = "muster apply playbooks/time.hcl --yes --resume"
	}
	v.Summary(s, end)
	return "$ muster apply playbooks/time.hcl --yes\n" + x.text(columns)
}

// standing is a run whose hosts stand somewhere.
type standing []engine.Standing

func (s standing) Standings() []engine.Standing { return s }

// waiting is an apply in which one host takes long.
func waiting(columns int) string {
	x, s, v := show(columns)
	begin(x, v)
	var list standing
	for _, h := range eight {
		list = append(list, engine.Standing{Host: h, Stage: engine.StageDone})
		for i, t := range tasks(h) {
			if h == "db1" {
				break
			}
			v.Event(t.event(h, i, wire.Changed))
		}
	}
	list[4] = engine.Standing{Host: "db1", Stage: engine.StageApply, Name: "task.package.chrony", Since: time.Now().Add(-14 * time.Second), Bound: 5 * time.Minute}
	stop := view.Watch(s, v, list, time.Now().Add(-16*time.Second))
	defer stop()
	if !await.True(context.Background(), func() bool { return strings.Contains(x.text(columns), "of ≤5m") }) {
		panic("the footer doesn't say how long the task may take")
	}
	return "$ muster apply playbooks/time.hcl --yes\n" + x.text(columns)
}

// large is a plan of 200 hosts, two of which can't be reached.
func large(columns int) string {
	x, _, v := show(columns)
	var hosts []string
	for i := range 200 {
		hosts = append(hosts, fmt.Sprintf("web%d", i+1))
	}
	lost := []string{"web17", "web130"}
	s := plan(v, view.Planning, slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return slices.Contains(lost, h) }))
	for _, h := range lost {
		v.Event(&engine.HostEvent{Host: h, Error: &transport.UnreachableError{Host: h, Where: "10.0.3." + h[3:] + ":22", Stage: transport.StageConnect, Err: errors.New("no answer within 10s")}})
		s.Order, s.Hosts[h] = append(s.Order, h), &engine.Counts{Unreachable: true}
	}
	s.Outcome = engine.OutcomeUnreachable
	v.Summary(s, view.End{Seconds: 10.6, Next: "muster plan playbooks/time.hcl --limit web17,web130"})
	return "$ muster plan playbooks/time.hcl\n" + x.text(columns)
}
