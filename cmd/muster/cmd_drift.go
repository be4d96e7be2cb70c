package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/view"
)

func newDrift(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drift [PLAYBOOK…]",
		Short: "Check whether hosts still are as playbooks say",
		Long: "Drift plans playbooks, changes nothing, and tells what is new since the last check, what is still there and what has gone. " +
			"Without a name it takes the playbooks that muster.hcl names (drift = [\"playbooks/site.hcl\"]), else all in the project's playbooks folder.\n\n" +
			"A check is kept in the project's journal. Each host is held against the last check that could look at it; in the first one all is new. " +
			"Drift that comes back three times running, each time after it was put right, is contested: somebody else sets it.\n\n" +
			"Those whom muster.hcl's notify blocks name are told what has changed, by scheduled checks and where --notify is given. That one can't be told is a warning, and changes no exit code.\n\n" +
			"It exits with 2 where there is drift, and with 5 where a host couldn't be checked, whatever there is on the others.\n\n" + playbookNames,
		Example: "  muster drift\n  muster drift playbooks/site.hcl --limit web",
		RunE: func(cmd *cobra.Command, files []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return a.drift(ctx, files)
		},
	}
	cmd.Flags().BoolVar(&a.scheduled, "scheduled", false, "a timer runs this: the result is kept for \"muster schedule list\", and those whom muster.hcl names are told what has changed")
	cmd.Flags().BoolVar(&a.notify, "notify", false, "tell those whom muster.hcl names what has changed, as a scheduled check does")
	a.loginFlags(cmd)
	a.quietFlag(cmd)
	a.reportFlag(cmd)
	return cmd
}

// drifting is a check while it is made.
type drifting struct {
	app    *app
	loaded *loaded
	plans  []*drifted
	check  drift.Check
	ended  []error // what each plan came to
	err    error   // why it isn't, or can't be, in the journal
}

// drifted is a playbook of a check.
type drifted struct {
	*prepared
	found drift.Collector
}

// drift checks playbooks, or those of the project.
func (a *app) drift(ctx context.Context, files []string) error {
	a.beginScheduled("drift")
	d := &drifting{app: a}
	defer d.close()
	err := d.make(ctx, files)
	d.notify(ctx, err)
	return err
}

// make makes the check, whose result nothing that comes after it can lose.
func (d *drifting) make(ctx context.Context, files []string) error {
	if err := d.prepare(ctx, files); err != nil {
		if errors.Is(err, errShown) {
			d.app.says("a playbook is wrong, so that no host was asked")
		}
		return err
	}
	j, began := d.begin()
	if j != nil {
		defer j.Close()
	}
	for _, p := range d.plans {
		if d.plan(ctx, p); ctx.Err() != nil {
			return exitError(exitInterrupted) // a check that isn't whole isn't kept
		}
	}
	d.conclude(j, began)
	if d.err != nil {
		d.app.says(d.err.Error())
		d.app.view().Error(d.err)
		return errShown
	}
	return worst(d.ended)
}

// prepare reads the playbooks, all before any host is asked.
func (d *drifting) prepare(ctx context.Context, files []string) error {
	a := d.app
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return err
	}
	d.loaded = l
	if files, err = playbookFiles(files); err != nil {
		return errors.Join(a.fail(diags, l.sources), err)
	}
	named := len(files) > 0
	if !named {
		if files, named, err = driftPlaybooks(l); err != nil {
			return errors.Join(a.fail(diags, l.sources), err)
		}
	}
	var failed error
	for _, file := range files {
		p := &drifted{found: drift.Collector{Playbook: l.project.Rel(file)}}
		if slices.Contains(d.check.Playbooks, p.found.Playbook) {
			continue
		}
		if !named {
			pb, err := a.playbook(l, diags, file, false)
			if diags = nil; err != nil {
				failed = err
				continue
			}
			if len(pb.Plays) == 0 {
				continue // its rotations are no state of a host
			}
		}
		p.prepared, err = a.prepareIn(l, diags, request{file: file, readOnly: true, trace: true, start: time.Now(), watch: p.found.Event})
		if diags = nil; err != nil {
			if !errors.Is(err, errShown) {
				a.view().Error(err)
			}
			failed = errShown
			continue
		}
		d.plans = append(d.plans, p)
		d.check.Playbooks = append(d.check.Playbooks, p.found.Playbook)
	}
	if failed == nil && len(d.plans) == 0 {
		return errors.New("there is nothing to check: none of the project's playbooks has a play")
	}
	return failed
}

// driftPlaybooks are those that the project names, or all that it has.
func driftPlaybooks(l *loaded) (files []string, named bool, err error) {
	for _, file := range l.project.Drift {
		files = append(files, near(file))
	}
	if files != nil {
		return files, true, nil
	}
	files, err = projectPlaybooks(l.project.Dir)
	files = slices.DeleteFunc(files, func(file string) bool {
		rel := filepath.Dir(l.project.Rel(file))
		return rel == rotationFolder
	})
	return files, false, err
}

// begin opens the journal. Where that can't be, hosts are looked at all the same.
func (d *drifting) begin() (*journal.Journal, journal.Position) {
	d.check.Began = time.Now()
	path := d.loaded.project.Journal()
	err := notForGit(filepath.Dir(path))
	var j *journal.Journal
	var at journal.Position
	if err == nil {
		j, err = journal.Open(path, journal.Options{})
	}
	if err == nil {
		if at, err = j.Position(); err != nil {
			err = errors.Join(err, j.Close())
			j = nil
		}
	}
	if err != nil {
		d.err = fmt.Errorf("what is new since the last check can't be told, and this one isn't kept: %w", err)
		return nil, 0
	}
	return j, at
}

// plan plans one playbook and gathers what it finds.
func (d *drifting) plan(ctx context.Context, p *drifted) {
	a := d.app
	a.reportsOn(p.found.Playbook)
	if len(d.plans) > 1 {
		a.say("Checking " + p.found.Playbook)
	}
	start := time.Now()
	a.view().Begin(view.Planning, p.run.Hosts())
	stop := a.watch(p.prepared)
	s := p.run.Plan(ctx)
	stop()
	if ctx.Err() != nil {
		s.Outcome = engine.OutcomeInterrupted
	}
	a.view().Summary(s, view.End{Seconds: time.Since(start).Seconds()})
	d.ended = append(d.ended, ended(s, true))
	d.check.Looks = append(d.check.Looks, p.found.Looks(s)...)
	order := []engine.Outcome{engine.OutcomeUnchanged, engine.OutcomePending, engine.OutcomeUnreachable, engine.OutcomeFailed}
	if slices.Index(order, s.Outcome) >= slices.Index(order, engine.Outcome(d.check.Outcome)) {
		d.check.Outcome = string(s.Outcome)
	}
}

// conclude compares, keeps and shows what was found.
func (d *drifting) conclude(j *journal.Journal, began journal.Position) {
	if j == nil {
		return
	}
	a, c := d.app, &d.check
	c.Inventory, c.Limit, c.Muster, c.By, c.Command = d.loaded.project.Rel(d.loaded.path), a.limit, view.Version, whoami(), d.command()
	c.Ended = time.Now()
	last, err := j.LastDrift(c, began)
	if err != nil {
		d.err = fmt.Errorf("what is new since the last check can't be told, and this one isn't kept: %w", err)
		return
	}
	c.Compare(last)
	a.saysOf(c)
	if err := j.KeepCheck(c, began); err != nil {
		d.err = fmt.Errorf("this check isn't kept, so the next one will be held against the one before it: %w", err)
	}
	if c.Past, err = j.PastDrift(c, pastChecks); err != nil && d.err == nil {
		d.err = fmt.Errorf("what earlier checks found can't be told: %w", err)
	}
	a.view().Drift(c)
}

// pastChecks is how many checks a report looks back on: two weeks of nights.
const pastChecks = 14

// command is the command line, without what is sensitive to one of the playbooks.
func (d *drifting) command() string {
	all := &prepared{playbook: &eval.Playbook{}, redact: d.plans[0].redact}
	for _, p := range d.plans {
		all.playbook.Variables = append(all.playbook.Variables, p.playbook.Variables...)
	}
	// The last of a name holds: a sensitive one comes behind the others.
	slices.SortStableFunc(all.playbook.Variables, func(a, b *plays.Variable) int {
		rank := map[bool]int{true: 1}
		return cmp.Compare(rank[a.Sensitive], rank[b.Sensitive])
	})
	text := d.app.commandLine(all)
	for _, p := range d.plans[1:] {
		text = p.redact.Redact(text)
	}
	return text
}

func (d *drifting) close() {
	for _, p := range d.plans {
		p.close()
	}
}

// worst is the end that counts of several: the first that holds of the exit codes.
func worst(ends []error) error {
	for _, code := range []exitError{exitInterrupted, exitUsage, exitFailed, exitUnreachable, exitPending} {
		for _, err := range ends {
			if errors.Is(err, code) {
				return err
			}
		}
	}
	return nil
}
