package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/vault"
	"muster/modules"
)

// rotationFolder is where a project has its rotations.
const rotationFolder = playbookFolder + "/rotation"

// rotations are those of a project.
type rotations struct {
	list   []*rotationFile
	lost   []string // secrets whose rotation is open, and which none of the list changes
	broken bool     // a file of theirs can't be read, which has been said
	loaded *loaded
	path   string   // of the store
	dir    string   // of what the project keeps here
	commit []string // the program that commits the store
}

// rotationFile is a rotation of the project, and how its secret is.
type rotationFile struct {
	*plays.Rotation
	file     string
	info     vault.Info
	declares []string // the variables of its file
	midway   midway   // what is known here of it, where it is open
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

// rotations reads the rotations of the project. What the command line gives is for those of
// these names, and for all where there are none.
func (a *app) rotations(ctx context.Context, names []string) (*rotations, error) {
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return nil, err
	}
	if l.project.Dir == "" {
		return nil, errors.New("there is no project here (no muster.hcl in this folder or above): rotations are read from its " + rotationFolder)
	}
	p := &rotations{loaded: l, path: a.storePath(l.project), dir: filepath.Dir(l.project.Journal()), commit: l.project.Commit}
	if p.path == "" {
		return nil, errors.New("the project names no store of secrets: \"muster secret init\" makes one, and muster.hcl names it, as secrets = \"secrets/production.hcl\"")
	}
	var more hcl.Diagnostics
	l.secrets, more = a.secrets(l.project, l.sources)
	if err := a.fail(append(diags, more...), l.sources); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(l.project.Dir, rotationFolder, "*.hcl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	for _, file := range files {
		file = near(file)
		if l.given = toSome; len(names) > 0 && !holdsRotation(file, names) {
			l.given = toNothing
		}
		pb, err := a.playbook(l, nil, file, false)
		if errors.Is(err, errShown) {
			p.broken = true // the others don't wait for it
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := a.fail(a.changedMidway(l, pb), l.sources); err != nil {
			p.broken = true
			continue
		}
		for _, r := range pb.Rotations {
			if err := p.add(a, r, pb, file); err != nil {
				return nil, err
			}
		}
	}
	l.given = toSome
	p.findLost()
	return p, nil
}

// add takes a rotation in. None changes what another does.
func (p *rotations) add(a *app, r *plays.Rotation, pb *eval.Playbook, file string) error {
	for _, other := range p.list {
		switch {
		case other.Name == r.Name:
			return fmt.Errorf("%s: rotation %q is in %s, too", r.Range, r.Name, other.Range)
		case other.Secret == r.Secret && r.Secret != "":
			return fmt.Errorf("%s: rotation %q changes the secret %s, as %q at %s does: one would end what the other has begun", r.Range, r.Name, r.Secret, other.Name, other.Range)
		}
	}
	f := &rotationFile{Rotation: r, file: file}
	if u, ok := p.loaded.secrets.(*used); ok {
		f.info, _ = u.store.Info(r.Secret)
		f.midway = midwayOf(p.dir, r.Name, u.store.Mark(r.Secret))
	}
	for _, v := range pb.Declared() {
		f.declares = append(f.declares, v.Name)
	}
	if f.info.From != "" {
		return a.fail(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Secret of a program", Detail: fmt.Sprintf("A program has the value of %q, and not the store: it can't be rotated.", r.Secret), Subject: r.Range.Ptr()}}, p.loaded.sources)
	}
	p.list = append(p.list, f)
	return nil
}

// findLost finds the secrets that nothing would take on: their rotation was begun, and its
// file is gone.
func (p *rotations) findLost() {
	u, ok := p.loaded.secrets.(*used)
	if !ok || p.broken {
		return
	}
	for _, name := range u.Open() {
		if !slices.ContainsFunc(p.list, func(f *rotationFile) bool { return f.Secret == name }) {
			p.lost = append(p.lost, name)
		}
	}
}

// incomplete is an error where not all rotations of the project could be looked at.
func (p *rotations) incomplete(a *app) error {
	for _, name := range p.lost {
		a.view().Error(fmt.Errorf("the rotation of %s is open, and none in %s changes it: two values of it are valid until its file is back", name, rotationFolder))
	}
	if p.broken || len(p.lost) > 0 {
		return errShown
	}
	return nil
}

// choose are the rotations that are asked for.
func (p *rotations) choose(names []string, due bool) ([]*rotationFile, error) {
	if !due {
		chosen, err := chosenRotations(p.list, names)
		if err != nil && p.broken {
			return nil, errShown // it may be in the file that can't be read
		}
		return chosen, err
	}
	var chosen []*rotationFile
	for _, f := range p.list {
		if day := f.dueOn(); f.open() || day != "" && day.Since(vault.Today()) <= 0 {
			chosen = append(chosen, f)
		}
	}
	return chosen, nil
}

func unknownRotation(name string, known []string) error {
	hint := ""
	if near := modules.Nearest(name, known); near != "" {
		hint = fmt.Sprintf(": did you mean %q?", near)
	} else if len(known) > 0 {
		hint = ": there are " + strings.Join(known, ", ")
	}
	return fmt.Errorf("there is no rotation %q in %s%s", name, rotationFolder, hint)
}
