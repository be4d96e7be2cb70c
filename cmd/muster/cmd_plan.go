package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/view"
)

func newValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "validate [PLAYBOOK…]",
		Short: "Check playbooks without connecting to any host",
		Long:  "Validate makes every check that takes no connection, of the playbooks named or of all in the project's playbooks folder.",
		RunE: func(cmd *cobra.Command, files []string) error {
			l, diags, err := a.load(cmd.Context(), true)
			if err != nil {
				return err
			}
			if len(files) == 0 {
				if files, err = projectPlaybooks(l.project.Dir); err != nil {
					return err
				}
			}
			failed := a.fail(diags, l.sources)
			for _, file := range files {
				if _, err := a.playbook(l, nil, file, false); err != nil {
					failed = err
				}
			}
			return failed
		},
	}
}

func newPlan(a *app) *cobra.Command {
	detailed := false
	cmd := &cobra.Command{
		Use:   "plan PLAYBOOK",
		Short: "Show what an apply would change",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.prepare(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer r.close()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			a.view().Begin(view.Planning, r.run.Hosts())
			s := r.run.Plan(ctx)
			if ctx.Err() != nil {
				s.Outcome = engine.OutcomeInterrupted
			}
			a.view().Summary(s, time.Since(r.start).Seconds())
			return ended(s, detailed)
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 where something would change")
	a.taskFlags(cmd)
	return cmd
}

// taskFlags are those of commands that choose tasks.
func (a *app) taskFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&a.tags, "tags", nil, "only tasks with one of these tags")
	cmd.Flags().StringSliceVar(&a.skipTags, "skip-tags", nil, "no tasks with one of these tags")
}

// prepared is a run that can be planned.
type prepared struct {
	run   *engine.Run
	reach *reach
	start time.Time
}

func (p *prepared) close() {
	p.run.Close()
	p.reach.close()
}

// prepare reads everything that a run needs. Nothing is connected yet.
func (a *app) prepare(ctx context.Context, file string) (*prepared, error) {
	start := time.Now()
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return nil, err
	}
	return a.prepareIn(l, diags, file, start)
}

// prepareIn is prepare where project and inventory are read already.
func (a *app) prepareIn(l *loaded, diags hcl.Diagnostics, file string, start time.Time) (*prepared, error) {
	pb, err := a.playbook(l, diags, file, true)
	if err != nil {
		return nil, err
	}
	limit, err := a.limited(l.inventory)
	if err != nil {
		return nil, err
	}
	reach, err := a.reach(l)
	if err != nil {
		return nil, err
	}
	run := engine.New(engine.Options{
		Playbook: pb, Limit: limit, Tags: a.tags, SkipTags: a.skipTags, Parallel: a.parallel,
		Connect: reach.connect, FactsType: factsType(), Kinds: a.registry(), Events: a.view().Event,
	})
	return &prepared{run: run, reach: reach, start: start}, nil
}
