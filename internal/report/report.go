// Package report writes what a run came to into files: a page for people, and what
// build servers and monitoring read.
//
// A Recorder stands before the view and keeps what passes. What hosts say is data:
// each format escapes it, and a page loads nothing and runs nothing.
package report

import (
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/view"
	"muster/internal/wire"
)

// Report is what a run came to.
type Report struct {
	Command   string // "plan", "apply" or "drift"
	Playbooks []string
	By        string
	Muster    string
	Began     time.Time
	Seconds   float64
	Outcome   string // of the summary, or "error" where muster's own part went wrong
	Hosts     []Host // in the order of the run
	Tasks     []Task // in the order in which they were told first
	Notes     []Note
	Check     *drift.Check // of a drift check
}

// Host is what became of a host, over all playbooks.
type Host struct {
	Name string
	engine.Counts
	Errors []string // why it can't be used
}

// Drifted is how many tasks have something to do.
func (h *Host) Drifted() int { return h.Pending - h.Always - h.Checks }

// State is the host in a word, the worst that holds.
func (h *Host) State() string {
	switch {
	case h.Unreachable:
		return "unreachable"
	case h.Failed > h.Tolerated:
		return "failed"
	case h.Unknown > 0:
		return "unknown"
	case h.Drifted() > 0:
		return "pending"
	case h.Changed > 0:
		return "changed"
	}
	return "unchanged"
}

// Task is where a task stands on one host.
type Task struct {
	Playbook string
	*engine.TaskEvent
}

// Pending reports whether it has something to do that counts.
func (t *Task) Pending() bool { return t.Status == wire.Pending && t.Drift() }

// Bad reports whether it failed and shouldn't have.
func (t *Task) Bad() bool {
	return t.Status == wire.Failed && !t.Tolerated || t.Status == wire.Unknown
}

// Shown reports whether there is something to say of it.
func (t *Task) Shown() bool {
	return t.Pending() || t.Status == wire.Failed || t.Status == wire.Unknown || t.Status == wire.Changed
}

// Full is the task's name with its role and key.
func (t *Task) Full() string {
	name := t.Name
	if name == "" {
		name = "task." + t.Kind + "." + t.TaskEvent.Task
	}
	if t.Key != "" {
		name += "[" + t.Key + "]"
	}
	if t.Role != "" {
		name = "role." + t.Role + " " + name
	}
	return name
}

// Note is what was said of the run as a whole.
type Note struct {
	Level string // "error", "warning" or "notice"
	Text  string
	File  string
	Line  int
}

// Recorder is a view that keeps what it shows.
type Recorder struct {
	view.View
	report   Report
	playbook string
	tasks    map[key]int
	counted  map[string]*engine.Summary // by playbook: the last summary holds
	seconds  map[string]float64
}

type key struct{ playbook, host, on, id string }

// Record returns a view that keeps what it passes on to v.
func Record(v view.View, command string, began time.Time) *Recorder {
	return &Recorder{
		View: v, report: Report{Command: command, Began: began, Muster: view.Version},
		tasks: map[key]int{}, counted: map[string]*engine.Summary{}, seconds: map[string]float64{},
	}
}

// Playbook says which one follows.
func (r *Recorder) Playbook(name string) {
	if r.playbook = name; !slices.Contains(r.report.Playbooks, name) {
		r.report.Playbooks = append(r.report.Playbooks, name)
	}
}

// Event keeps where tasks stand: of several events of one, the last.
func (r *Recorder) Event(e engine.Event) {
	switch e := e.(type) {
	case *engine.TaskEvent:
		slim := *e
		slim.Output, slim.Then = nil, e.Then
		k := key{r.playbook, e.Host, e.On, e.ID}
		if i, ok := r.tasks[k]; ok {
			r.report.Tasks[i].TaskEvent = &slim
		} else {
			r.tasks[k] = len(r.report.Tasks)
			r.report.Tasks = append(r.report.Tasks, Task{r.playbook, &slim})
		}
	case *engine.HostEvent:
		h := r.host(e.Host)
		if text := e.Error.Error(); !slices.Contains(h.Errors, text) {
			h.Errors = append(h.Errors, text)
		}
	case *engine.NoticeEvent:
		level := "notice"
		if e.Fault {
			level = "error"
		}
		r.note(Note{Level: level, Text: e.Text})
	}
	r.View.Event(e)
}

// Unwrap returns the view that shows what is kept.
func (r *Recorder) Unwrap() view.View { return r.View }

// Say shows a heading, which is no part of the report.
func (r *Recorder) Say(text string) { r.View.Event(&engine.NoticeEvent{Text: text}) }

func (r *Recorder) note(n Note) {
	if !slices.Contains(r.report.Notes, n) {
		r.report.Notes = append(r.report.Notes, n)
	}
}

// Diagnostics keeps what is wrong with the input.
func (r *Recorder) Diagnostics(diags hcl.Diagnostics, sources map[string][]byte) {
	for _, d := range diags {
		n := Note{Level: "error", Text: d.Summary}
		if d.Severity == hcl.DiagWarning {
			n.Level = "warning"
		}
		if d.Detail != "" {
			n.Text += ": " + d.Detail
		}
		if d.Subject != nil {
			n.File, n.Line = d.Subject.Filename, d.Subject.Start.Line
		}
		r.note(n)
	}
	r.View.Diagnostics(diags, sources)
}

// Error keeps an error.
func (r *Recorder) Error(err error) {
	r.note(Note{Level: "error", Text: err.Error()})
	r.View.Error(err)
}

// Warn keeps a warning.
func (r *Recorder) Warn(text string) {
	r.note(Note{Level: "warning", Text: text})
	r.View.Warn(text)
}

// Summary keeps what the playbook came to.
func (r *Recorder) Summary(s *engine.Summary, end view.End) {
	r.counted[r.playbook], r.seconds[r.playbook] = s, end.Seconds
	for _, name := range s.Order {
		r.host(name)
	}
	r.View.Summary(s, end)
}

// Drift keeps the check.
func (r *Recorder) Drift(c *drift.Check) {
	r.report.Check = c
	r.View.Drift(c)
}

func (r *Recorder) host(name string) *Host {
	for i := range r.report.Hosts {
		if r.report.Hosts[i].Name == name {
			return &r.report.Hosts[i]
		}
	}
	r.report.Hosts = append(r.report.Hosts, Host{Name: name})
	return &r.report.Hosts[len(r.report.Hosts)-1]
}

// Report is what was kept, of a run that ends with an exit code.
func (r *Recorder) Report(by string, exit int) *Report {
	c := r.report
	c.By, c.Outcome = by, outcome(c.Command, exit)
	c.Hosts = r.inOrder()
	at := map[string]*Host{}
	for i := range c.Hosts {
		at[c.Hosts[i].Name] = &c.Hosts[i]
	}
	changed := false
	for name, s := range r.counted {
		c.Seconds += r.seconds[name]
		for host, n := range s.Hosts {
			h := at[host]
			h.Unchanged, h.Changed, h.Pending, h.Failed = h.Unchanged+n.Unchanged, h.Changed+n.Changed, h.Pending+n.Pending, h.Failed+n.Failed
			h.Skipped, h.NotReached = h.Skipped+n.Skipped, h.NotReached+n.NotReached
			h.Unknown, h.Tolerated = h.Unknown+n.Unknown, h.Tolerated+n.Tolerated
			h.Always, h.Checks, h.Open = h.Always+n.Always, h.Checks+n.Checks, h.Open+n.Open
			h.Unreachable = h.Unreachable || n.Unreachable
			changed = changed || n.Changed > 0
		}
		if c.Outcome == "unchanged" && s.Drift() {
			c.Outcome = "pending"
		}
	}
	if c.Outcome == "unchanged" && changed {
		c.Outcome = "changed"
	}
	return &c
}

// inOrder returns the hosts in the order in which summaries name them, whichever
// answered first.
func (r *Recorder) inOrder() []Host {
	rank := map[string]int{}
	for _, name := range r.report.Playbooks {
		if s := r.counted[name]; s != nil {
			for _, host := range s.Order {
				if _, ok := rank[host]; !ok {
					rank[host] = len(rank) - len(r.report.Hosts)
				}
			}
		}
	}
	hosts := slices.Clone(r.report.Hosts)
	slices.SortStableFunc(hosts, func(a, b Host) int { return rank[a.Name] - rank[b.Name] })
	return hosts
}

// outcome is an exit code in a word.
func outcome(command string, exit int) string {
	switch exit {
	case 0:
		return "unchanged"
	case 2:
		if command == "drift" {
			return "drift"
		}
		return "pending"
	case 4:
		return "failed"
	case 5:
		return "unreachable"
	case 130:
		return "interrupted"
	}
	return "error"
}

// Group is one task, with the hosts on which it stands the same.
type Group struct {
	Task
	Hosts []string
}

// Groups are the tasks that there is something to say of: those of one name and
// place that have the same changes are one group.
func (c *Report) Groups() []Group {
	var list []Group
	at := map[string][]int{}
	for i := range c.Tasks {
		t := &c.Tasks[i]
		if !t.Shown() {
			continue
		}
		name := t.Playbook + "\x00" + t.Play + "\x00" + drift.PathOf(t.ID) + "\x00" + t.Full()
		host := t.Host
		if t.On != "" {
			host += " on " + t.On
		}
		same := slices.IndexFunc(at[name], func(i int) bool { return alike(&list[i].Task, t) })
		if same >= 0 {
			g := &list[at[name][same]]
			g.Hosts = append(g.Hosts, host)
			continue
		}
		at[name] = append(at[name], len(list))
		list = append(list, Group{*t, []string{host}})
	}
	return list
}

func alike(a, b *Task) bool {
	return a.Status == b.Status && a.Error == b.Error && a.Certainty == b.Certainty && a.Tolerated == b.Tolerated &&
		slices.Equal(a.Changes, b.Changes) && slices.EqualFunc(a.Then, b.Then, func(x, y host.Description) bool { return x == y })
}
