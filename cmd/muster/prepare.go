package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/host/facts"
	"muster/internal/engine"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/secret"
)

// request is what is asked of a run beside what the flags say.
type request struct {
	file     string   // the playbook
	planFile string   // that it is from; "" if it is none
	planVars []string // flags that gave that plan its values
	start    time.Time
	key      []byte // of the digests; nil: a random one
	watch    func(engine.Event)
	resumes  string       // the run that it goes on with
	left     []string     // the hosts that it goes on with
	adHoc    string       // the command whose playbook it is; "": it is the user's
	again    bool         // its command goes on with it when it is given again, says so, and chooses the tags
	readOnly bool         // it is only planned
	trace    bool         // hosts are asked who altered what has drifted
	saves    bool         // its plan is to be kept
	phase    *plays.Phase // the part of a rotation that it is
	quiet    bool         // only what goes wrong is shown
	// name and text put the names of files in the place of where they lie, in
	// positions and in messages; nil where that is the same. A file that is named "" is
	// none that anybody has written.
	name, text func(string) string
}

// prepared is a run that can be planned.
type prepared struct {
	request
	run      *engine.Run
	reach    *reach
	loaded   *loaded
	playbook *eval.Playbook
	redact   *secret.Redactor
	moved    func() // refuses the hosts that aren't as a saved plan found them; or nil
}

func (p *prepared) close() {
	p.run.Close()
	p.reach.close()
}

// end is what is said at the end of a pass; id is the run's in the history, "" for none.
func (p *prepared) end(id string) view.End {
	return view.End{Seconds: time.Since(p.start).Seconds(), Run: id}
}

// shows reports whether an event is shown: of a quiet run what goes wrong, and where that is
// only planned, hosts that can't be reached are no matter.
func (q *request) shows(e engine.Event) bool {
	t, ok := e.(*engine.TaskEvent)
	switch {
	case !q.quiet:
		return true
	case !ok:
		return !q.readOnly
	}
	return t.Status == wire.Failed
}

// named gives an event the names that files had where a plan was made.
func (q *request) named(e engine.Event) engine.Event {
	if q.name == nil {
		return e
	}
	t, ok := e.(*engine.TaskEvent)
	if !ok {
		return e
	}
	c := *t
	c.File, c.Error = q.name(t.File), q.text(t.Error)
	if c.File == "" {
		c.Line = 0
	}
	return &c
}

// newKey is a key for digests.
func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, as crypto/rand promises
	return key
}

// prepare reads everything that a run needs. Nothing is connected yet.
func (a *app) prepare(ctx context.Context, q request) (*prepared, error) {
	q.start = time.Now()
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return nil, err
	}
	return a.prepareIn(l, diags, q)
}

// prepareIn is prepare where project and inventory are read already.
func (a *app) prepareIn(l *loaded, diags hcl.Diagnostics, q request) (*prepared, error) {
	pb, err := a.playbookOf(l, diags, q.file, true, q.phase)
	if err != nil {
		return nil, err
	}
	if len(pb.Plays) == 0 && len(pb.Rotations) > 0 {
		return nil, fmt.Errorf("%s has rotations, and no play: \"muster rotate %s\" makes one", q.file, pb.Rotations[0].Name)
	}
	if !q.again { // the user has given them
		a.warnOfTags(pb)
	}
	limit, err := a.limited(l.inventory)
	if err != nil {
		return nil, err
	}
	a.warnOfLimit(pb, limit)
	unfinished := map[string]bool{}
	for _, name := range q.left {
		unfinished[name] = true
	}
	return a.newRun(l, pb, q, engine.Options{Limit: limit, Tags: a.tags, SkipTags: a.skipTags, Unfinished: unfinished})
}

// newRun makes the run of a playbook, with the options that are its own.
func (a *app) newRun(l *loaded, pb *eval.Playbook, q request, o engine.Options) (*prepared, error) {
	reach, err := a.reach(l)
	if err != nil {
		return nil, err
	}
	p := &prepared{request: q, reach: reach, loaded: l, playbook: pb, redact: &secret.Redactor{}}
	p.redact.Spare(runNames(l, pb)...)
	o.Playbook, o.Parallel, o.Key, o.Redact = pb, a.parallel, q.key, p.redact
	o.ReadOnly, o.Trace, o.KeepFacts, o.Connect, o.FactsType, o.FactKeys, o.Kinds = q.readOnly, q.trace, q.saves, reach.connect, factsType(), facts.Keys(), a.registry()
	if o.Project == "" {
		o.Project = l.project.Dir
	}
	o.Fresh, o.Behind, o.Local, o.Boot = reach.fresh, reach.behind, reach.local, ownBoot()
	a.reportsOn(l.project.Rel(q.file))
	o.Events = func(e engine.Event) {
		if q.watch != nil {
			q.watch(e)
		}
		if q.shows(e) {
			a.view().Event(q.named(e))
		}
	}
	if os.Getenv("GOGC") == "" {
		// What a run holds of its hosts it holds to its end: half of that may be
		// waiting to be collected, not as much again.
		debug.SetGCPercent(50)
	}
	p.run = engine.New(o)
	return p, nil
}
