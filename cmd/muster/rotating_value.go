package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/rotate"
	"muster/internal/vault"
	"muster/secret"
)

// generate makes a value as a rotation says. Where two accounts have values in turn it is
// one of the account that hasn't the current one.
func (t *rotator) generate(r *plays.Rotation) (secret.String, error) {
	p := vault.Policy{Length: cmp.Or(r.Generate.Length, 32), Classes: r.Generate.Characters}
	value, err := valueFrom(t.store.store, r.Generate, p, r.Secret)
	if err != nil || r.Strategy != plays.Alternate {
		return value, err
	}
	now, _, err := t.values(r)
	if err != nil {
		return value, err
	}
	name, _, ok := strings.Cut(now.Reveal(), ":")
	at := slices.Index(r.Accounts, name)
	if !ok || at < 0 {
		return value, fmt.Errorf("its current value isn't ACCOUNT:PASSWORD with the account %s: set it so first", strings.Join(r.Accounts, " or "))
	}
	return secret.New(r.Accounts[1-at] + ":" + value.Reveal()), nil
}

// Check reads all parts of a rotation with a value: where a task can't carry it, that is
// found before any host knows of it. What is wrong whatever the value is no refusal of it.
func (t *rotator) Check(_ context.Context, r *plays.Rotation, value secret.String) error {
	_, before, err := t.values(r)
	if err != nil {
		return err
	}
	wrong, err := t.try(r, value, before)
	if err != nil || wrong == "" {
		return err
	}
	if always, err := t.try(r, before, value); err != nil || always == wrong {
		return errors.Join(err, plain(wrong))
	}
	return fmt.Errorf("%s: %w", wrong, rotate.ErrRefused)
}

// try reads the parts of a rotation with a value in the place of another, and returns the
// first thing that is wrong with the value, "" for nothing.
func (t *rotator) try(r *plays.Rotation, value, before secret.String) (wrong string, err error) {
	l := *t.loaded
	l.secrets = &fixed{used: t.store, use: map[string]secret.String{r.Secret: value}}
	vars, _, err := t.app.varSources(&l)
	if err != nil {
		return "", err
	}
	f := t.list[slices.IndexFunc(t.list, func(f *rotationFile) bool { return f.Rotation == r })]
	for _, name := range r.Phases {
		o := t.app.readingOf(&l, vars)
		o.Try = map[string]secret.String{r.Secret: value}
		file := f.file
		if other := r.Applies[name]; other != "" {
			file = other
		} else {
			o.Phase = &plays.Phase{Rotation: r.Name, Name: name, State: plays.RotationState{New: value, Old: before}}
		}
		pb, diags := lang.Load(file, o)
		if diags.HasErrors() {
			redact := &secret.Redactor{}
			redact.Add(value.Reveal(), before.Reveal())
			return fmt.Sprintf("%s: %s", name, redact.Redact(firstError(diags))), nil
		}
		if err := t.applied(pb, r, name); err != nil {
			return "", err
		}
	}
	return "", nil
}

// applied is an error where a playbook can't be a part of a rotation, and warns where it ends
// the old value as it brings the new one: whoever else uses that is locked out from then on.
func (t *rotator) applied(pb *eval.Playbook, r *plays.Rotation, part string) error {
	if r.Applies[part] == "" {
		return nil
	}
	if !slices.ContainsFunc(pb.Plays, func(p *plays.Play) bool { return len(p.Hosts) > 0 }) {
		return fmt.Errorf("%s: %s runs on no host: it would count as made, and nothing would be", part, r.Applies[part])
	}
	if why := pb.EndsOld(r.Secret); why != "" && r.Strategy == plays.Dual {
		t.app.view().Warn(fmt.Sprintf("rotation %s: %s: %s", r.Name, part, why))
	}
	return nil
}

// firstError is the first thing that is wrong, where it is and what.
func firstError(diags hcl.Diagnostics) string {
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			text := fmt.Sprintf("%s: %s", d.Summary, strings.TrimSuffix(d.Detail, "."))
			if d.Subject != nil {
				text = fmt.Sprintf("%s:%d: %s", d.Subject.Filename, d.Subject.Start.Line, text)
			}
			return text
		}
	}
	return ""
}
