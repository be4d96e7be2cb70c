package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/wire"
	"muster/modules"
)

// Plan finds out what every task would do on every host. Nothing is changed.
func (r *Run) Plan(ctx context.Context) *Summary {
	r.mu.Lock()
	r.enroll = func(h *hostRun) { go h.enroll(ctx) }
	hosts := slices.Clone(r.order)
	ctx, end := context.WithCancelCause(ctx)
	r.endPlan = func() { end(ErrStopped) } // also what planning leaves behind, when the run is closed
	if r.stop {
		r.endPlan()
	}
	r.mu.Unlock()
	each(hosts, func(h *hostRun) {
		if err := r.enter(ctx); err != nil {
			h.unplannable(ctx, err)
		} else {
			h.plan(ctx)
			r.leave()
		}
	})
	r.review(ctx)
	r.tellRescues()
	if r.o.Trace {
		r.trace(ctx)
	}
	return r.Summary()
}

// plan connects to the host, sends it every task, and waits for the answers.
func (h *hostRun) plan(ctx context.Context) {
	defer h.comesTo(place{making: true})
	h.begins()
	if err := h.connect(ctx); err != nil {
		h.unplannable(ctx, err)
		return
	}
	h.begins()
	for _, p := range h.plays {
		if !h.usable() {
			return
		}
		h.comesTo(place{at: []int{p.play.Index}})
		if err := h.planPlay(ctx, p); err != nil {
			h.unplannable(ctx, err)
			return
		}
	}
	h.flush()
	h.comesTo(place{making: true})
	if err := h.answered(ctx); err != nil {
		h.unplannable(ctx, err)
	}
	h.run.mu.Lock()
	h.settledPlan = true
	h.run.mu.Unlock()
}

// begins notes that the host has something else in hand from now on.
func (h *hostRun) begins() {
	h.run.mu.Lock()
	h.since = time.Now()
	h.run.mu.Unlock()
}

// planPlay sends the host all of a play, behind what earlier plays do on it.
func (h *hostRun) planPlay(ctx context.Context, p *playRun) error {
	if err := h.actedOn(ctx, p.play); err != nil {
		return err
	}
	w := walking{play: p.play, rank: p.rank}
	if h.run.hasTurns(p.play) {
		w.at = []int{p.play.Index, roundAll}
	}
	if p.bracketed() {
		return h.planBracket(ctx, p, w)
	}
	var err error
	p.nodes, err = h.walk(ctx, w, h.run.o.Playbook.Scope(p.play, h.name, h), p.play.Steps)
	return err
}

// answered waits until every task that was sent is planned.
func (h *hostRun) answered(ctx context.Context) error {
	return h.run.await(ctx, func() bool {
		if h.err != nil {
			return true
		}
		for _, it := range h.outcomes {
			if it.planned == nil && it.shared == nil && it.on.err == nil {
				return false
			}
		}
		return true
	})
}

func (h *hostRun) flush() {
	l := h.sending()
	if l == nil {
		return
	}
	if err := l.conn.Flush(); err != nil {
		h.cut(l, fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// walking says how steps are walked.
type walking struct {
	play    *plays.Play
	rescued bool // a failure isn't the host's: a block around has a rescue
	passing bool // what these steps do is taken back by others, by design
	trial   bool // what these steps come to may be planned anew, and isn't told yet
	// stepwise steps are told in the order in which they are made, whichever hosts plan
	// them: where the next acts on another host, those before it are waited for.
	stepwise bool
	// late steps are those of a block that has failed. They are evaluated at
	// their turn, since what they read may be the output of one before them.
	late bool
	// at is the place of the step that is walked. nil in a play in which nobody
	// waits for another host.
	at   []int
	rank int // the host's among those of the play
}

// in is the walking of a step, or of a part of it, that w leads to.
func (w walking) in(place ...int) walking {
	if w.at != nil {
		w.at = slices.Concat(w.at, place)
	}
	return w
}

// walk evaluates steps on the host, in order, and sends what they come to.
func (h *hostRun) walk(ctx context.Context, w walking, scope *eval.Scope, steps []*plays.Step) ([]*node, error) {
	var nodes []*node
	outer := w
	for i, step := range steps {
		w = outer.in(i)
		if !h.usable() {
			return nodes, nil
		}
		h.walks(w) // also where the step comes to nothing here
		switch {
		case step.Barrier != nil:
			nodes = append(nodes, &node{barrier: w.at})
		case step.Task != nil:
			if !h.run.chosen(step.Task) {
				h.pass(scope.Path()+step.Task.Name(), modules.False)
				continue
			}
			items, err := h.task(ctx, w, scope, step.Task)
			if err != nil {
				return nodes, err
			}
			for _, it := range items {
				if it.shared != nil {
					nodes = append(nodes, &node{shared: it})
				} else {
					nodes = append(nodes, &node{item: it})
				}
			}
		default:
			blocks, err := h.block(ctx, w, scope, step.Block)
			if err != nil {
				return nodes, err
			}
			nodes = append(nodes, blocks...)
		}
	}
	return nodes, nil
}

func (h *hostRun) block(ctx context.Context, w walking, scope *eval.Scope, b *plays.Block) ([]*node, error) {
	scopes, err := evaluated(ctx, h, func() ([]*eval.Scope, eval.Waits, hcl.Diagnostics) { return scope.Enter(b) })
	if err != nil {
		return nil, err
	}
	var nodes []*node
	for i, sc := range scopes {
		run := &blockRun{block: b, scope: sc, walking: w.in(i)}
		inner := run.walking.in(blockSteps)
		inner.rescued = w.rescued || len(b.Rescue) > 0
		if run.nodes, err = h.walk(ctx, inner, sc, b.Steps); err != nil {
			return nil, err
		}
		if len(b.Rescue) > 0 {
			h.passAll(sc, modules.Maybe, b.Rescue)
			h.doubt(run.nodes)
		}
		if run.always, err = h.walk(ctx, run.walking.in(blockAlways), sc, b.Always); err != nil {
			return nil, err
		}
		nodes = append(nodes, &node{block: run})
	}
	return nodes, nil
}

// evaluated evaluates, waiting for what the evaluation needs, until it is
// complete. Its errors are diagnostics.
func evaluated[T any](ctx context.Context, h *hostRun, evaluate func() (T, eval.Waits, hcl.Diagnostics)) (T, error) {
	for {
		v, waits, diags := evaluate()
		if diags.HasErrors() {
			return v, problems{diags}
		}
		if len(waits) == 0 {
			return v, nil
		}
		h.flush()
		if err := h.settled(ctx, waits); err != nil {
			return v, err
		}
	}
}

// task evaluates a task's instances and sends them.
func (h *hostRun) task(ctx context.Context, w walking, scope *eval.Scope, t *plays.Task) ([]*item, error) {
	if t.ActsElsewhere() && !w.late {
		h.mixed = w.play
		defer h.walks(w.in(1))
	}
	instances, err := evaluated(ctx, h, func() ([]*eval.Instance, eval.Waits, hcl.Diagnostics) { return scope.Instances(t) })
	if err != nil {
		return []*item{h.untellable(scope, t, w, err)}, fatal(err)
	}
	var items []*item
	for _, inst := range instances {
		if t.Once {
			first, err := h.run.first(ctx, w.play)
			if err != nil {
				return items, err
			}
			if first != h {
				h.walks(w.in(1))
				it := &item{inst: inst, scope: scope, owner: h, on: h, at: w.at, final: true, rescued: w.rescued, shared: &item{owner: first, inst: inst}}
				h.register(it)
				items = append(items, it)
				continue
			}
		}
		it := &item{inst: inst, scope: scope, owner: h, on: h, at: w.at, rescued: w.rescued, within: w.rescued, passing: w.passing, trial: w.trial}
		if inst.Target != h.name {
			if it.on, err = h.run.helper(ctx, inst.Target); err != nil {
				return items, err
			}
		}
		if w.stepwise && h.last != nil && it.on != h.last {
			h.flush()
			if err := h.answered(ctx); err != nil {
				return items, err
			}
		}
		h.last = it.on
		if !w.late {
			if err := h.awaitPlanTurn(ctx, w, it.on); err != nil {
				return items, err
			}
		}
		if w.late {
			it.ev = &eval.Evaluated{Undecided: true}
			it.planned = &wire.Planned{ID: it.id(), Status: wire.Pending, Certainty: wire.Deferred}
			h.register(it)
			items = append(items, it)
			continue
		}
		h.guessed = false
		ev, err := evaluated(ctx, h, func() (*eval.Evaluated, eval.Waits, hcl.Diagnostics) { return scope.Evaluate(inst) })
		if err != nil {
			if fatal(err) != nil {
				return items, err
			}
			items = append(items, h.fail(it, err))
			continue
		}
		it.ev, it.guess = ev, h.guessed
		it.rescued = it.rescued || ev.OnError == eval.Continue
		items = append(items, it)
		if err := it.on.unusable(); it.on != h && err != nil && !ev.Skip {
			h.fail(it, err)
			continue
		}
		if it.reboots() && !ev.Skip && h.run.o.Local != nil && h.run.o.Local(it.on.name) {
			h.fail(it, errOwnMachine)
			continue
		}
		if err := h.bring(ctx, w, it); err != nil {
			if ctx.Err() != nil || !h.usable() {
				return items, err
			}
			h.fail(it, err)
			continue
		}
		h.sendTask(it)
	}
	return items, nil
}

// register makes an item findable by its ID, on the host of the play and on
// the one acted on.
func (h *hostRun) register(it *item) {
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	it.owner.outcomes[it.inst.ID] = it
	it.on.outcomes[it.id()] = it
}

// sendTask queues an evaluated item to the host acted on. What can be told
// without it isn't sent.
func (h *hostRun) sendTask(it *item) {
	it.on.keep(it.ev.Bodies)
	h.run.o.Redact.Add(it.ev.Secrets...)
	h.register(it)
	if it.ev.Skip {
		h.keepPlan(it, &wire.Planned{ID: it.id(), Status: wire.Skipped, Certainty: wire.Known}, true)
		return
	}
	if it.on != h && it.ev.When != nil {
		// The condition is about tasks of the play's host, which the other one
		// doesn't know.
		switch it.ev.When.Decide(h.truth) {
		case modules.False:
			h.keepPlan(it, &wire.Planned{ID: it.id(), Status: wire.Skipped, Certainty: wire.Known}, true)
			return
		case modules.Maybe:
			it.ev.Undecided = true
		}
		it.ev.When = nil
	}
	task := it.wire()
	it.forget() // before it can be answered
	it.on.sendItem(it, task, it.on == h)
}

// forget gives up what is only needed to send an item: of a long play on many
// hosts it would be most of what is kept.
func (it *item) forget() {
	it.ev.Args, it.ev.Others, it.ev.Ended, it.ev.Bodies, it.ev.Secrets = nil, nil, nil, nil, nil
}

// truth answers conditions about tasks of this host.
func (h *hostRun) truth(id string) modules.Truth {
	o, settled := h.Outcome(h.name, id)
	if !settled {
		return modules.Maybe
	}
	return o.Changed
}

// wire is the item as it travels.
func (it *item) wire() *wire.Task {
	t := &wire.Task{
		ID: it.id(), Kind: it.inst.Task.Kind, Args: it.ev.Args, When: it.ev.When,
		Guess: it.guess, Passing: it.passing, Sensitive: it.ev.Sensitive, Apart: it.ev.Apart, Withheld: it.ev.Withheld, Secrets: it.owner.run.untold(it.ev.Secrets), Made: it.ev.Made, Timeout: it.ev.Timeout, Tolerate: it.ev.OnError == eval.Continue,
	}
	for _, args := range it.ev.Others {
		t.Others = append(t.Others, args)
	}
	if e := it.ev.Ended; e != nil {
		t.Ended = &wire.Ended{Args: e.Args, Made: e.Made}
		for _, args := range e.Others {
			t.Ended.Others = append(t.Ended.Others, args)
		}
	}
	t.Companions = it.outputs()
	t.Environment = it.ev.Environment
	if it.ev.Undecided {
		t.When = &modules.Condition{Changed: "(known after apply)"}
	}
	if r := it.ev.Retry; r != nil && !r.Until {
		t.Retry = &wire.Retry{Attempts: r.Attempts, Delay: r.Delay}
	}
	if l := it.on.link; l != nil {
		t.As = it.ev.Become.User
		if t.As == "" {
			t.As = l.stream.Login()
		}
	}
	return t
}

// chosen reports whether tags select a task.
func (r *Run) chosen(t *plays.Task) bool { return r.o.Chooses(t.Tags) }

// Chooses reports whether Tags and SkipTags select a task that has tags.
func (o *Options) Chooses(tags []string) bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(tag string) bool { return slices.Contains(tags, tag) })
	}
	return (len(o.Tags) == 0 || has(o.Tags)) && !has(o.SkipTags)
}
