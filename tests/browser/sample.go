package browser

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/report"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/transport"
)

// night is when the samples were made.
var night = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// silent is a view that shows nothing.
type silent struct{ view.View }

func (silent) Event(engine.Event)                {}
func (silent) Summary(*engine.Summary, view.End) {}

func recorder() *report.Recorder {
	r := report.Record(silent{view.New(view.Options{Format: "plain", Out: io.Discard, Err: io.Discard})}, "drift", night)
	r.Playbook("playbooks/site.hcl")
	return r
}

func html(c *report.Report) (string, error) {
	var b bytes.Buffer
	err := report.Encode(&b, "html", c)
	return b.String(), err
}

// Sample is the page of a check of a small fleet, as people have them.
func Sample() (string, error) {
	r := recorder()
	s := engine.NewSummary()
	tell := func(e engine.TaskEvent) {
		e.Play, e.File = "servers", "playbooks/site.hcl"
		r.Event(&e)
		s.Add(&e)
	}
	hosts := []string{"lb1", "app1", "app2", "app3", "db1", "db2", "cache1", "log1"}
	for _, h := range hosts {
		for n := range 40 {
			tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h, Kind: "file"}, ID: fmt.Sprintf("0/task.file.f%d", n), Name: fmt.Sprintf("task.file.f%d", n), Line: n}, Planned: task.Planned{Status: wire.Unchanged}})
		}
	}
	motd := []host.Description{{Action: host.Update, Target: "/etc/motd", Diff: "@@ -1,2 +1,2 @@\n Welcome.\n-Maintenance tonight, ask bob\n+This host is managed by muster.\n"}}
	for _, h := range []string{"app1", "app2", "app3"} {
		tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h, Kind: "file"}, ID: "0/task.file.motd", Name: "task.file.motd", Line: 12}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: motd}})
	}
	tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "lb1", Kind: "template"}, ID: "0/task.template.haproxy", Name: "task.template.haproxy", Line: 31}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{
		{Action: host.Update, Target: "/etc/haproxy/haproxy.cfg", Diff: "@@ -14,4 +14,4 @@\n backend app\n-  server app1 10.0.0.11:8080 weight 10\n+  server app1 10.0.0.11:8080 weight 100 check\n   server app2 10.0.0.12:8080 weight 100 check\n"},
		{Action: "reload", Target: "haproxy.service", Impact: "Connections stay open."},
	}}})
	tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "db2", Kind: "sysctl"}, ID: "0/task.sysctl.swap", Name: "task.sysctl.swap", Line: 48}, Planned: task.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Update, Target: "vm.swappiness", Diff: "-60\n+10\n"}}}})
	tell(engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "cache1", Kind: "service"}, ID: "0/task.service.redis", Name: "task.service.redis", Line: 60}, Planned: task.Planned{Status: wire.Failed, Error: "redis-server.service has no unit file: install the package in a task before this one"}})
	r.Event(&engine.HostEvent{Host: "log1", Error: &transport.UnreachableError{Host: "log1", Stage: transport.StageConnect, Err: errors.New("dial tcp 10.0.0.30:22: i/o timeout")}})
	s.Hosts["log1"] = &engine.Counts{Unreachable: true}
	s.Order = hosts
	r.Summary(s, view.End{Seconds: 0.9})
	item := func(h, name string, line int, state drift.State, since time.Duration) drift.Item {
		return drift.Item{Place: drift.Place{Playbook: "playbooks/site.hcl", Host: h, Play: "servers", Path: name}, Name: name, File: "playbooks/site.hcl", Line: line, State: state, Since: night.Add(-since)}
	}
	contested := item("lb1", "task.template.haproxy", 31, drift.New, 0)
	contested.Returned, contested.Contested, contested.PutRight = 3, true, drift.Run{ID: "20260503-0914-22b0", By: "ann@laptop"}
	contested.Known = []string{"/etc/haproxy/haproxy.cfg was written at 2026-05-03 22:14:07 UTC; it belongs to root", "bob ran vim by sudo, with this path, at 2026-05-03 22:13:51 UTC"}
	fresh := item("app1", "task.file.motd", 12, drift.New, 0)
	fresh.Known = []string{"/etc/motd was written at 2026-05-03 21:40:00 UTC; it belongs to root", "bob was logged in then, since 2026-05-03 21:38:12 UTC, from 10.0.0.5"}
	gone := item("app2", "task.package.nginx", 22, drift.Gone, 72*time.Hour)
	gone.PutRight = drift.Run{ID: "20260503-0914-22b0", By: "ann@laptop"}
	row := func(name string, found ...int) drift.PastRow {
		r := drift.PastRow{Name: name}
		for _, n := range found {
			r.Found = append(r.Found, drift.Found{Looked: true, Unchecked: n < 0, N: max(n, 0)})
		}
		return r
	}
	past := drift.Past{
		Hosts: []drift.PastRow{row("app1", 0, 0, 0, 2, 2, 0, 1), row("lb1", 0, 1, 0, 1, 0, 1, 1), row("db2", 1, 1, 1, 1, 1, 1, 1), row("app2", 0, 0, 0, 1, 1, 1, 1), row("log1", 0, 0, 0, 0, 0, 1, -1)},
		Tasks: []drift.PastRow{row("sysctl.swap", 1, 1, 1, 1, 1, 1, 1), row("template.haproxy", 0, 1, 0, 1, 0, 1, 1), row("file.motd", 0, 0, 0, 1, 1, 0, 2), row("package.nginx", 0, 0, 0, 2, 2, 1, 0), row("file.rsyslog", 0, 0, 0, 0, 0, 1, 0)},
	}
	for n := range 7 {
		past.Checks = append(past.Checks, night.AddDate(0, 0, n-6))
	}
	r.Drift(&drift.Check{Past: past, ID: "20260504-0302-1c20", Last: "20260503-0302-9a11", LastBegan: night.Add(-24 * time.Hour), Items: []drift.Item{
		contested, fresh, item("app2", "task.file.motd", 12, drift.New, 0), item("db2", "task.sysctl.swap", 48, drift.Still, 6*24*time.Hour), gone, item("log1", "task.file.rsyslog", 71, drift.Unchecked, 48*time.Hour),
	}})
	return html(r.Report("muster@admin1", 5))
}

// Hostile is the page of a check in which everything that a host or a playbook can say is text.
func Hostile(text string) (string, error) {
	r := recorder()
	s := engine.NewSummary()
	for _, h := range []string{"web1", text} {
		for _, status := range []wire.Status{wire.Pending, wire.Failed} {
			e := engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: h, On: text, Play: text, Key: text, Role: text}, Name: text, ID: "0/" + string(status), File: text, Line: 1}, Planned: task.Planned{Status: status, Certainty: wire.Known}}
			if status == wire.Failed {
				e.Error = text
			} else {
				e.Changes = []host.Description{{Action: host.Update, Target: text, Impact: text, Diff: "-old\n+" + text + "\n"}}
			}
			r.Event(&e)
			s.Add(&e)
		}
	}
	r.Event(&engine.HostEvent{Host: "away", Error: errors.New(text)})
	s.Hosts["away"] = &engine.Counts{Unreachable: true}
	s.Order = []string{"web1", text, "away"}
	r.Summary(s, view.End{Seconds: 1})
	r.Warn(text)
	r.Error(errors.New(text))
	hostile := []drift.PastRow{{Name: text, Found: []drift.Found{{Looked: true, N: 1}, {Looked: true, N: 1}}}}
	r.Drift(&drift.Check{ID: "c2", Past: drift.Past{Checks: make([]time.Time, 2), Hosts: hostile, Tasks: hostile}, Items: []drift.Item{{Place: drift.Place{Host: text, On: text}, Name: text, Key: text, Role: text, File: text, State: drift.New, PutRight: drift.Run{ID: text, By: text}, Known: []string{text}}}})
	return html(r.Report(text, 4))
}

// Fleet is the page of 1,000 hosts with 200 tasks each, of which 20 have something to do, one
// of them on each host something else.
func Fleet() (string, error) {
	r := recorder()
	s := engine.NewSummary()
	for h := range 1000 {
		name := fmt.Sprintf("web%03d", h)
		for n := range 200 {
			e := engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: name, Play: "p", Kind: "file"}, ID: fmt.Sprintf("0/task.file.t%d", n), Name: fmt.Sprintf("task.file.t%d", n), File: "site.hcl", Line: n}, Planned: task.Planned{Status: wire.Unchanged}}
			if n < 20 {
				e.Status, e.Changes = wire.Pending, []host.Description{{Action: host.Update, Target: "/x", Diff: strings.Repeat("+x\n", 300)}}
			}
			if n == 0 {
				e.Changes[0].Diff = fmt.Sprintf("+%d\n", h) + strings.Repeat("+yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", 100)
			}
			r.Event(&e)
		}
		s.Order = append(s.Order, name)
		s.Hosts[name] = &engine.Counts{Unchanged: 180, Pending: 20}
	}
	r.Summary(s, view.End{Seconds: 1})
	return html(r.Report("ann@laptop", 0))
}
