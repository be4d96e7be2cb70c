package engine

import (
	"muster/host"
	"muster/internal/wire"
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
	Host, Play, Role string
	PlayIndex        int    // of Play, from 0
	Seq              int    // the task's place in it, in the order in which tasks are made
	Task             string // its label
	Name             string // as references call it: task.file["/etc/motd"]
	ID               string // of the instance: unique together with Host and On
	Key              string // of for_each
	Kind             string
	On               string // the host acted on, where it isn't Host
	Status           wire.Status
	Certainty        wire.Certainty // of pending ones
	Changes          []host.Description
	Then             []host.Description // what can only be foreseen
	Always           bool
	Conditional      bool   // whether it runs at all is known after apply
	Unforeseen       bool   // what was made isn't just what its plan showed
	Sensitive        bool   // nothing of what it changes is shown
	Digest           string // of the changes, where it is pending, keyed with Options.Key
	Wants            string // of what they want, whatever they found, likewise
	Behind           bool   // earlier tasks bring what it is about: what it finds may move
	Error            string
	Tolerated        bool
	Output           []byte // JSON, of some kinds
	File             string // where the task stands
	Line             int
	Seconds          float64
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
	t := it.inst.Task
	e.Host, e.Play, e.Role, e.Task, e.Name, e.Key, e.Kind = it.inst.Host, t.Play.Name, it.scope.Role(), t.Label, t.Name(), it.inst.Key, t.Kind
	if it.inst.Target != it.inst.Host {
		e.On = it.inst.Target
	}
	e.ID, e.PlayIndex, e.Seq, e.Sensitive = it.inst.ID, t.Play.Index, t.Seq(), it.ev != nil && it.ev.Sensitive
	if e.File == "" {
		e.File, e.Line = t.Range.Filename, t.Range.Start.Line
	}
	e.Error, e.Changes, e.Then = r.o.Redact.Redact(e.Error), r.redacted(e.Changes), r.redacted(e.Then)
	if e.Output = r.redactedOutput(e.Output); e.Sensitive {
		e.Output = nil // it is only for the expressions that read it
	}
	r.emit(&e)
}
