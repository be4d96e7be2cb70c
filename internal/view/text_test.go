package view_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
)

// plain shows the events of a plan of some hosts, and returns its lines.
func plain(hosts []string, events ...*engine.TaskEvent) string {
	var out, errs bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &errs})
	v.Begin(view.Planning, hosts)
	for _, e := range events {
		e.Play = "site"
		v.Event(e)
	}
	v.Begin(view.Making, hosts) // what was gathered is shown
	return out.String() + errs.String()
}

func TestTextShowsTasksAsTheyAre(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hosts  []string
		events []*engine.TaskEvent
		want   string
	}{
		{"tabs of a diff stay tabs", []string{"a"}, []*engine.TaskEvent{{Place: task.Place{Ref: task.Ref{Host: "a"}, ID: "0/task.file.make", Name: "task.file.make"}, Planned: task.Planned{Status: wire.Pending, Changes: []host.Description{{Action: host.Update, Target: "/srv/Makefile", Diff: "-\told\n+\tnew"}}}}}, "site\n  ~ file.make  on a\n      update /srv/Makefile\n        -\told\n        +\tnew\n\n"},
		{"the lines of an error end where its text does", []string{"a"}, []*engine.TaskEvent{{Place: task.Place{Ref: task.Ref{Host: "a"}, ID: "0/task.command.x", Name: "task.command.x", File: "site.hcl", Line: 3}, Planned: task.Planned{Status: wire.Failed, Error: "a longer line of it\nshort"}}}, "site\n  ! command.x  on a  failed, site.hcl:3\n      a longer line of it\n      short\n\n"},
		{"what takes back a run that was cut off is in no playbook", []string{"a"}, []*engine.TaskEvent{{Place: task.Place{Ref: task.Ref{Host: "a"}, ID: "cut-off/x", Name: "run x"}, Planned: task.Planned{Status: wire.Failed, Error: "no"}}}, "site\n  ! run x  on a  failed\n      no\n\n"},
		{"what several hosts answer alike is shown once", []string{"a", "b"}, []*engine.TaskEvent{
			{Place: task.Place{Ref: task.Ref{Host: "a", Kind: "print"}, ID: "0/task.print.x", Name: "task.print.x"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "b", Kind: "print"}, ID: "0/task.print.x", Name: "task.print.x"}, Planned: task.Planned{Status: wire.Unchanged}},
		}, "site\n  = print.x  on a, b  unchanged\n\n"},
		{"the elements of a role with for_each are tasks of their own", []string{"a", "b"}, []*engine.TaskEvent{
			{Place: task.Place{Ref: task.Ref{Host: "a", Role: `r["x"]`, Kind: "print"}, ID: `0/role.r["x"]/task.print.p`, Name: "task.print.p"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "a", Role: `r["y"]`, Kind: "print"}, ID: `0/role.r["y"]/task.print.p`, Name: "task.print.p"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "b", Role: `r["x"]`, Kind: "print"}, ID: `0/role.r["x"]/task.print.p`, Name: "task.print.p"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "b", Role: `r["y"]`, Kind: "print"}, ID: `0/role.r["y"]/task.print.p`, Name: "task.print.p"}, Planned: task.Planned{Status: wire.Unchanged}},
		}, "site\n  = role.r[\"x\"] print.p  on a, b  unchanged\n  = role.r[\"y\"] print.p  on a, b  unchanged\n\n"},
		{"packages are installed and removed", []string{"a"}, []*engine.TaskEvent{{Place: task.Place{Ref: task.Ref{Host: "a", Kind: "package"}, ID: "0/task.package.x", Name: "task.package.x"}, Planned: task.Planned{Status: wire.Pending, Changes: []host.Description{{Action: host.Create, Target: "package x"}, {Action: host.Delete, Target: "package y"}, {Action: host.Update, Target: "package z"}}}}}, "site\n  ~ package.x  on a\n      install package x\n      remove package y\n      update package z\n\n"},
		{"a task says on which host it acts, and for which", []string{"a", "b"}, []*engine.TaskEvent{
			{Place: task.Place{Ref: task.Ref{Host: "a", On: "lb1", Kind: "print"}, ID: "0/task.print.x", Name: "task.print.x"}, Planned: task.Planned{Status: wire.Unchanged}},
			{Place: task.Place{Ref: task.Ref{Host: "b", On: "lb1", Kind: "print"}, ID: "0/task.print.x", Name: "task.print.x"}, Planned: task.Planned{Status: wire.Unchanged}},
		}, "site\n  = print.x  on lb1, for a, b  unchanged\n\n"},
		{"a message that is sensitive is said to be so", []string{"a"}, []*engine.TaskEvent{
			{Place: task.Place{Ref: task.Ref{Host: "a", Kind: "print"}, ID: "0/task.print.x", Name: "task.print.x"}, Planned: task.Planned{Status: wire.Unchanged, Sensitive: true}},
		}, "site\n  = print.x  on a  unchanged\n      (sensitive)\n\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, plain(tt.hosts, tt.events...)); d != "" {
				t.Error(d)
			}
		})
	}
}

// "Nothing to change" alone would say that all was found well.
func TestSummaryTellsWhatIsNotProved(t *testing.T) {
	var out bytes.Buffer
	v := view.New(view.Options{Format: "plain", Out: &out, Err: &out})
	s := engine.NewSummary()
	s.Order, s.Hosts["db2"] = []string{"db2"}, &engine.Counts{Unchanged: 3, Open: 1}
	v.Summary(s, view.End{Seconds: 1.5})
	if want := "\n  db2   2 unchanged, 1 not proved\nNothing to change, but not all is proved, in 1.5s\n"; out.String() != want {
		t.Errorf("it reads\n%s\nand not\n%s", out.String(), want)
	}
}
