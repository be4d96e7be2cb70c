package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/rotate"
	"muster/internal/view"
)

func newRotate(a *app) *cobra.Command {
	yes, due, back := false, false, false
	cmd := &cobra.Command{
		Use:   "rotate [NAME…]",
		Short: "Change secrets where they are used, or go on with what is open",
		Long: "Rotate takes secrets from one value to the next, as the rotation blocks in " + rotationFolder + "/*.hcl say: a new value is made and stored, accepted beside the old one, " +
			"used by every consumer, batch by batch, and proved; then it is the current one, and once the grace is over the old value is retired.\n\n" +
			"A rotation that was cut off, or that couldn't reach a host, is gone on with by the same command. Both values work until every consumer is proved. " +
			"With --back one whose new value isn't the current one yet is given up: the old value stays. That goes on until it is over, whichever command is run then.\n\n" +
			"Without names it lists the rotations; with --due it makes those that are due, and goes on with those that are open. " +
			"What --var gives is for those that are named, and for all where none is.\n\n" +
			"The store is written at each step: \"secrets_commit\" in muster.hcl names the program that commits it then. Without it commit it yourself when the command has ended, and before somebody else rotates; --due needs it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(a.limit) > 0:
				return errors.New("--limit can't be given with rotate: a value is retired only once every consumer is proved")
			case due && len(args) > 0:
				return errors.New("--due chooses the rotations itself: leave out names")
			case back && len(args) == 0:
				return errors.New("--back takes the names of the rotations that are to be given up")
			}
			a.beginScheduled("rotations")
			p, err := a.rotations(cmd.Context(), args)
			if err != nil {
				return err
			}
			chosen, err := p.choose(args, due)
			if err != nil {
				return err
			}
			about := chosen
			if len(args) == 0 {
				about = p.list
			}
			if len(args) > 0 || !p.broken { // else a file may declare it that can't be read
				if err := a.undeclared(p, about); err != nil {
					return err
				}
			}
			if len(args) == 0 && !due {
				a.listRotations(p)
				return p.incomplete(a)
			}
			if due {
				if p.commit == nil {
					return errors.New("--due writes the store, and nobody would commit it: name the program that does in muster.hcl, secrets_commit = [\"./commit-secrets.sh\"]")
				}
				if err := a.commitLeft(cmd.Context(), p, chosen); err != nil {
					return err
				}
				if len(chosen) == 0 && !p.broken && len(p.lost) == 0 {
					a.unlessQuiet(func() { fmt.Fprintln(a.out, "No rotation is due, and none is open.") })
				}
			}
			if len(chosen) > 0 {
				if err := a.rotate(cmd.Context(), p, chosen, yes, back); err != nil {
					return errors.Join(err, p.incomplete(a))
				}
			}
			return p.incomplete(a)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&due, "due", false, "those that are due, and those that are open")
	cmd.Flags().BoolVar(&a.scheduled, "scheduled", false, "a timer runs this: the result is kept for \"muster schedule list\"")
	a.loginFlags(cmd)
	a.quietFlag(cmd)
	cmd.Flags().BoolVar(&back, "back", false, "give up: the current value stays, the new one is forgotten")
	return cmd
}

// listRotations shows the rotations and how they are.
func (a *app) listRotations(p *rotations) {
	if len(p.list)+len(p.lost) == 0 && !p.broken {
		fmt.Fprintf(a.out, "There are no rotations in %s.\n", rotationFolder)
	}
	for _, f := range p.list {
		how := "due " + string(f.dueOn())
		switch {
		case f.goesBack():
			how = "open: its new value is being given up"
		case f.info.Pending != 0:
			how = "open: its new value isn't used everywhere"
		case f.info.Previous != 0:
			how = "open: its old value isn't retired"
		case f.dueOn() == "":
			how = "nothing says how often"
		}
		fmt.Fprintf(a.out, "%-20s  %-20s  %s\n", f.Name, f.Secret, how)
	}
	if _, written, err := p.uncommitted(); err == nil && written {
		fmt.Fprintf(a.out, "%s isn't committed as it was written last: each \"muster rotate\" that makes something does that first, and so does \"muster rotate --due\".\n", near(p.path))
	}
	for _, name := range p.lost {
		fmt.Fprintf(a.out, "%-20s  %-20s  open, and no rotation is there to end it\n", "?", name)
	}
}

// goesBack reports whether it is being given up, as far as is known here.
func (f *rotationFile) goesBack() bool { return f.info.Pending != 0 && f.midway.Back }

// opening says what a rotation is about to do.
func (f *rotationFile) opening(back bool) string {
	phases := strings.Join(f.Phases, ", ")
	switch {
	case !back && f.goesBack():
		return "goes on being given up, as was begun: " + f.Secret + " keeps its current value"
	case back && f.info.Pending == 0:
		return "has nothing to give up: " + f.Secret + " keeps its values"
	case back:
		return "is given up: " + f.Secret + " keeps its current value"
	case f.info.Pending != 0:
		return "goes on: the new value of " + f.Secret + " isn't used everywhere yet; " + phases
	case f.info.Previous != 0:
		return "goes on: the old value of " + f.Secret + " is still valid; " + phases
	}
	return "begins: " + f.Secret + " gets another value; " + phases
}

// rotate makes rotations, or gives them up.
func (a *app) rotate(ctx context.Context, p *rotations, list []*rotationFile, yes, back bool) error {
	for _, f := range list {
		show := func() { fmt.Fprintf(a.err, "%s %s\n", f.Name, f.opening(back)) }
		if yes {
			a.unlessQuiet(show)
		} else { // it is asked about
			show()
		}
	}
	if !yes {
		if err := a.confirm(ctx, "Make these changes?"); err != nil {
			return err
		}
	}
	unlock, err := alone(p.dir)
	if err != nil {
		return err
	}
	defer unlock()
	t := newRotator(a, p)
	if err := t.reread(); err != nil {
		return a.storeError(err, p.path, nil)
	}
	ended, err := t.commitLeft(ctx)
	if err != nil {
		return err
	}
	for _, f := range t.list {
		if slices.Contains(ended, f.Secret) {
			a.view().Rotation(view.Rotation{Name: f.Name, Secret: f.Secret, Step: rotate.Done, Text: "it was over, and the store is committed now: done"})
		}
	}
	list = slices.DeleteFunc(list, func(f *rotationFile) bool { return slices.Contains(ended, f.Secret) })
	m := &rotate.Machine{Store: t, Hosts: t, Notes: t, Generate: t.generate, Now: time.Now, Say: func(r *plays.Rotation, step, text string) {
		a.view().Rotation(view.Rotation{Name: r.Name, Secret: r.Secret, Step: step, Text: text})
	}}
	var all []*plays.Rotation
	for _, f := range list {
		all = append(all, f.Rotation)
	}
	do := m.Go
	if back {
		do = m.Back
	}
	return a.rotated(ctx, t, do(ctx, all...))
}

// commitLeft commits what a run before this one has written, where none of the rotations that
// are to be made does so.
func (a *app) commitLeft(ctx context.Context, p *rotations, chosen []*rotationFile) error {
	if _, written, err := p.uncommitted(); err != nil || !written || len(chosen) > 0 {
		return err
	}
	return a.rotate(ctx, p, nil, true, false)
}

// rotated shows what rotations have come to.
func (a *app) rotated(ctx context.Context, t *rotator, results []rotate.Result) error {
	commit := "; commit " + near(t.path)
	if t.commit != nil {
		commit = ""
	}
	var open, back []string
	var codes []exitError
	for _, r := range results {
		say := func(step, text string) {
			a.view().Rotation(view.Rotation{Name: r.Rotation.Name, Secret: r.Rotation.Secret, Step: step, Text: text})
		}
		switch {
		case r.Err != nil:
			if ctx.Err() == nil && !errors.Is(r.Err, errShown) {
				a.view().Error(fmt.Errorf("rotation %s: %w", r.Rotation.Name, r.Err))
			}
			switch v, err := t.Versions(r.Rotation.Secret); {
			case err != nil || !v.Open():
			case r.Back:
				back = append(back, r.Rotation.Name)
			default:
				open = append(open, r.Rotation.Name)
			}
			codes = append(codes, rotationCode(r.Err))
		case r.Done:
			say(rotate.Done, "done"+commit)
		default:
			say("open", fmt.Sprintf("the old value can be retired from %s on: run this again then%s", r.Until.Add(time.Minute-1).Truncate(time.Minute).Local().Format("2006-01-02 15:04"), commit))
		}
	}
	if len(open) > 0 {
		fmt.Fprintf(a.err, "Open: %s. \"muster rotate %s\" goes on.\n", strings.Join(open, ", "), strings.Join(open, " "))
	}
	if len(back) > 0 {
		fmt.Fprintf(a.err, "Open, and on the way back: %s. \"muster rotate --back %s\" goes on with giving up.\n", strings.Join(back, ", "), strings.Join(back, " "))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, code := range []exitError{exitInterrupted, exitFailed, exitUnreachable, exitUsage} {
		if slices.Contains(codes, code) {
			return code
		}
	}
	return nil
}

// rotationCode is the exit code for what has ended a rotation: that of its hosts, or 1 where
// none of them is to blame.
func rotationCode(err error) exitError {
	var code exitError
	switch {
	case errors.As(err, &code):
		return code
	case errors.Is(err, rotate.ErrRefused), errors.Is(err, rotate.ErrTaken):
		return exitFailed
	case engine.IsUnreachable(err):
		return exitUnreachable
	}
	return exitUsage
}

// alone keeps other rotations of the project from this machine, until the function that it
// returns is called or the process ends.
func alone(dir string) (unlock func(), err error) {
	if err := notForGit(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "rotate.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another \"muster rotate\" of this project is at work here")
	}
	return func() { f.Close() }, nil
}

// chosenRotations are those of these names.
func chosenRotations(list []*rotationFile, names []string) ([]*rotationFile, error) {
	var chosen []*rotationFile
	var known []string
	for _, f := range list {
		known = append(known, f.Name)
	}
	for _, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			return nil, unknownRotation(name, known)
		}
		if !slices.Contains(chosen, list[at]) {
			chosen = append(chosen, list[at])
		}
	}
	return chosen, nil
}
