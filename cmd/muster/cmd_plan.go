package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/view"
)

func newValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "validate [PLAYBOOK…]",
		Short: "Check playbooks without connecting to any host",
		Long: "Validate makes every check that takes no connection, of the playbooks named or of all in the project's playbooks folder. " +
			"In the latter case it also warns of the inventory's variables that none of them reads.",
		RunE: func(cmd *cobra.Command, files []string) error {
			l, diags, err := a.load(cmd.Context(), true)
			if err != nil {
				return err
			}
			whole := len(files) == 0
			if whole {
				if files, err = projectPlaybooks(l.project.Dir); err != nil {
					return err
				}
			}
			failed := a.fail(diags, l.sources)
			a.view() // as JSON, a line even where nothing is wrong
			vars := unread(l.inventory)
			for _, file := range files {
				pb, err := a.playbook(l, nil, file, false)
				if err != nil {
					failed = err
					continue
				}
				vars.Read(pb)
			}
			if whole && failed == nil {
				return a.fail(vars.Warnings(), l.sources)
			}
			return failed
		},
	}
}

func newPlan(a *app) *cobra.Command {
	detailed, save := false, ""
	cmd := &cobra.Command{
		Use:   "plan PLAYBOOK",
		Short: "Show what an apply would change",
		Long: "Plan shows what an apply would change, and changes nothing.\n\n" +
			"With --save the plan is kept in a file that holds all it was made from, and \"muster apply FILE\" makes exactly what it shows: " +
			"hosts that are no longer as it found them are left alone.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := canSave(save); err != nil {
				return err
			}
			var saved recording
			q := request{file: args[0], readOnly: true, saves: save != ""}
			if q.saves {
				q.key, q.watch = newKey(), saved.event
			}
			r, err := a.prepare(cmd.Context(), q)
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
			if save != "" {
				if err := a.save(save, s, r, &saved); err != nil {
					return err
				}
			}
			return ended(s, detailed)
		},
	}
	cmd.Flags().StringVar(&save, "save", "", "keep the plan in `FILE`, to be applied later")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 where something would change")
	a.taskFlags(cmd)
	return cmd
}

// taskFlags are those of commands that choose tasks.
func (a *app) taskFlags(cmd *cobra.Command) {
	cmd.Flags().Var(names{&a.tags}, "tags", "only tasks with one of `TAGS`")
	cmd.Flags().Var(names{&a.skipTags}, "skip-tags", "no tasks with one of `TAGS`")
}
