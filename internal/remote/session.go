// Package remote is the host's half of a run: it plans tasks and makes their changes.
//
// A Session does that for one user of one host. Serve reads messages, keeps
// their order, and passes the tasks of other users on to workers, which are
// this program again under that user's name.
package remote

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
	"muster/secret"
)

// Session plans and makes the tasks of one user on this host, one at a time.
type Session struct {
	Kinds *modules.Registry
	Host  *host.Host
	// Key keys the digests.
	Key []byte
	// FactKeys says what the facts are made of that changes move.
	FactKeys map[string][]host.Key
	began    bool // something of the task in hand was
	// User is who plans here, where that isn't root.
	User string
	// Undo, if not nil, is told what takes each edit back before it is made.
	Undo func(*wire.Undo) error
	// Back, if not nil, is told the same of edits of atomic plans, to be kept on the
	// host: an error keeps the edit from being made.
	Back func(*wire.Undo) error
	// Whole, if not nil, is told that all of an atomic plan is made: nothing of it is
	// taken back any more.
	Whole func() error
	// Still, if not nil, returns why no other change may be begun.
	Still func() error
	// Gone, if not nil, is closed when Still will say so for good: nobody waits for
	// another attempt then.
	Gone <-chan struct{}
	// Unended is the task, if any, that an earlier connection of the run has begun and
	// didn't end.
	Unended string
	// Boot is the id of the boot that Unended was about to end; "": of none.
	Boot string
	// Begin, if not nil, is told before a task makes its first change. Repeats: it
	// would do its work anew if it were made again.
	Begin func(id string, repeats bool) error
	// Probation, if not nil, arms what takes a task's changes back unless they are
	// proven. nil, in tests of kinds: they are made as all others are.
	Probation func(id string, r host.Revert) (Trial, error)
	// Making, if not nil, is called right before a change is made, with whether its
	// plan is atomic. What it returns is called right after, with what the change has
	// told Begin, nil where it didn't call it, and the change's error. Tests of kinds
	// look at the host there.
	Making func(c host.Change, atomic bool) (made func(told *host.Undo, err error))

	// Ask, if not nil, asks the controller what a name stands for in this run.
	Ask host.Pinner
	// Receive, if not nil, has a companion of a task send; see host.Companions.
	Receive func(ctx context.Context, id, host string, request json.RawMessage) (io.ReadCloser, error)
	// Copies, if not nil, has the controller tell of copies in the project's folder.
	Copies Copies

	leaving bool              // the task in hand has ordered a reboot: nothing more is made here
	pins    map[string]string // what names stand for
	pinned  map[string]string // those that the plan in hand depends on; nil at other times
	preview host.Preview
	layers  []layer // what the preview is made of, in order
	real    *host.View
	ahead   *host.View // real, with preview laid
	tasks   map[string]*task
	order   []*task
	redact  secret.Redactor
}

type task struct {
	wire.Task
	module  modules.Module
	own     bool // no playbook has it: it takes back what a run has left
	planned wire.Planned
	effects []host.Effect  // laid when it was planned
	wants   map[string]int // of its planned changes
	behind  bool           // something was pending when it was planned
	changed modules.Truth
	refused error // it isn't made, for this reason
}

// NewSession returns the session of h.
func NewSession(kinds *modules.Registry, h *host.Host, key []byte) *Session {
	s := &Session{Kinds: kinds, Host: h, Key: key, tasks: map[string]*task{}, pins: map[string]string{}}
	s.real = host.NewView(h, nil)
	s.ahead = s.real.With(&s.preview)
	h.Redact = s.redact.Redact
	h.Pins = s.pin
	return s
}

// Lay lays the effects of tasks that another session of this host planned.
func (s *Session) Lay(effects []host.Effect) { s.lay("", effects) }

// lay lays what a task leaves, which may be nothing.
func (s *Session) lay(id string, effects []host.Effect) {
	s.preview.Lay(effects)
	s.layers = append(s.layers, layer{id, effects})
}

// Forget drops what was read: another session has changed the host.
func (s *Session) Forget() { s.real.Forget() }

// Settled makes known whether a task of another session changed something, or one
// of this session's by what was judged of it, for conditions of others.
func (s *Session) Settled(id string, changed modules.Truth) {
	if t := s.tasks[id]; t != nil {
		t.changed = changed
		return
	}
	s.tasks[id] = &task{Task: wire.Task{ID: id}, changed: changed}
}

// Doubt makes known that tasks may come to nothing, although their plans are to
// change something: conditions of others can't count on it.
func (s *Session) Doubt(ids []string) {
	for _, id := range ids {
		if t := s.tasks[id]; t != nil && t.changed == modules.True {
			t.changed = modules.Maybe
		}
	}
}

func (s *Session) truth(id string) modules.Truth {
	if t := s.tasks[id]; t != nil {
		return t.changed
	}
	return modules.Maybe
}

// Expect tells a kind that asks for it of its tasks that are still to be planned.
func (s *Session) Expect(kind string, tasks []wire.Task) {
	if s.Kinds.Kind(kind).Expect == nil {
		return
	}
	key := s.Kinds.Schema(kind).Key()
	var keys []string
	for _, t := range tasks {
		keys = append(keys, names(t.Args[key.Name])...)
	}
	s.Kinds.Kind(kind).Expect(s.ahead, keys)
}

// Plan plans a task on the preview of those before it, and lays its effects.
// The effects are returned for the host's other sessions.
func (s *Session) Plan(ctx context.Context, wt wire.Task) (wire.Planned, []host.Effect) {
	start := time.Now()
	t := &task{Task: wt}
	s.redact.Add(wt.Secrets...)
	s.put(t)
	s.pinned = map[string]string{}
	p := s.plan(ctx, t)
	p.Pins, s.pinned = s.pinned, nil
	p.ID = wt.ID
	p.Error = s.redact.Redact(p.Error)
	p.Seconds = time.Since(start).Seconds()
	if wt.Guess && p.Status == wire.Pending && p.Certainty == wire.Known {
		p.Certainty = wire.Tentative
	}
	p.Facts, p.MayFacts = s.moved(t.effects)
	t.settle(p)
	s.lay(wt.ID, t.effects)
	laid := t.effects
	if wt.Shown != nil {
		t.holdTo(wt.Shown)
	}
	return p, laid
}

// holdTo has a task that is planned once more do at its turn what its first plan
// showed, whatever it would do by the second.
func (t *task) holdTo(shown *wire.Planned) {
	if t.planned.Wants != shown.Wants {
		t.wants, t.effects = nil, nil
	}
	t.planned = heldTo(t.planned, shown)
}

func heldTo(p wire.Planned, shown *wire.Planned) wire.Planned {
	if shown != nil {
		p.Certainty, p.Changes, p.Then = shown.Certainty, shown.Changes, shown.Then
	}
	return p
}

// shownBy returns what a task that was planned here is held to.
func (s *Session) shownBy(id string) *wire.Shown {
	t := s.tasks[id]
	return &wire.Shown{Wants: t.wants, Behind: t.behind}
}

func counts(changes []host.Description) bool {
	for _, c := range changes {
		if c.Action.Counts() {
			return true
		}
	}
	return false
}

func (s *Session) plan(ctx context.Context, t *task) wire.Planned {
	switch t.When.Decide(s.truth) {
	case modules.False:
		return wire.Planned{Status: wire.Skipped, Certainty: wire.Known}
	case modules.Maybe:
		// Whether it runs depends on a task that can't be foreseen.
		p := s.planModule(ctx, t)
		if p.Status == wire.Pending && p.Certainty == wire.Known {
			p.Certainty = wire.Tentative
		}
		if p.Status == wire.Failed {
			p = s.deferred(t, nil, "")
		}
		p.Conditional = p.Status == wire.Pending || p.Status == wire.Unchanged
		return p
	}
	return s.planModule(ctx, t)
}

func (s *Session) planModule(ctx context.Context, t *task) wire.Planned {
	module, errs := s.Kinds.Decode(t.Kind, t.Args)
	unknown := unknownArgs(t.Args)
	if len(errs) > 0 && len(unknown) == 0 {
		return wire.Planned{Status: wire.Failed, Certainty: wire.Known, Error: joinErrors(errs)}
	}
	t.module = module
	for _, c := range s.Kinds.Schema(t.Kind).Contents(module) {
		s.Host.Bodies.Hold(c.Content)
	}
	if len(unknown) > 0 {
		return s.deferred(t, nil, openArgs(unknown))
	}
	if s.Kinds.Kind(t.Kind).Probe && s.preview.Pending() {
		return wire.Planned{Status: wire.Pending, Certainty: wire.Deferred, Changes: s.shown(t, []host.Description{{Action: host.Check, Target: s.subject(t), Diff: s.known(t), Impact: "once what is pending before it is done"}})}
	}
	plan, err := s.askModule(ctx, t, s.ahead)
	switch {
	case errors.Is(err, host.ErrNotYet):
		return s.deferred(t, plan.Then, err.Error())
	case err != nil && s.unsettled(ctx, t, err) && !t.harmless():
		// What is missing may be what an unguarded command before it makes, or a
		// right that its user is about to get.
		return s.deferred(t, nil, "for now: "+t.failure(err))
	case err != nil:
		p := wire.Planned{Status: wire.Failed, Certainty: wire.Known, Error: t.failure(err), Output: plan.Output, Refused: errors.Is(err, host.ErrRefused)}
		if at := (modules.ArgError{}); errors.As(err, &at) {
			p.ErrorArg, p.ErrorPath = at.Arg, at.Path
		}
		return p
	}
	hindered := s.obstacle(plan, s.ahead)
	if hindered != nil && !s.mayLift(ctx, t, hindered) {
		return wire.Planned{Status: wire.Failed, Certainty: wire.Known, Error: t.failure(hindered)}
	}
	p := wire.Planned{Status: wire.Unchanged, Certainty: wire.Known, Always: plan.Always, Then: s.shown(t, plan.Then)}
	for _, note := range plan.Notes {
		p.Notes = append(p.Notes, s.redact.Redact(note))
	}
	if len(plan.Changes) == 0 && len(plan.Then) == 0 {
		p.Output, p.OutputKnown = plan.Output, true
		return p
	}
	p.Status = wire.Pending
	if s.preview.Tainted() || s.moving(ctx) || hindered != nil {
		p.Certainty = wire.Tentative
	}
	if len(plan.Changes) == 0 {
		p.Certainty = wire.Deferred
	}
	t.wants, t.behind = map[string]int{}, s.preview.Pending()
	for i, c := range plan.Changes {
		p.Changes = append(p.Changes, s.describe(t, plan, i))
		if hindered != nil {
			last := &p.Changes[len(p.Changes)-1]
			last.Impact = strings.TrimPrefix(last.Impact+"; for now: "+s.redact.Redact(t.failure(hindered)), "; ")
			hindered = nil
		}
		t.effects = append(t.effects, c.Effects()...)
		t.wants[want(c)]++
	}
	beyond := slices.IndexFunc(t.effects, func(e host.Effect) bool {
		return onlyRoots(e.Key) && (e.State == host.Present || e.State == host.Absent)
	})
	if beyond >= 0 && !host.IsRoot() && !s.preview.Tainted() {
		named, key := s.bound(t), t.effects[beyond].Key
		for _, e := range t.effects { // rather what the task names than what that brings along
			if onlyRoots(e.Key) && slices.ContainsFunc(named, func(n host.Effect) bool { return n.Key == e.Key }) {
				key = e.Key
				break
			}
		}
		t.effects = nil
		return wire.Planned{Status: wire.Failed, Certainty: wire.Known, Error: fmt.Sprintf("permission denied: only root can alter the %s: let root do it (become = true)", key)}
	}
	if len(plan.Then) > 0 {
		s.leaveOpen(t)
	}
	p.Digest, p.Wants = s.digests(plan.Changes)
	p.Behind = s.brought(t)
	return p
}

// askModule plans, and bounds how long that may take by the task's timeout.
func (s *Session) askModule(ctx context.Context, t *task, v *host.View) (modules.Plan, error) {
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("the task's timeout of %s is over", t.Timeout))
		defer cancel()
	}
	ctx = host.WithEnvironment(ctx, t.Environment)
	s.Host.Passing = t.Passing
	defer s.accompany(t)()
	plan, err := t.module.Plan(ctx, v)
	if err != nil || plan.Always || len(plan.Changes)+len(plan.Then) == 0 {
		return plan, err
	}
	return s.settledOtherwise(ctx, t, v, plan), nil
}

// want identifies a change by what it wants.
func want(c host.Change) string {
	w, err := host.Want(c)
	if err != nil {
		panic("remote: encoding " + c.Type() + ": " + err.Error())
	}
	return c.Type() + " " + string(w)
}

// describe is what a plan's i-th change shows: nothing of a sensitive task's content,
// and no known secret.
func (s *Session) describe(t *task, plan modules.Plan, i int) host.Description {
	return s.shown(t, []host.Description{description(plan, i)})[0]
}

// description is what a plan's i-th change says of itself, with what becomes of it.
func description(plan modules.Plan, i int) host.Description {
	d := plan.Changes[i].Describe()
	if p := plan.Probation; p != nil && i < p.Changes {
		if d.Impact != "" {
			d.Impact += "; "
		}
		d.Impact += modules.ProbationImpact
	}
	return d
}

func (s *Session) shown(t *task, list []host.Description) []host.Description {
	out := make([]host.Description, len(list))
	for i, d := range list {
		if t.Sensitive && d.Diff != "" {
			d.Diff = t.withhold(d.Diff)
		}
		d.Target, d.Diff, d.Impact = s.redact.Redact(d.Target), s.redact.Redact(d.Diff), s.redact.Redact(d.Impact)
		out[i] = d
	}
	return out
}

// withhold returns a diff of a sensitive task as it may be shown.
func (t *task) withhold(diff string) string {
	switch {
	case !t.Apart:
		return secret.Hidden
	case len(t.Withheld) == 0:
		return diff
	}
	if w, ok := t.module.(modules.Withholder); ok {
		if diff, ok := w.Withhold(diff, t.Withheld); ok {
			return diff
		}
	}
	return secret.Hidden
}

// digests key the changes, and what they want, so that two plans can be compared
// and neither tells what it holds.
func (s *Session) digests(changes []host.Change) (whole, wants string) {
	all, wanted := hmac.New(sha256.New, s.Key), hmac.New(sha256.New, s.Key)
	enc := json.NewEncoder(all)
	for _, c := range changes {
		kind, data, err := host.Encode(c)
		if err != nil {
			panic("remote: encoding " + c.Type() + ": " + err.Error())
		}
		_ = enc.Encode([]any{kind, data})
		_, _ = fmt.Fprintln(wanted, want(c))
	}
	return hex.EncodeToString(all.Sum(nil)), hex.EncodeToString(wanted.Sum(nil))
}

// label names the task to the user: what its ID says after the play's part.
func (t *task) label() string {
	for i := range t.ID {
		if t.ID[i] == '/' {
			return t.ID[i+1:]
		}
	}
	return t.ID
}
