package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/lang/eval"
	"muster/internal/view"
)

func newValidate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [PLAYBOOK…]",
		Short: "Check playbooks without connecting to any host",
		Long: "Validate makes every check that takes no connection, of the playbooks named or of all in the project's playbooks folder. " +
			"In the latter case it also warns of the inventory's variables that none of them reads. Where nothing is wrong it says what it has checked.\n\n" + playbookNames,
		RunE: func(cmd *cobra.Command, files []string) error {
			l, diags, err := a.load(cmd.Context(), true)
			if err != nil {
				return err
			}
			whole := len(files) == 0
			if whole {
				files, err = projectPlaybooks(l.project.Dir)
			} else {
				files, err = playbookFiles(files)
			}
			if err != nil {
				return errors.Join(a.fail(diags, l.sources), err)
			}
			failed := a.fail(diags, l.sources)
			a.view() // as JSON, a line even where nothing is wrong
			vars := unread(l.inventory)
			checked := checked{Type: "valid", Hosts: len(l.inventory.Hosts())}
			for _, file := range files {
				pb, err := a.playbook(l, nil, file, false)
				if err == nil {
					err = a.fail(a.changedMidway(l, pb), l.sources)
				}
				if err != nil {
					failed = err
					continue
				}
				vars.Read(pb)
				checked.add(pb)
			}
			if whole && failed == nil {
				failed = a.fail(vars.Warnings(), l.sources)
			}
			if failed != nil {
				return failed
			}
			return a.valid(checked)
		},
	}
	a.quietFlag(cmd)
	return cmd
}

// checked counts what was found to be right.
type checked struct {
	Type      string `json:"type"`
	Playbooks int    `json:"playbooks"`
	Plays     int    `json:"plays"`
	Rotations int    `json:"rotations,omitempty"`
	Tasks     int    `json:"tasks"` // as they are written, for all hosts
	Hosts     int    `json:"hosts"` // of the inventory
}

func (c *checked) add(pb *eval.Playbook) {
	c.Playbooks++
	c.Plays += len(pb.Plays)
	c.Rotations += len(pb.Rotations)
	for _, p := range pb.Plays {
		for range p.Tasks() {
			c.Tasks++
		}
	}
}

// valid says that all is well.
func (a *app) valid(c checked) error {
	switch {
	case a.quiet:
		return nil
	case a.output == "json":
		return view.NewEncoder(a.out).Encode(c)
	}
	parts := []string{numbered(c.Playbooks, "playbook"), numbered(c.Plays, "play")}
	if c.Rotations > 0 {
		parts = append(parts, numbered(c.Rotations, "rotation"))
	}
	parts = append(parts, numbered(c.Tasks, "task"), numbered(c.Hosts, "host"))
	_, err := fmt.Fprintf(a.out, "Valid: %s\n", strings.Join(parts, ", "))
	return err
}

func numbered(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// playbookNames says in help texts how playbooks are named.
const playbookNames = "A playbook is named by its path, or by its name in the project's folder " + playbookFolder + ": site is " + playbookFolder + "/site.hcl."

func newPlan(a *app) *cobra.Command {
	detailed, save := false, ""
	var list listing
	cmd := &cobra.Command{
		Use:   "plan [PLAYBOOK]",
		Short: "Show what an apply would change",
		Long: "Plan shows what an apply would change, and changes nothing.\n\n" +
			"With --save the plan is kept in a file that holds all it was made from, and \"muster apply FILE\" makes exactly what it shows: " +
			"hosts that are no longer as it found them are left alone.\n\n" + playbookNames + " Without one, the error lists those of the project.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := canSave(save); err != nil {
				return err
			}
			file, err := onePlaybook(cmd.UseLine(), args)
			if err != nil {
				return err
			}
			if list.any() {
				return a.list(cmd.Context(), file, list)
			}
			var saved recording
			q := request{file: file, readOnly: true, saves: save != ""}
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
			done := a.watch(r)
			defer done()
			s := r.run.Plan(ctx)
			done()
			if ctx.Err() != nil {
				s.Outcome = engine.OutcomeInterrupted
			}
			end := r.end("")
			end.Next = a.planAgain(r, s)
			a.view().Summary(s, end)
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
	list.flags(cmd)
	a.quietFlag(cmd)
	a.reportFlag(cmd)
	return cmd
}

// taskFlags are those of commands that choose tasks.
func (a *app) taskFlags(cmd *cobra.Command) {
	cmd.Flags().Var(names{&a.tags}, "tags", "only tasks with one of `TAGS`")
	cmd.Flags().Var(names{&a.skipTags}, "skip-tags", "no tasks with one of `TAGS`")
}
