package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/eval"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/internal/task"
	"muster/internal/wire"
	"muster/modules"
)

// hostRun is one host in a run. The run's mutex guards what changes.
type hostRun struct {
	name  string
	run   *Run
	plays []*playRun

	root      bool // it has to run as root, whatever its plays say
	link      *link
	facts     cty.Value
	hasFacts  bool
	said      []byte     // the facts, as they came
	err       error      // it can't be used, or can no longer
	failed    bool       // a task failed that nothing tolerates
	stopped   bool       // its connection is closed
	halted    bool       // a rolling play stopped before its batch
	unplanned bool       // planning failed on it
	ended     bool       // the journal has its end
	proved    bool       // its tasks were planned once more, all of them made
	completed int        // plays made on it
	place     place      // how far it has come
	peers     []*hostRun // the batch it is in
	outcomes  map[string]*item
	bodies    map[string]*files.Body
	epoch     int
	mixed     *plays.Play              // it has come to a task of this play that acts elsewhere
	last      *hostRun                 // the one that the task before acts on
	asked     bool                     // for facts that haven't come yet
	told      told                     // what it has said so far
	reviewing *wire.Review             // was asked for, and isn't answered
	tracing   *wire.Trace              // what the host is asked, until it has answered
	traced    [][]string               // its answer
	conflicts []wire.Conflict          // the answer to the last
	passed    map[string]modules.Truth // see pass
	guessed   bool                     // what was evaluated last read facts that pending changes may move

	cutOffs   []*node               // what takes back what runs that were cut off have left
	sentItems []*item               // in the order in which they were sent
	grants    []grant               // in the order in which they were given
	ends      int                   // of granted tasks that were heard of
	takes     int                   // how often it was connected to again
	losses    int                   // of connections, since a task last ended there
	fruit     int                   // ends, when a connection was last lost
	consulted map[string]*companion // companions that were asked there, by ID; see ask
	holds     int                   // tasks of others that hold it; see hold.go
	engaged   int                   // tasks of its own that hold others
	starting  int                   // things that are about to be granted
	begun     bool                  // something is pending there: what comes behind it is looked at again
	rebooting *reboot               // that was ordered there; nil: none
	taking    bool                  // it is being taken up: nothing is sent meanwhile
	losing    bool                  // it is given up, and that is being told
	parting   bool                  // it was told to forget what it keeps, and hasn't said that it has

	since       time.Time       // what it has in hand began; see Standing
	heard       int             // every item before this one, as sent, is planned
	settledPlan bool            // all of its tasks are planned
	waitsFor    string          // what it waits for before it begins anything, as it says; "": nothing
	unheard     map[string]bool // hosts of which something is read that can't be known, see silent
	awaits      string          // the host that it waits for before it can be planned further
}

// playRun is a play on one host.
type playRun struct {
	play          *plays.Play
	rank          int // the host's among those of the play
	nodes         []*node
	before, after []*node // of a rolling play
	// Of a rolling play that is planned as it is made: see bracket.go.
	wanted bool // the play itself has something to do
	batch  int  // the one that the host has a place in, from 1; 0: in none
}

// node is a step on one host: an item, one that another host makes for this one
// too, a block's run, or a barrier.
type node struct {
	item    *item
	shared  *item
	block   *blockRun
	barrier []int // its place
}

// blockRun is a block entered on one host.
type blockRun struct {
	block   *plays.Block
	scope   *eval.Scope
	walking walking
	nodes   []*node
	rescue  []*node
	always  []*node
}

// item is a task's instance on one host.
type item struct {
	inst    *eval.Instance
	scope   *eval.Scope
	ev      *eval.Evaluated
	on      *hostRun // the one acted on
	owner   *hostRun
	planned *wire.Planned
	done    *wire.Done
	shared  *item

	at   []int // its place; see walking
	line *line // nil: nobody else acts where it does
	turn int   // in its line

	companions []*companion // the other hosts that it needs
	held       bool         // it has them
	copy       *keptCopy    // of a file of its host, in the project's folder; nil: it keeps none

	guess     bool       // facts that it was evaluated with may be moved by what is pending
	passing   bool       // what it does is taken back by another task, by design
	reverted  bool       // its block failed: a rescue may have taken it back
	doubted   bool       // see doubt
	within    bool       // a block around it has a rescue
	dropped   bool       // its block failed before it, and was made good for
	untold    bool       // whether it is dropped isn't known yet, so its end isn't told
	rescued   bool       // a block around it has a rescue, or it may fail
	final     bool       // nothing more will become of it
	journaled bool       // the journal has it
	sent      bool       // its host was sent it
	granted   bool       // its host was told to make it
	making    bool       // and hasn't told its end yet
	task      *wire.Task // as it was sent, until it is final: to be sent once more
	again     bool       // it was sent once more, and isn't answered
	once      bool       // its outcome is unknown, and it isn't made a second time
	trial     bool       // it isn't told yet, and may be planned anew
}

// id identifies the item on the host acted on, where others may act as well.
func (it *item) id() string {
	if it.on == it.owner {
		return it.inst.ID
	}
	return it.inst.ID + "@" + it.owner.name
}

// pending reports whether the item has to be granted.
func (it *item) pending() bool {
	return it.planned != nil && it.planned.Status == wire.Pending
}

// lost notes that a host can no longer be used. It is told once, before anybody who
// waits for the host goes on.
func (h *hostRun) lost(err error) {
	r := h.run
	r.mu.Lock()
	if h.losing || h.stopped {
		r.mu.Unlock()
		return
	}
	h.losing = true
	unknown := h.inHand()
	r.mu.Unlock()
	r.emit(&HostEvent{Host: h.name, Error: r.redactedError(err)})
	for _, it := range unknown {
		r.journalDone(it, &wire.Done{ID: it.id(), Status: wire.Unknown, Error: unheard})
		r.tell(it, TaskEvent{Planned: task.Planned{Status: wire.Unknown, Error: unheard}})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range unknown {
		it.done, it.making, it.final = &wire.Done{ID: it.id(), Status: wire.Unknown, Error: unheard}, false, true
	}
	h.err, h.rebooting = err, nil
	r.change.Broadcast()
}

// close ends the connection.
func (h *hostRun) close() {
	h.run.mu.Lock()
	h.stopped = true
	l := h.link
	h.run.mu.Unlock()
	if l != nil {
		_ = l.stream.Close()
		<-l.done
	}
}

// usable reports whether the host still answers.
func (h *hostRun) usable() bool {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	return h.err == nil
}

// sending returns the link that messages are sent through; nil where the host
// couldn't be reached, which is told, or while it is taken up again.
func (h *hostRun) sending() *link {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	if h.taking {
		return nil
	}
	return h.link
}

// send sends a message, or queues it. What is lost with a connection is sent again
// by who takes the host up.
func (h *hostRun) send(m *wire.Message, queue bool) { h.sendBy(h.sending(), m, queue) }

func (h *hostRun) sendBy(l *link, m *wire.Message, queue bool) {
	if l == nil {
		return
	}
	send := l.conn.Send
	if queue {
		send = l.conn.Queue
	}
	switch err := send(m); {
	case errors.Is(err, wire.ErrTooLarge): // it would be by any other connection
		h.lost(err)
	case err != nil:
		h.cut(l, fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// planned takes the plan of a task that was sent.
func (h *hostRun) planned(p *wire.Planned) error {
	if err := planWellFormed(p); err != nil {
		return err
	}
	if err := h.pinned(p); err != nil {
		return err
	}
	if is, err := h.consultation(p); is {
		return err
	}
	if err := h.told.kept(p.Changes, p.Then, len(p.Output)+len(p.Error)+size(p.Notes)); err != nil {
		return err
	}
	h.run.mu.Lock()
	it := h.sentTo(p.ID)
	if it != nil && it.again && it.planned != nil {
		// What it shows has been shown: the host is held to that.
		it.again = false
		h.run.mu.Unlock()
		return nil
	}
	if it == nil || it.planned != nil {
		h.run.mu.Unlock()
		return fmt.Errorf("%w: a plan of a task that wasn't sent: %q", wire.ErrFrame, p.ID)
	}
	h.run.mu.Unlock()
	it.owner.keepPlan(it, p, p.Status == wire.Unchanged || p.Status == wire.Skipped)
	return nil
}

// keepPlan notes what an item would do, after telling it: who waits for it finds
// it told.
func (h *hostRun) keepPlan(it *item, p *wire.Planned, final bool) {
	if !it.trial {
		h.run.tellPlanned(it, p)
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	it.planned, it.final, it.again = p, final, false
	it.on.since = time.Now()
	it.on.begun = it.on.begun || it.pending() || it.guess
	if it.trial {
		h.run.change.Broadcast()
		return
	}
	if final {
		it.shrink()
		if !it.on.begun {
			it.task = nil
		}
	}
	if p.Status == wire.Failed && !it.rescued {
		h.failed = true
	}
	h.run.change.Broadcast()
}

// Most items of most runs: nothing to do, nothing special about them.
var (
	plainly   = &eval.Evaluated{}
	unchanged = &wire.Planned{Status: wire.Unchanged, Certainty: wire.Known}
	skipped   = &wire.Planned{Status: wire.Skipped, Certainty: wire.Known}
)

// shrink gives up what is kept of an item of the plain sort, of which long plays
// on many hosts have very many. The mutex is held.
func (it *item) shrink() {
	ev, p := it.ev, it.planned
	if !ev.Sensitive && ev.OnError != eval.Continue && ev.Retry == nil && !ev.ChangedWhen && !ev.FailedWhen && ev.When == nil && !ev.Skip && !it.deferred() {
		it.ev = plainly
	}
	if p.Certainty == wire.Known && len(p.Changes)+len(p.Then)+len(p.Output) == 0 && p.Error == "" && !p.Always {
		switch p.Status {
		case wire.Unchanged:
			it.planned = unchanged
		case wire.Skipped:
			it.planned = skipped
		}
	}
}

// tellPlanned tells what a task would do.
func (r *Run) tellPlanned(it *item, p *wire.Planned) {
	for _, note := range p.Notes {
		r.emit(&NoticeEvent{Text: it.inst.Target + ": " + r.o.Redact.Redact(note)})
	}
	e := TaskEvent{
		Planned: task.Planned{
			Status: p.Status, Certainty: p.Certainty, Changes: p.Changes, Then: p.Then, Always: p.Always, Conditional: p.Conditional,
			Digest: p.Digest, Wants: p.Wants, Behind: p.Behind, Error: p.Error, Tolerated: p.Status == wire.Failed && it.rescued,
		},
		Output: p.Output, Seconds: p.Seconds,
	}
	if p.ErrorArg != "" {
		e.File, e.Line = it.inst.Task.Place(modules.ArgError{Arg: p.ErrorArg, Path: p.ErrorPath})
	}
	r.tell(it, e)
}

// finished takes what became of a granted task.
func (h *hostRun) finished(d *wire.Done) error {
	if err := doneWellFormed(d); err != nil {
		return err
	}
	if err := h.told.kept(d.Changes, nil, len(d.Output)+len(d.Error)+size(d.Open)+size(d.Notes)); err != nil {
		return err
	}
	passedOver(d)
	h.run.mu.Lock()
	h.ends++
	h.since = time.Now()
	it := h.sentTo(d.ID)
	if it == nil || !it.making {
		h.run.mu.Unlock()
		return fmt.Errorf("%w: the end of a task that wasn't granted: %q", wire.ErrFrame, d.ID)
	}
	it.making = false
	h.rebooted(it)
	over := it.done != nil // the run was aborted, and has told an end
	h.run.mu.Unlock()
	if over {
		return nil
	}
	judged := it.judged()
	if !judged {
		h.run.tellDone(it, d)
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	it.done, it.final = d, !judged
	if it.final {
		it.task = nil
	}
	h.run.change.Broadcast()
	return nil
}

// passedOver makes the end of a task that never came to its turn one that says so.
func passedOver(d *wire.Done) {
	if d.Status == wire.Skipped && d.Error != "" {
		d.Status = wire.NotReached
	}
}

// tellDone tells what became of a task. What a block with a rescue didn't come to is told
// when the block's end is known: where it is made good for, it is skipped.
func (r *Run) tellDone(it *item, d *wire.Done) {
	if d.Status == wire.NotReached && it.within && !it.untold {
		r.mu.Lock()
		it.untold = true
		r.mu.Unlock()
		r.journalDone(it, d) // which is corrected, should it be
		return
	}
	it.untold = false
	for _, text := range slices.Concat(d.Notes, d.Open) {
		r.emit(&NoticeEvent{Text: it.inst.Target + ": " + r.o.Redact.Redact(text)})
	}
	e := TaskEvent{
		Planned: task.Planned{Status: d.Status, Changes: d.Changes, Error: d.Error, Tolerated: d.Status == wire.Failed && it.rescued},
		Output:  d.Output, Seconds: d.Seconds,
	}
	if it.planned != nil {
		e.Always = it.planned.Always
		e.Unforeseen = !slices.Equal(d.Changes, it.planned.Changes)
	}
	r.journalDone(it, d)
	r.tell(it, e)
}

// await waits until ready, called with the mutex held, says so; or until the
// run is over.
func (r *Run) await(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.change.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ready() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.change.Wait()
	}
	return nil
}
