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

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"muster/internal/lang"
	"muster/internal/rotate"
	"muster/internal/vault"
	"muster/modules"
	"muster/secret"
)

// rotationFolder is where a project has its rotations.
const rotationFolder = "playbooks/rotation"

func newRotate(a *app) *cobra.Command {
	yes, due := false, false
	cmd := &cobra.Command{
		Use:   "rotate [NAME…]",
		Short: "Change secrets where they are used, or go on with what is open",
		Long: "Rotate takes secrets from one value to the next, as the rotation blocks in " + rotationFolder + "/*.hcl say: a new value is made and stored, accepted beside the old one, " +
			"used by every consumer, batch by batch, and proved; then it is the current one, and once the grace is over the old value is retired.\n\n" +
			"A rotation that was cut off, or that couldn't reach a host, is gone on with by the same command. Both values work until every consumer is proved.\n\n" +
			"Without names it lists the rotations; with --due it makes those that are due, and goes on with those that are open.\n\n" +
			"The store is written at each step: commit it when the command has ended, and before somebody else rotates.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(a.limit) > 0 {
				return errors.New("--limit can't be given with rotate: a value is retired only once every consumer is proved")
			}
			if due && len(args) > 0 {
				return errors.New("--due chooses the rotations itself: leave out names")
			}
			list, err := a.rotations(cmd.Context())
			if err != nil {
				return err
			}
			chosen, err := choose(list, args, due)
			if err != nil {
				return err
			}
			if len(args) == 0 && !due {
				a.listRotations(list)
				return nil
			}
			return a.rotate(cmd.Context(), chosen, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&due, "due", false, "those that are due, and those that are open")
	return cmd
}

// rotationFile is a rotation of the project, and how its secret is.
type rotationFile struct {
	*lang.Rotation
	file string
	info vault.Info
	path string // of the store
	dir  string // of what the project keeps here
}

// open reports whether the rotation was begun and isn't over.
func (f *rotationFile) open() bool { return f.info.Pending+f.info.Previous > 0 }

// dueOn is the day on which it is due; "" for none.
func (f *rotationFile) dueOn() vault.Date {
	i := f.info
	if f.Every != "" {
		i.Every = f.Every
	}
	return i.DueOn()
}

// rotations reads the rotations of the project.
func (a *app) rotations(ctx context.Context) ([]*rotationFile, error) {
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return nil, err
	}
	if l.project.Dir == "" {
		return nil, errors.New("there is no project here (no muster.hcl in this folder or above): rotations are read from its " + rotationFolder)
	}
	path := a.storePath(l.project)
	if path == "" {
		return nil, errors.New("the project has no store of secrets: \"muster secret init\" makes one")
	}
	files, err := filepath.Glob(filepath.Join(l.project.Dir, rotationFolder, "*.hcl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var list []*rotationFile
	names := map[string]string{}
	for _, file := range files {
		file = near(file)
		pb, err := a.playbook(l, diags, file, false)
		if err != nil {
			return nil, err
		}
		diags = nil // they are shown
		for _, r := range pb.Rotations {
			if other, ok := names[r.Name]; ok {
				return nil, fmt.Errorf("%s: rotation %q is in %s, too", r.Range, r.Name, other)
			}
			names[r.Name] = r.Range.String()
			if other := slices.IndexFunc(list, func(o *rotationFile) bool { return o.Secret == r.Secret }); other >= 0 && r.Secret != "" {
				return nil, fmt.Errorf("%s: rotation %q changes the secret %s, as %q at %s does: one would end what the other has begun", r.Range, r.Name, r.Secret, list[other].Name, list[other].Range)
			}
			f := &rotationFile{Rotation: r, file: file, path: path, dir: filepath.Dir(l.project.Journal())}
			if u, ok := l.secrets.(*used); ok {
				f.info, _ = u.store.Info(r.Secret)
			}
			if f.info.From != "" {
				return nil, a.fail(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Secret of a program", Detail: fmt.Sprintf("A program has the value of %q, and not the store: it can't be rotated.", r.Secret), Subject: r.Range.Ptr()}}, l.sources)
			}
			list = append(list, f)
		}
	}
	return list, nil
}

// choose are the rotations that are asked for.
func choose(list []*rotationFile, names []string, due bool) ([]*rotationFile, error) {
	var chosen []*rotationFile
	if due {
		for _, f := range list {
			if day := f.dueOn(); f.open() || day != "" && day.Since(vault.Today()) <= 0 {
				chosen = append(chosen, f)
			}
		}
		return chosen, nil
	}
	var known []string
	for _, f := range list {
		known = append(known, f.Name)
	}
	for _, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			hint := ""
			if near := modules.Nearest(name, known); near != "" {
				hint = fmt.Sprintf(": did you mean %q?", near)
			} else if len(known) > 0 {
				hint = ": there are " + strings.Join(known, ", ")
			}
			return nil, fmt.Errorf("there is no rotation %q in %s%s", name, rotationFolder, hint)
		}
		if !slices.Contains(chosen, list[at]) {
			chosen = append(chosen, list[at])
		}
	}
	return chosen, nil
}

// listRotations shows the rotations and how they are.
func (a *app) listRotations(list []*rotationFile) {
	if len(list) == 0 {
		fmt.Fprintf(a.out, "There are no rotations in %s.\n", rotationFolder)
	}
	for _, f := range list {
		how := "due " + string(f.dueOn())
		switch {
		case f.info.Pending != 0:
			how = "open: its new value isn't used everywhere"
		case f.info.Previous != 0:
			how = "open: its old value isn't retired"
		case f.dueOn() == "":
			how = "nothing says how often"
		}
		fmt.Fprintf(a.out, "%-20s  %-20s  %s\n", f.Name, f.Secret, how)
	}
}

// rotate makes rotations, one after the other.
func (a *app) rotate(ctx context.Context, list []*rotationFile, yes bool) error {
	if len(list) == 0 {
		fmt.Fprintln(a.out, "No rotation is due, and none is open.")
		return nil
	}
	for _, f := range list {
		what := "begins: " + f.Secret + " gets another value"
		if f.open() {
			what = "goes on: " + f.Secret + " has two values that are valid"
		}
		fmt.Fprintf(a.err, "%s %s; %s\n", f.Name, what, strings.Join(f.Phases, ", "))
	}
	if !yes {
		if ok, err := a.confirm(); err != nil || !ok {
			return err
		}
	}
	unlock, err := alone(list[0].dir)
	if err != nil {
		return err
	}
	defer unlock()
	var failed []string
	for _, f := range list {
		if err := a.rotateOne(ctx, f); err != nil {
			if ctx.Err() != nil {
				return err
			}
			if !errors.Is(err, errShown) {
				a.view().Error(fmt.Errorf("rotation %s: %w", f.Name, err))
			}
			failed = append(failed, f.Name)
		}
	}
	if len(failed) > 0 {
		fmt.Fprintf(a.err, "Open: %s. \"muster rotate %s\" goes on.\n", strings.Join(failed, ", "), strings.Join(failed, " "))
		return exitError(exitFailed)
	}
	return nil
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

func (a *app) rotateOne(ctx context.Context, f *rotationFile) error {
	t := &rotator{app: a, file: f.file, path: f.path, dir: f.dir, by: whoami()}
	if err := t.reread(); err != nil {
		return a.storeError(err, f.path, nil)
	}
	m := &rotate.Machine{Store: t, Hosts: t, Notes: t, Generate: generate, Now: time.Now, Say: func(text string) {
		fmt.Fprintf(a.err, "%s: %s\n", f.Name, text)
	}}
	r, err := m.Go(ctx, f.Rotation)
	switch {
	case err != nil:
		return err
	case r.Done:
		fmt.Fprintf(a.err, "%s: done; commit %s\n", f.Name, near(f.path))
	default:
		fmt.Fprintf(a.err, "%s: the old value can be retired from %s on: run this again then; commit %s\n", f.Name, r.Until.Add(time.Minute-1).Truncate(time.Minute).Local().Format("2006-01-02 15:04"), near(f.path))
	}
	return nil
}

// generate makes a value as a rotation says.
func generate(r *lang.Rotation) (secret.String, error) {
	p := vault.Policy{Length: r.Generate.Length, Classes: r.Generate.Characters}
	if p.Length == 0 {
		p.Length = 32
	}
	return vault.Generate(p)
}
