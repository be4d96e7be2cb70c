package main

import (
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// midway is what is known on this machine of a rotation that was begun or gone on with here, and
// isn't over. Others know it by the note on the accepting host.
type midway struct {
	Mark     string `json:"mark,omitempty"` // of the secret's newest value, by vault.Store.Mark
	Strategy string `json:"strategy,omitempty"`
	Back     bool   `json:"back,omitempty"` // it is being given up
}

// midwayOf is what is known here of a rotation whose newest value has a mark. What is known of
// another value is nothing.
func midwayOf(dir, name, mark string) midway {
	if m := readNoted(dir, name).Midway; m.Mark == mark {
		return m
	}
	return midway{}
}

// keepMidway keeps what is known of a rotation, as the store is by now.
func (t *rotator) keepMidway(r *plays.Rotation, m midway) error {
	n := readNoted(t.dir, r.Name)
	m.Mark = t.store.store.Mark(r.Secret)
	n.Midway = m
	return keepHere(notePath(t.dir, r.Name), n)
}

// dropMidway forgets it: what is given up once more later, with an older store, is another thing.
func (t *rotator) dropMidway(r *plays.Rotation) error {
	n := readNoted(t.dir, r.Name)
	n.Midway = midway{}
	return keepHere(notePath(t.dir, r.Name), n)
}

// GoBack keeps that the pending value is being given up.
func (t *rotator) GoBack(r *plays.Rotation) error {
	m := midwayOf(t.dir, r.Name, t.store.store.Mark(r.Secret)) // the strategy may be known of who has begun it
	m.Back = true
	return t.keepMidway(r, m)
}

// GoingBack reports whether that was kept of the value that is pending.
func (t *rotator) GoingBack(r *plays.Rotation) bool {
	i, _ := t.store.store.Info(r.Secret)
	return i.Pending != 0 && midwayOf(t.dir, r.Name, t.store.store.Mark(r.Secret)).Back
}

// changedMidway reports rotations of a file that are open and have another strategy than they
// were begun with: the value that is pending was made for that.
func (a *app) changedMidway(l *loaded, pb *eval.Playbook) (diags hcl.Diagnostics) {
	u, ok := l.secrets.(*used)
	if !ok || l.project.Dir == "" {
		return nil
	}
	for _, r := range pb.Rotations {
		i, _ := u.store.Info(r.Secret)
		m := midwayOf(filepath.Dir(l.project.Journal()), r.Name, u.store.Mark(r.Secret))
		if i.Pending+i.Previous == 0 || m.Strategy == "" || m.Strategy == r.Strategy {
			continue
		}
		end := fmt.Sprintf("end it (\"muster rotate %s\")", r.Name)
		if i.Pending != 0 {
			end = fmt.Sprintf("end it (\"muster rotate %s\") or give it up (\"muster rotate --back %s\")", r.Name, r.Name)
		}
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Open rotation", Subject: r.StrategyRange.Ptr(),
			Detail: fmt.Sprintf("The rotation %q is open, and was begun with the strategy %q: write strategy = %q again, and %s before that is changed.", r.Name, m.Strategy, m.Strategy, end)})
	}
	return diags
}
