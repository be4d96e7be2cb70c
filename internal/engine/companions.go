package engine

import (
	"context"
	"errors"
	"fmt"

	"muster/internal/wire"
	"muster/modules"
)

// A task may need other hosts while its changes are made, its companions. Each is planned
// there before the task is sent, and told to it; at the task's turn it is planned once
// more, on the host as it is, while nothing else is begun there (see hold.go).

// companion is another host that an item needs.
type companion struct {
	modules.Companion
	on      *hostRun
	as      string // who acts; "" is the user who logs in there
	task    *wire.Task
	waiting bool          // it was sent, and isn't answered
	planned *wire.Planned // the last answer
}

// errArg is an error at an argument of a task.
type errArg struct{ modules.ArgError }

func (e errArg) Error() string { return e.Summary + ": " + e.Detail }

// bring finds an item's companions, and asks each what it is to tell, while planning.
// Errors are the item's, unless they end the host.
func (h *hostRun) bring(ctx context.Context, w walking, it *item) error {
	it.companions = nil
	if it.ev.Skip {
		return nil
	}
	list, _, errs := h.run.o.Playbook.Companions(it.inst.Task, it.on.name, it.ev.Args)
	if len(errs) > 0 {
		return errArg{errs[0]}
	}
	if it.ev.When != nil && it.ev.When.Decide(h.truth) == modules.False {
		return nil
	}
	for _, c := range list {
		on, err := h.run.helper(ctx, c.Host)
		if err != nil {
			return err
		}
		on.keep(it.ev.Bodies) // its arguments may have some of the task's content
		args := c.Args
		if args == nil {
			args = map[string]any{}
		}
		t := &wire.Task{ID: it.id() + "/of/" + it.on.name, Kind: c.Kind, Args: args, Sensitive: it.ev.Sensitive, Secrets: h.run.untold(it.ev.Secrets), Timeout: it.ev.Timeout}
		it.companions = append(it.companions, &companion{Companion: c, on: on, as: it.ev.Become.User, task: t})
	}
	if w.late || len(it.ev.Unknown) > 0 { // it is asked at the task's turn
		return nil
	}
	for _, c := range it.companions {
		if err := h.awaitPlanTurn(ctx, w, c.on); err != nil {
			return err
		}
		if err := h.ask(ctx, it, c, false); err != nil {
			return err
		}
	}
	return nil
}

// unaccompanied is an item that fails because of a companion.
type unaccompanied struct {
	c   *companion
	err error
}

func (e unaccompanied) Error() string {
	return fmt.Sprintf("its companion on %s (%s): %v", e.c.Host, e.c.Kind, e.err)
}
func (e unaccompanied) Unwrap() error { return e.err }

// ask has a companion planned: behind what was sent to its host, or late, on the host as
// it is.
func (h *hostRun) ask(ctx context.Context, it *item, c *companion, late bool) error {
	if err := c.on.unusableTo("needs"); err != nil {
		return unaccompanied{c, err}
	}
	r, on := h.run, c.on
	t := *c.task
	t.Late = late
	r.mu.Lock()
	if t.As = c.as; t.As == "" && on.link != nil {
		t.As = on.link.stream.Login()
	}
	c.task, c.planned, c.waiting = &t, nil, true
	if on.consulted == nil {
		on.consulted = map[string]*companion{}
	}
	on.consulted[t.ID] = c
	r.mu.Unlock()
	on.send(&wire.Message{Task: &t}, true)
	on.flush()
	h.flush()
	if err := r.awaitOthers(ctx, func() bool { return !c.waiting || on.err != nil || h.err != nil }); err != nil {
		return err
	}
	r.mu.Lock()
	p := c.planned
	r.mu.Unlock()
	switch {
	case p == nil:
		if err := c.on.unusableTo("needs"); err != nil {
			return unaccompanied{c, err}
		}
		return unaccompanied{c, errors.New("it isn't answered")}
	case p.Status == wire.Failed:
		return unaccompanied{c, errors.New(p.Error)}
	case late && !p.OutputKnown:
		return unaccompanied{c, errors.New("what it tells isn't known although everything before it is done")}
	}
	return nil
}

// consultation takes the plan of a companion that the host was sent; false where p isn't
// one's.
func (h *hostRun) consultation(p *wire.Planned) (bool, error) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	c := h.consulted[p.ID]
	if c == nil {
		return false, nil
	}
	if err := h.told.kept(nil, nil, len(p.Output)+len(p.Error)); err != nil {
		return true, err
	}
	if !c.waiting {
		return true, fmt.Errorf("%w: a plan of a companion that wasn't asked for: %q", wire.ErrFrame, p.ID)
	}
	c.planned, c.waiting = p, false
	if p.Status != wire.Failed && p.Status != wire.Unchanged {
		p.OutputKnown = false
	}
	h.run.change.Broadcast()
	return true, nil
}

// unanswered returns the companions that the host was sent and hasn't answered, to be sent
// once more. The mutex is held.
func (h *hostRun) unanswered() (list []*wire.Task) {
	for _, c := range h.consulted {
		if c.waiting {
			list = append(list, c.task)
		}
	}
	return list
}

// outputs are what an item's companions have told. The mutex is held.
func (it *item) outputs() map[string][]byte {
	if len(it.companions) == 0 {
		return nil
	}
	told := map[string][]byte{}
	for _, c := range it.companions {
		told[c.Host] = nil
		if p := c.planned; p != nil && p.OutputKnown {
			told[c.Host] = p.Output
			if p.Output == nil {
				told[c.Host] = []byte("null")
			}
		}
	}
	return told
}

// askAgain asks an item's companions at its turn, and tells the item.
func (h *hostRun) askAgain(ctx context.Context, it *item) error {
	for _, c := range it.companions {
		if err := h.ask(ctx, it, c, true); err != nil {
			return err
		}
	}
	h.run.mu.Lock()
	told := it.outputs()
	if it.task != nil { // it may have to be sent once more
		t := *it.task
		t.Companions = told
		it.task = &t
	}
	h.run.mu.Unlock()
	it.on.send(&wire.Message{Accompany: &wire.Accompany{ID: it.id(), Companions: told}}, true)
	return nil
}
