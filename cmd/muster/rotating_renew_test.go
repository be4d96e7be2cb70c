package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/lang/plays"
	"muster/internal/project"
	"muster/internal/rotate"
	"muster/inventory"
)

// A rotation that is in hand is renewed on the host that accepts its value; one that
// somebody else has, or nobody, isn't.
func TestRotationIsRenewedOnItsHost(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("notes of rotations are root's")
	}
	const path = "/var/lib/muster/rotations/secret.renewed%2Fhere.json"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	note := func(by string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(`{"secret":"renewed/here","step":"accept","by":"`+by+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		ago := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, ago, ago); err != nil {
			t.Fatal(err)
		}
	}
	inv := inventory.LocalOnly()
	l := &loaded{inventory: inv, project: &project.Project{}}
	r := newRotator(&app{}, &rotations{loaded: l})
	r.by = "ann's desk"
	rotation := &plays.Rotation{Secret: "renewed/here", Accept: []string{"localhost"}}

	note(r.by)
	if err := r.Renew(t.Context(), rotation); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) > 5*time.Minute {
		t.Errorf("the note is of %v: %v", info.ModTime(), err)
	}
	note("bob\\u001b[31m")
	if err := r.Renew(t.Context(), rotation); !errors.Is(err, rotate.ErrTaken) || !strings.HasSuffix(err.Error(), `: bob\x1b[31m`) {
		t.Errorf("where it was taken: %v", err)
	}
	if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) < time.Hour/2 {
		t.Errorf("somebody else's note is renewed: %v", err)
	}
	os.Remove(path)
	if err := r.Renew(t.Context(), rotation); err == nil || errors.Is(err, rotate.ErrTaken) {
		t.Errorf("where nothing is noted: %v", err)
	}
}
