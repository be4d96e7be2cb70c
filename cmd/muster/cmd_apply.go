package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/planfile"
	"muster/internal/view"
)

func newApply(a *app) *cobra.Command {
	yes, resume := false, false
	var list listing
	cmd := &cobra.Command{
		Use:   "apply [PLAYBOOK|PLAN]",
		Short: "Plan, ask, and make the changes",
		Long: "Apply plans a playbook, shows what would change, asks, and makes it. Hosts on which planning failed are left alone.\n\n" +
			"Given a plan that \"muster plan --save\" kept, it makes exactly that: hosts that are no longer as the plan found them are left alone, " +
			"with what has moved.\n\n" + playbookNames + "\n\n" +
			"Each run, and what it changes, is kept in the project's journal: see \"muster history\". A run that was cut off, or that couldn't reach a host, is taken up with --resume.\n\n" +
			"^C finishes the change in hand on every host and stops, as does a terminal that is closed; a second ^C aborts. That nobody reads the output any more stops nothing.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && planfile.IsPlan(args[0]) {
				if resume {
					return fmt.Errorf("--resume can't be given with %s, a saved plan: hosts that it was made on aren't as it found them; plan again", args[0])
				}
				if list.any() {
					return fmt.Errorf("%s is a saved plan, of which nothing is listed: \"muster show %s\" shows what it would make, and on which hosts", args[0], args[0])
				}
				if err := refuseFlags(cmd, args[0]); err != nil {
					return err
				}
				return a.applySaved(cmd.Context(), args[0], yes)
			}
			file, err := onePlaybook(cmd.UseLine(), args)
			if err != nil {
				return err
			}
			if list.any() {
				return a.list(cmd.Context(), file, list)
			}
			q := request{file: file, start: time.Now()}
			l, diags, err := a.load(cmd.Context(), false)
			if err != nil {
				return err
			}
			if resume && !diags.HasErrors() {
				if err := a.resume(cmd, l, &q); err != nil {
					return err
				}
			}
			r, err := a.prepareIn(l, diags, q)
			if err != nil {
				return err
			}
			defer r.close()
			return a.apply(cmd.Context(), r, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&resume, "resume", false, "go on with the hosts on which the last run of this playbook didn't finish")
	a.taskFlags(cmd)
	list.flags(cmd)
	a.quietFlag(cmd)
	a.reportFlag(cmd)
	return cmd
}

// apply plans, asks and makes.
func (a *app) apply(ctx context.Context, r *prepared, yes bool) error {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	making := make(chan struct{})
	defer interrupts(r.run, making, abort, a)()
	a.view().Begin(view.PlanningFirst, r.run.Hosts())
	stop := a.watch(r)
	defer stop()
	s := r.run.Plan(ctx)
	stop()
	if r.moved != nil && ctx.Err() == nil {
		r.moved()
		s = r.run.Summary()
	}
	if ctx.Err() != nil {
		s.Outcome = engine.OutcomeInterrupted
	}
	going, left := split(s)
	if s.Outcome == engine.OutcomeInterrupted || len(going) == 0 {
		end := r.end("")
		if s.Outcome != engine.OutcomeInterrupted {
			end = r.end(a.conclude(r, s))
			end.Next = a.goOn(r, s, end.Run)
		}
		a.view().Summary(s, end)
		if s.Outcome == engine.OutcomeInterrupted {
			a.view().Event(&engine.NoticeEvent{Text: "Nothing was changed, so that the history has no run of this."})
			return ended(s, false)
		}
		a.leaving(left)
		return ended(s, false)
	}
	if !yes {
		end := r.end("")
		end.Asks = true
		a.view().Summary(s, end)
		a.leaving(left)
		if err := a.confirm(ctx, question(s)); err != nil {
			return err
		}
	}
	close(making)
	return a.make(ctx, r, view.Making)
}

// split returns the hosts on which something is to be made, and those on which it
// won't be, because planning failed there.
func split(s *engine.Summary) (going, left []string) {
	for _, name := range s.Order {
		switch c := s.Hosts[name]; {
		case c.Pending == 0:
		case c.Failed > c.Tolerated:
			left = append(left, name)
		default:
			going = append(going, name)
		}
	}
	return going, left
}

// leaving says on which hosts nothing is made.
func (a *app) leaving(hosts []string) {
	if len(hosts) > 0 {
		a.view().Event(&engine.NoticeEvent{Text: "Nothing is changed where planning failed: " + strings.Join(hosts, ", ")})
	}
}

// make makes what was planned, and keeps it in the journal.
func (a *app) make(ctx context.Context, r *prepared, phase view.Phase) error {
	k, err := a.keep(r)
	if err != nil {
		return err
	}
	a.view().Begin(phase, r.run.Hosts())
	stop := a.watch(r)
	defer stop()
	s := r.run.Apply(ctx)
	stop()
	if ctx.Err() != nil {
		s.Outcome = engine.OutcomeInterrupted
	}
	err = k.end(s)
	end := r.end(k.run.ID())
	end.Next = a.goOn(r, s, end.Run)
	a.view().Summary(s, end)
	if broken := r.run.Broken(); broken != nil {
		return broken
	}
	if err != nil {
		return fmt.Errorf("the journal hasn't everything that was changed: %w", err)
	}
	return ended(s, false)
}

// interrupts makes the first ^C stop the run, once it makes changes, and any
// other abort it. It returns the function that ends this.
func interrupts(run *engine.Run, making <-chan struct{}, abort context.CancelCauseFunc, a *app) func() {
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !ignoredAtStart[syscall.SIGHUP] { // the terminal is closed
		signal.Notify(signals, syscall.SIGHUP)
	}
	// A reader of the output that has enough ends no run: what can't be shown is told at the end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		stopped := false
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			select {
			case <-making:
				if !stopped {
					stopped = true
					a.finishing(run)
					run.Stop()
					continue
				}
			default:
			}
			abort(engine.ErrStopped)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// finishing says what is still being made when the run is stopped.
func (a *app) finishing(run *engine.Run) {
	text := "Stopping once the changes in hand are finished; again to abort.\n"
	for _, line := range view.InHand(run.Standings(), time.Now()) {
		text += "  " + line + "\n"
	}
	a.view()
	fmt.Fprint(a.screen.Err(), text)
}

// question asks for what was planned.
func question(s *engine.Summary) string {
	if !s.Drift() {
		return "Run what runs every time?"
	}
	return "Make these changes?"
}

// errNoTerminal ends what would have to ask where nobody can answer.
var errNoTerminal = errors.New("there is no terminal to ask at: give --yes")

// confirm asks whether to go on, and returns an error where the answer isn't yes.
func (a *app) confirm(ctx context.Context, question string) error {
	yes, err := a.ask(ctx, "\n"+question)
	switch {
	case errors.Is(err, errNoTerminal):
		return err
	case yes:
		return nil
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.err)
	}
	fmt.Fprintln(a.err, "Nothing was changed.")
	if ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	return errShown // whoever waits for the changes must not take them for made
}
