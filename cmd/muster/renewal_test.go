package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/identity"
	"muster/internal/vault"
	"muster/secret"
)

// renewed is a store that is sealed to somebody else and to the identity in a file.
type renewed struct{ store, file string }

func newRenewed(t *testing.T) renewed {
	t.Helper()
	dir := t.TempDir()
	r := renewed{filepath.Join(dir, "secrets", "production.hcl"), filepath.Join(dir, "identity")}
	other := filepath.Join(dir, "other")
	var to []vault.Recipient
	for name, path := range map[string]string{"ann": r.file, "bob": other} {
		a := newIdentityFile(t, path)
		one, err := vault.NewRecipient(name, a.Newest())
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, one)
	}
	if err := vault.Create(r.store, to); err != nil {
		t.Fatal(err)
	}
	f := r.read(t)
	if err := vault.Update(r.store, f.All(), func(s *vault.Store) error {
		_, err := s.Set("a", secret.New("the first value"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func newIdentityFile(t *testing.T, path string) *identity.File {
	t.Helper()
	made, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(made), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := identity.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (r renewed) read(t *testing.T) *identity.File {
	t.Helper()
	f, err := identity.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// reads checks that a file of identities opens the store, by the keys that it has.
func (r renewed) reads(t *testing.T, path, when string) {
	t.Helper()
	f, err := identity.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := vault.Open(r.store, f.All()...)
	if err != nil {
		t.Fatalf("%s %s opens nothing: %v", when, path, err)
	}
	v, err := s.Get("a")
	if err != nil || v.Current.Value.Reveal() != "the first value" {
		t.Errorf("%s %s reads %v", when, path, err)
	}
}

func (r renewed) run(t *testing.T, step func(string) error) error {
	t.Helper()
	n := &renewal{store: r.store, file: r.read(t), step: step, say: func(string) {}}
	return n.run()
}

// A renewal that is cut off before any of its effects is gone on with, and ends with one
// new identity; at every moment the file opens the store, and so does everybody else's.
func TestRenewalCutOffAnywhereEndsWithOneNewIdentity(t *testing.T) {
	steps := 0
	for n := 0; ; n++ {
		r := newRenewed(t)
		old := r.read(t)
		killed := errors.New("killed")
		left, at := n, ""
		err := r.run(t, func(what string) error {
			if left == 0 {
				at = what
				return killed
			}
			left--
			return nil
		})
		if err != nil && !errors.Is(err, killed) {
			t.Fatal(err)
		}
		when := "cut off before \"" + at + "\","
		r.reads(t, r.file, when)
		r.reads(t, filepath.Join(filepath.Dir(r.file), "other"), when)
		if err != nil {
			if err := r.run(t, nil); err != nil {
				t.Fatalf("%s it isn't gone on with: %v", when, err)
			}
		}
		f := r.read(t)
		text, err2 := os.ReadFile(r.file)
		if got := strings.Count(string(text), "\nAGE-SECRET-KEY-"); err2 != nil || got != 2 || len(f.Current) != 1 || len(f.Replaced) != 1 || f.Replaced[0] != old.Newest() {
			t.Errorf("%s the file has %d identities (%v):\n%v in the place of %v", when, got, err2, f.Current, f.Replaced)
		}
		if _, err := vault.Open(r.store, old.All()...); err == nil {
			t.Errorf("%s the old identity opens the store in the end", when)
		}
		s, err2 := vault.Open(r.store, f.Identity(f.Newest()))
		if err2 != nil {
			t.Fatalf("%s the new identity doesn't: %v", when, err2)
		}
		if names := recipientNames(s.Recipients()); names != "ann, bob" || len(s.Left()) != 0 {
			t.Errorf("%s it is sealed to %s, and has %d who left", when, names, len(s.Left()))
		}
		r.reads(t, filepath.Join(filepath.Dir(r.file), "other"), "at the end,")
		if err := r.run(t, nil); !errors.Is(err, errRenewed) {
			t.Errorf("%s another run makes another: %v", when, err)
		}
		if err == nil {
			steps = n
			break
		}
	}
	if steps != 3 {
		t.Errorf("it has %d effects, and not 3", steps)
	}
}

// Whoever was let in by an edit of the file alone isn't sealed to by a renewal.
func TestRenewalLetsNobodyElseIn(t *testing.T) {
	r := newRenewed(t)
	eve := newIdentityFile(t, filepath.Join(t.TempDir(), "eve"))
	join := func() {
		text, err := os.ReadFile(r.store)
		if err == nil {
			err = os.WriteFile(r.store, []byte(strings.Replace(string(text), "\nseal {", "\nrecipient \"eve\" {\n  key = \""+eve.Newest()+"\"\n}\n\nseal {", 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	join()
	if err := r.run(t, nil); !errors.Is(err, vault.ErrRecipients) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(r.file); err != nil || string(after) != string(before) {
		t.Errorf("and an identity is made (%v)", err)
	}
	r = newRenewed(t)
	if err := r.run(t, func(what string) error {
		if what == "seal to the new one" {
			join()
		}
		return nil
	}); !errors.Is(err, vault.ErrRecipients) {
		t.Errorf("in the middle: %v", err)
	}
	if _, err := vault.Open(r.store, eve.All()...); err == nil {
		t.Error("eve opens it")
	}
}
