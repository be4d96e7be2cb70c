package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/host"
	"muster/internal/remote/record"
	"muster/internal/wire"
	"muster/modules"
)

// backs returns the changes that take edits back: those of the last edit first, then
// what makes the restored state count, once each, in the order of the edits.
func (s *Session) backs(edits []wire.Undo) (list []*back, err error) {
	var after []*back
	seen := map[string]bool{}
	for i := len(edits) - 1; i >= 0; i-- {
		for _, step := range edits[i].Steps {
			if step.After {
				continue
			}
			b, err := s.back1(edits[i], step)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
	}
	for _, u := range edits {
		for _, step := range u.Steps {
			if !step.After || seen[string(step.Change)] {
				continue
			}
			seen[string(step.Change)] = true
			b, err := s.back1(u, step)
			if err != nil {
				return nil, err
			}
			after = append(after, b)
		}
	}
	return append(list, after...), nil
}

// back1 is a step as a change, with the content that it writes at hand.
func (s *Session) back1(u wire.Undo, step wire.UndoStep) (*back, error) {
	c, err := s.Kinds.Undo(step.Type, step.Change)
	if err != nil {
		return nil, err
	}
	if w, ok := c.(*host.WriteFile); ok {
		s.Host.Bodies.Keep(step.Former, w.Content.Sensitive)
	}
	return &back{Change: c, task: (&task{Task: wire.Task{ID: u.ID}}).label()}, nil
}

// back is a change that takes back a part of what a cut-off run left. Where somebody has
// altered that since, it is left, and said.
type back struct {
	host.Change
	task  string // whose edit it was
	moved bool
}

// Describe adds why it is made.
func (b *back) Describe() host.Description {
	d := b.Change.Describe()
	why := "takes back what " + b.task + " left, which was cut off"
	if b.moved {
		why = "left as it is: it was altered since " + b.task + " was cut off"
	}
	if d.Impact != "" {
		why += "; " + d.Impact
	}
	d.Impact = why
	return d
}

// Apply takes it back.
func (b *back) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	r, err := b.Change.Apply(ctx, h)
	if errors.Is(err, host.ErrMoved) {
		b.moved, err = true, nil
	}
	return r, err
}

// putBack is the module that takes back what a run has left.
type putBack struct {
	cut  record.CutOff
	list []*back
	made bool
}

// Plan is every change, once.
func (p *putBack) Plan(context.Context, *host.View) (modules.Plan, error) {
	var plan modules.Plan
	for _, b := range p.list {
		if !p.made {
			plan.Changes = append(plan.Changes, b)
		}
	}
	return plan, nil
}

// May is what the changes alter.
func (p *putBack) May() []host.Effect {
	list := []host.Effect{}
	for _, b := range p.list {
		list = append(list, b.Effects()...)
	}
	return list
}

// PlanCutOff plans to take back what a run has left on this host, and lays it for the
// tasks behind.
func (s *Session) PlanCutOff(ctx context.Context, cut record.CutOff) (*wire.CutOff, error) {
	list, err := s.backs(cut.Edits)
	if err != nil {
		return nil, fmt.Errorf("a run that was cut off on %s has left what can't be taken back: %w. Look at what it left, then remove %s", cut.Since.Format(time.DateTime), err, cut.Path())
	}
	id := wire.CutOffID + cut.Run
	t := &task{Task: wire.Task{ID: id, Kind: wire.CutOffID, Passing: true}, own: true, module: &putBack{cut: cut, list: list}}
	plan, err := t.module.Plan(ctx, s.ahead)
	if err != nil {
		return nil, err
	}
	p := wire.Planned{ID: id, Status: wire.Pending, Certainty: wire.Known}
	for i, c := range plan.Changes {
		p.Changes = append(p.Changes, s.describe(t, plan, i))
		t.effects = append(t.effects, c.Effects()...)
	}
	p.Digest, p.Wants = s.digests(plan.Changes)
	t.settle(p)
	s.tasks[id] = t
	s.order = append(s.order, t)
	s.lay(t.ID, t.effects)
	return &wire.CutOff{ID: id, Since: cut.Since, Changes: p.Changes, Digest: p.Digest}, nil
}

// settleCutOff forgets what a run left once it is taken back.
func (s *Session) settleCutOff(t *task, d *wire.Done) {
	p, ok := t.module.(*putBack)
	if !ok || d.Status == wire.Failed || d.Status == wire.Skipped {
		return
	}
	if err := p.cut.Settle(); err != nil {
		d.Status, d.Error = wire.Failed, err.Error()
	}
}

// takeBack takes back at once what an earlier connection of this run has left in the
// middle of an atomic task: its plan is known, and it is about to be made again.
func (s *server) takeBack(ctx context.Context, edits []wire.Undo) error {
	list, err := s.session.backs(edits)
	if err != nil {
		return err
	}
	for _, b := range list {
		if _, err := b.Apply(context.WithoutCancel(ctx), s.session.Host); err != nil {
			return fmt.Errorf("taking back what was made of %s: %w", b.task, err)
		}
	}
	s.session.Forget()
	return s.kept.Undone()
}

// cutOffs tells the controller what runs before this one have left here.
func (s *server) cutOffs(ctx context.Context, dir, run string) error {
	list, err := record.CutOffs(dir, run)
	if err != nil {
		return nil // whoever may not look there has left nothing there
	}
	for _, cut := range list {
		m, err := s.session.PlanCutOff(ctx, cut)
		if err != nil {
			return err
		}
		if err := s.conn.Soon(&wire.Message{CutOff: m}); err != nil {
			return err
		}
	}
	return nil
}
