package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
)

// companions are the other hosts of the task in hand.
type companions struct {
	s      *Session
	t      *task
	making bool
}

// accompany gives the host the companions of a task, and its copy in the project's folder,
// until what it returns is called.
func (s *Session) accompany(t *task) (end func()) {
	was, copies := s.Host.Companions, s.Host.Copies
	s.Host.Companions, s.Host.Copies = &companions{s: s, t: t}, copyOf{s, t.ID}
	return func() { s.Host.Companions, s.Host.Copies = was, copies }
}

// Accompany replaces what the companions of a task have told.
func (s *Session) Accompany(id string, told map[string][]byte) {
	if t := s.tasks[id]; t != nil {
		t.Companions = told
	}
}

// Output is what a companion's plan has told.
func (c *companions) Output(name string) (json.RawMessage, error) {
	told, ok := c.t.Companions[name]
	switch {
	case !ok:
		return nil, noCompanion(name)
	case len(told) == 0:
		return nil, fmt.Errorf("what %s tells is open while changes are pending there: %w", name, host.ErrNotYet)
	}
	return json.RawMessage(told), nil
}

func noCompanion(name string) error { return fmt.Errorf("the task has no companion on %s", name) }

// errOnlyChanges is a plan that would receive.
var errOnlyChanges = errors.New("a fault of the kind: only a change may receive from a companion, while it is made")

// Receive has a companion send.
func (c *companions) Receive(ctx context.Context, name string, request json.RawMessage) (io.ReadCloser, error) {
	if _, ok := c.t.Companions[name]; !ok {
		return nil, noCompanion(name)
	}
	if !c.making {
		return nil, errOnlyChanges
	}
	if c.s.Receive == nil {
		return nil, errNoCompanions
	}
	return c.s.Receive(ctx, c.t.ID, name, request)
}

// errNoCompanions is a task with companions of a user whom root's remote made a worker for.
var errNoCompanions = errors.New(`only the remote itself can have another host send: give the task "become = true"`)

// Consult plans a companion: what it tells goes to the task that needs it. It is planned
// on what the tasks sent before it leave, a late one on the host as it is, and it isn't
// one of the host's tasks.
func (s *Session) Consult(ctx context.Context, wt wire.Task) wire.Planned {
	s.redact.Add(wt.Secrets...)
	fail := func(format string, a ...any) wire.Planned {
		return wire.Planned{ID: wt.ID, Status: wire.Failed, Certainty: wire.Known, Error: s.redact.Redact(fmt.Sprintf(format, a...))}
	}
	if _, err := s.sender(wt); err != nil {
		return fail("%v", err)
	}
	t := &task{Task: wt}
	t.module, _ = s.Kinds.Decode(wt.Kind, wt.Args)
	for _, c := range s.Kinds.Schema(wt.Kind).Contents(t.module) {
		s.Host.Bodies.Hold(c.Content)
	}
	v := s.ahead
	if wt.Late {
		s.Forget() // also what nobody of this run has moved: a position, a state
		v = s.real
	}
	plan, err := s.askModule(ctx, t, v)
	open := wire.Planned{ID: wt.ID, Status: wire.Pending, Certainty: wire.Deferred}
	switch {
	case errors.Is(err, host.ErrNotYet), err != nil && !wt.Late && s.unsettled(ctx, t, err):
		return open
	case err != nil:
		return fail("%s", t.failure(err))
	case len(plan.Changes)+len(plan.Then) > 0:
		return fail("a fault of the kind %q: a companion changes nothing", wt.Kind)
	}
	return wire.Planned{ID: wt.ID, Status: wire.Unchanged, Certainty: wire.Known, Output: plan.Output, OutputKnown: true}
}

// sender is the module of a companion, made anew.
func (s *Session) sender(wt wire.Task) (modules.Sender, error) {
	k := s.Kinds.Kind(wt.Kind)
	if k == nil || !k.Companion {
		return nil, fmt.Errorf("the kind %q isn't a companion's", wt.Kind)
	}
	m, errs := s.Kinds.Decode(wt.Kind, wt.Args)
	if len(errs) > 0 {
		return nil, errors.New(joinErrors(errs))
	}
	sender, ok := m.(modules.Sender)
	if !ok {
		return nil, fmt.Errorf("a fault of the kind %q: it can't send", wt.Kind)
	}
	return sender, nil
}

// isCompanion reports whether a task is another host's task's companion.
func (s *Session) isCompanion(t wire.Task) bool {
	k := s.Kinds.Kind(t.Kind)
	return k != nil && k.Companion
}

// SendOnce decodes a companion and has it send.
func SendOnce(ctx context.Context, kinds *modules.Registry, h *host.Host, wt wire.Task, request json.RawMessage, w io.Writer) error {
	sender, err := (&Session{Kinds: kinds}).sender(wt)
	if err != nil {
		return err
	}
	return sender.Send(ctx, h, request, w)
}

// refuse has a task fail at its turn.
func (s *Session) refuse(id string, why error) {
	if t := s.tasks[id]; t != nil {
		t.refused = why
	}
}

// consult plans a companion of a task on another host.
func (s *server) consult(ctx context.Context, t wire.Task) error {
	if err := s.companionAs(t); err != nil {
		return s.failed(t, err)
	}
	if !s.o.Worker {
		if err := s.lock.share(ctx); err != nil {
			return err
		}
		s.refresh(ctx)
	}
	if ok, err := s.agrees(ctx, &t); !ok || err != nil {
		return err
	}
	p := s.session.Consult(ctx, t)
	return s.planned(&p)
}
