package engine

import (
	"muster/internal/task"
)

// Event is something that a run tells: *PlayEvent, *HostEvent, *TaskEvent,
// *ProgressEvent, *RescueEvent, *TraceEvent or *NoticeEvent.
type Event interface{ event() }

// PlayEvent is the begin of a play's making.
type PlayEvent struct{ Play string }

// HostEvent is a host that can't be used, and why.
type HostEvent struct {
	Host  string
	Error error
}

// TaskEvent is where a task stands on a host. In an apply, a task that is
// pending comes a second time when it is done.
type TaskEvent struct {
	task.Place
	// Planned is what it would do. Of one that was made, Status, Changes and Error are what
	// became of it.
	task.Planned
	Unforeseen bool   // what was made isn't just what its plan showed
	Output     []byte // JSON, of some kinds
	Seconds    float64
}

// ProgressEvent says how a long change is getting on.
type ProgressEvent struct{ Host, Task, Text string }

// RescueEvent is what a block's rescue would run if the block failed on hosts on
// which something in it is pending. It is part of a plan, and may come to nothing.
type RescueEvent struct {
	Play, Block string
	Hosts       []string
	Tasks       []string // as references call them: task.command.logs
}

// NoticeEvent is something about the run as a whole.
type NoticeEvent struct {
	Text  string
	Fault bool // it says that something went wrong
}

func (*RescueEvent) event()   {}
func (*NoticeEvent) event()   {}
func (*PlayEvent) event()     {}
func (*HostEvent) event()     {}
func (*TaskEvent) event()     {}
func (*ProgressEvent) event() {}

// emit tells an event, one at a time.
func (r *Run) emit(e Event) {
	r.emitting.Lock()
	defer r.emitting.Unlock()
	if r.o.Events != nil {
		r.o.Events(e)
	}
}

// tell tells where an item stands.
func (r *Run) tell(it *item, e TaskEvent) {
	file, line := e.File, e.Line
	e.Place = it.where()
	if file != "" {
		e.File, e.Line = file, line
	}
	e.Sensitive = it.ev != nil && it.ev.Sensitive
	e.Error, e.Changes, e.Then = r.o.Redact.Redact(e.Error), r.redacted(e.Changes), r.redacted(e.Then)
	if e.Output = r.redactedOutput(e.Output); e.Sensitive {
		e.Output = nil // it is only for the expressions that read it
	}
	r.emit(&e)
}

// where says which task an item is.
func (it *item) where() task.Place {
	t := it.inst.Task
	p := task.Place{
		Ref: task.Ref{Host: it.inst.Host, Play: t.Play.Name, Role: it.scope.Role(), Task: t.Label, Key: it.inst.Key, Kind: t.Kind},
		ID:  it.inst.ID, Name: t.Name(), PlayIndex: t.Play.Index, Seq: t.Seq(), File: t.Range.Filename, Line: t.Range.Start.Line,
	}
	if it.inst.Target != it.inst.Host {
		p.On = it.inst.Target
	}
	return p
}
