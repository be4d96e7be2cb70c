package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// maxRounds is how often a task is planned again for what could only be
// planned after its first changes.
const maxRounds = 8

// Apply makes a planned task: it plans it once more on the real host, makes
// those of its changes that were shown, and plans it a last time, which must
// find nothing left.
func (s *Session) Apply(ctx context.Context, id string) wire.Done {
	start := time.Now()
	t := s.tasks[id]
	if t == nil || t.Kind == "" {
		return wire.Done{ID: id, Status: wire.Failed, Error: "this task was never planned here"}
	}
	var d wire.Done
	s.began = false
	switch t.When.Decide(s.truth) {
	case modules.True:
		d = s.attempts(ctx, t)
	case modules.False:
		d = wire.Done{Status: wire.Skipped}
	default:
		d = wire.Done{Status: wire.Failed, Error: "a task that its condition names hasn't run"}
	}
	s.settleCutOff(t, &d)
	s.countUnended(id, &d)
	d.ID = id
	d.Changes = s.shown(t, d.Changes)
	d.Error = s.redact.Redact(d.Error)
	d.Seconds = time.Since(start).Seconds()
	t.changed = modules.False
	if counts(d.Changes) && d.Status != wire.Failed {
		t.changed = modules.True
	}
	return d
}

// countUnended takes a task that an earlier connection of the run has begun, and of
// which nothing is left to do, as changed: it is that connection that made it.
func (s *Session) countUnended(id string, d *wire.Done) {
	if t := s.tasks[id]; s.Unended == id && d.Status == wire.Unchanged && t != nil && t.Shown != nil {
		d.Status, d.Changes = wire.Changed, append(slices.Clone(t.Shown.Changes), d.Changes...)
	}
}

// attempts makes the task, again where it fails and asks for that.
func (s *Session) attempts(ctx context.Context, t *task) wire.Done {
	n, delay := 1, time.Duration(0)
	if t.Retry != nil {
		n, delay = max(1, t.Retry.Attempts), t.Retry.Delay
	}
	var made []host.Description
	for i := 1; ; i++ {
		d := s.timed(ctx, t)
		made = append(made, d.Changes...)
		d.Changes = made
		if d.Status != wire.Failed || d.Refused || i >= n || s.mayBegin(ctx) != nil {
			if d.Status == wire.Failed && i > 1 && s.mayBegin(ctx) == nil {
				d.Error = fmt.Sprintf("after %d attempts: %s", i, d.Error)
			}
			return d
		}
		if s.Host.Report != nil {
			s.Host.Report(fmt.Sprintf("attempt %d of %d failed, trying again in %s", i, n, delay))
		}
		select {
		case <-time.After(delay):
		case <-s.Gone:
		case <-ctx.Done():
		}
	}
}

// timed makes an attempt within the task's timeout: changes that can be
// interrupted are, and no other is begun after it.
func (s *Session) timed(ctx context.Context, t *task) wire.Done {
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("the task's timeout of %s is over", t.Timeout))
		defer cancel()
	}
	return s.attempt(host.WithEnvironment(ctx, t.Environment), t)
}

func (s *Session) attempt(ctx context.Context, t *task) wire.Done {
	var d wire.Done
	fail := func(err error) wire.Done {
		if !s.began && errors.Is(context.Cause(ctx), errStopped) && (errors.Is(err, errStopped) || errors.Is(err, context.Canceled)) {
			d.Status, d.Error = wire.Skipped, errStopped.Error()
			return d
		}
		d.Status, d.Error, d.Refused = wire.Failed, t.failure(err), errors.Is(err, host.ErrRefused)
		return d
	}
	if t.refused != nil {
		return fail(t.refused)
	}
	if !t.own {
		module, errs := s.Kinds.Decode(t.Kind, t.Args)
		if len(errs) > 0 {
			return fail(errors.New(joinErrors(errs)))
		}
		t.module = module
	}
	allowed, ask := newAllowance(t, s.bound(t)), ctx
	var said json.RawMessage // by what was made
	for round := 0; ; round++ {
		plan, err := s.askModule(ask, t, s.real)
		if err == nil {
			err = s.obstacle(plan, s.real)
		}
		if err != nil {
			d.Output = plan.Output
			return fail(err)
		}
		s.note(t, &d, plan.Notes)
		if len(plan.Changes) == 0 {
			if len(plan.Then) > 0 {
				return fail(fmt.Errorf("a fault of the kind %q: it expects more to do, but names no change", t.Kind))
			}
			d.Status, d.Output = wire.Unchanged, plan.Output
			if said != nil {
				d.Output = said // of what was done: the state doesn't tell it
			}
			if counts(d.Changes) {
				d.Status = wire.Changed
			}
			return d
		}
		if round > 0 && !allowed.more || round == maxRounds {
			return fail(fmt.Errorf("a fault of the kind %q: after its changes it still wants to %s", t.Kind, summary(s.describe(t, plan, 0))))
		}
		for i, c := range plan.Changes {
			if err := allowed.take(s.describe(t, plan, i), c); err != nil {
				return fail(err)
			}
		}
		allowed.more = len(plan.Then) > 0
		output, err := s.make(ctx, t, plan, &d)
		if output != nil {
			said = output
		}
		s.real.Forget()
		// What was made is whole, and is looked at even where the run was told to
		// stop while it was: no other change is begun then.
		ask = context.WithoutCancel(ctx)
		if errors.Is(err, host.ErrRebooting) {
			s.leaving, d.Status = true, wire.Changed // told by the next connection
			return d
		}
		if err != nil {
			d.Output = output
			return fail(err)
		}
		switch {
		case checks(plan.Changes):
			d.Status, d.Output = wire.Unchanged, output
			return d
		case plan.Always:
			d.Status, d.Output = wire.Changed, output
			return d
		}
	}
}

// note adds notes to what became of a task, those that its plan hasn't told.
func (s *Session) note(t *task, d *wire.Done, notes []string) {
	for _, text := range notes {
		if text = s.redact.Redact(text); !slices.Contains(t.planned.Notes, text) && !slices.Contains(d.Notes, text) {
			d.Notes = append(d.Notes, text)
		}
	}
}

// failure is the text of an error: of a sensitive task without what programs said.
func (t *task) failure(err error) string {
	if t.Sensitive {
		return host.Explain(err, host.Wordless(err))
	}
	return host.Explain(err, err.Error())
}

// checks reports whether changes only look: what they saw is their end, and
// needn't be so a moment later.
func checks(changes []host.Change) bool {
	for _, c := range changes {
		if c.Describe().Action != host.Check {
			return false
		}
	}
	return true
}

// make makes the changes of one round. Where an atomic plan fails, or a plan on
// probation before its proof, what was made of it is taken back.
func (s *Session) make(ctx context.Context, t *task, plan modules.Plan, d *wire.Done) (json.RawMessage, error) {
	defer s.accompany(t)()
	s.Host.Companions.(*companions).making = true
	var undo []host.Undo
	var told *host.Undo
	var output json.RawMessage
	var trial Trial
	first := len(d.Changes)
	s.Host.Undo = func(u host.Undo) error {
		undo[len(undo)-1], told = u, &u
		i := len(undo) - 1
		if plan.Atomic {
			if err := s.keepBack(t, plan, i, u); err != nil {
				return err
			}
		}
		return s.keep(t, plan, i, u)
	}
	defer func() { s.Host.Undo = nil }()
	back := func(cause error) error {
		if trial != nil {
			d.Changes, d.Undone = d.Changes[:first], true
			return trial.TakeBack(cause)
		}
		return s.back(plan, undo, d, first, cause)
	}
	for i, c := range plan.Changes {
		err := s.mayBegin(ctx)
		if err == nil && i == 0 && s.Begin != nil && !checks(plan.Changes) {
			err = s.Begin(t.ID, plan.Always && !s.reboots(t))
		}
		if err == nil && i == 0 && plan.Probation != nil && s.Probation != nil {
			trial, err = s.Probation(t.ID, plan.Probation.Revert)
		}
		if err != nil {
			return nil, back(fmt.Errorf("stopped before it was to %s: %w", summary(c.Describe()), err))
		}
		// A change that can't be interrupted is finished, whatever happens.
		cctx := context.WithoutCancel(ctx)
		if _, ok := c.(host.Interruptible); ok {
			cctx = ctx
		}
		var r host.Result
		undo, told = append(undo, host.Undo{}), nil
		s.began = true
		err = s.Host.At("before " + c.Type())
		if err == nil && s.Making != nil {
			made := s.Making(c, plan.Atomic)
			r, err = c.Apply(cctx, s.Host)
			made(told, err)
		} else if err == nil {
			r, err = c.Apply(cctx, s.Host)
		}
		if r.Output != nil {
			output = r.Output
		}
		for _, text := range r.Open {
			d.Open = append(d.Open, s.redact.Redact(text))
		}
		s.note(t, d, r.Notes)
		if err != nil {
			return output, back(err)
		}
		d.Changes = append(d.Changes, description(plan, i))
		if trial != nil && (i+1 == plan.Probation.Changes || i+1 == len(plan.Changes)) {
			if err := trial.Prove(); err != nil {
				return output, back(err)
			}
			trial = nil
		}
	}
	if p, ok := t.module.(*putBack); ok {
		p.made = true
	}
	if plan.Atomic && s.Whole != nil && len(undo) > 0 {
		if err := s.Whole(); err != nil {
			return output, err
		}
	}
	return output, nil
}

// mayBegin returns why no change may be begun; nil while one may.
func (s *Session) mayBegin(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Still != nil {
		return s.Still()
	}
	return nil
}

// repeats reports whether a worker's task does its work anew whenever it is made, or
// may do so: one that comes late is planned at its turn.
func (s *Session) repeats(id string) bool {
	t := s.tasks[id]
	return t == nil || t.planned.Always || t.planned.Status == ""
}

// back takes back what was made of an atomic plan: last change first, then
// what makes the restored state count, in plan order.
func (s *Session) back(plan modules.Plan, undo []host.Undo, d *wire.Done, first int, cause error) error {
	if !plan.Atomic {
		return cause
	}
	s.Host.Undo = nil
	ctx := context.Background()
	var list, after []host.Change
	for i := len(undo) - 1; i >= 0; i-- {
		list = append(list, undo[i].Changes...)
	}
	for _, u := range undo {
		after = append(after, u.After...)
	}
	last := len(undo[len(undo)-1].Changes)
	for i, c := range append(list, after...) {
		_, err := c.Apply(ctx, s.Host)
		if errors.Is(err, host.ErrMoved) && i < last {
			continue // the edit that failed hadn't acted yet
		}
		if err != nil {
			return fmt.Errorf("%w; taking it back failed too, at %s: %w", cause, summary(c.Describe()), err)
		}
	}
	d.Changes, d.Undone = d.Changes[:first], true
	return fmt.Errorf("%w (what was made of this task has been taken back)", cause)
}

func summary(d host.Description) string { return string(d.Action) + " " + d.Target }
