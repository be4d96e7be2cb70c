package vault_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/vault"
	"muster/secret"
)

// forked is a store and two copies of it, which two people go on with.
func forked(t *testing.T, ann person, values ...string) (base, ours, theirs string) {
	t.Helper()
	base = newStore(t, ann, values...)
	for _, p := range []*string{&ours, &theirs} {
		*p = filepath.Join(t.TempDir(), "production.hcl")
		if err := os.WriteFile(*p, content(t, base), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return base, ours, theirs
}

func merged(t *testing.T, by person, take, base, ours, theirs string) (*vault.Store, []byte, error) {
	t.Helper()
	side := func(path string) vault.Side { return vault.Side{Name: path, Src: content(t, path)} }
	out, err := vault.Merge(side(base), side(ours), side(theirs), vault.MergeOptions{Identities: identities(by), Take: take})
	if err != nil {
		return nil, nil, err
	}
	s, err := vault.Parse("merged.hcl", out)
	if err == nil {
		err = s.Unlock(by.identity)
	}
	if err != nil {
		t.Fatalf("what was merged can't be opened: %v\n%s", err, out)
	}
	return s, out, nil
}

func TestTwoWhoChangeDifferentNamesNeverConflict(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value", "b=another value", "c=a third value", "d=a fourth value")
	edit(t, ours, `secret "d"`, "# ours says this of d\nsecret \"d\"")
	edit(t, theirs, `secret "c"`, "# theirs says this of c\nsecret \"c\"")
	set(t, ours, ann, "a=ours has set it", "new/ours=a value")
	set(t, theirs, ann, "b=theirs has set it", "new/theirs=a value", "new/again=another value")
	edit(t, theirs, `secret "new/theirs"`, "# theirs has added it\nsecret \"new/theirs\"")
	update(t, theirs, ann, func(s *vault.Store) error { return s.Remove("d") })
	edit(t, ours, "# ours says this of d\n", "") // else its block isn't as it was
	s, out, err := merged(t, ann, "", base, ours, theirs)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, name := range s.Names() {
		got += fmt.Sprintf("%s=%s\n", name, value(t, s, name))
	}
	want := "a=ours has set it\nb=theirs has set it\nc=a third value\nnew/ours=a value\nnew/theirs=a value\nnew/again=another value\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, comment := range []string{"# theirs says this of c\nsecret \"c\"", "# theirs has added it\nsecret \"new/theirs\""} {
		if !strings.Contains(string(out), comment) {
			t.Errorf("%q is lost:\n%s", comment, out)
		}
	}
	if s.Generation() <= open(t, ours, ann).Generation() || s.Generation() <= open(t, theirs, ann).Generation() {
		t.Error("the generation is", s.Generation())
	}
}

func TestOneNameChangedOnBothSidesIsAConflict(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value", "b=another value")
	set(t, ours, ann, "a=ours has set it", "both=ours")
	set(t, theirs, ann, "a=theirs has set it", "b=only theirs", "both=theirs")
	_, _, err := merged(t, ann, "", base, ours, theirs)
	var clash *vault.ConflictError
	if !errors.As(err, &clash) || fmt.Sprint(clash.Names) != "[a both]" {
		t.Error(err)
	}
	for take, want := range map[string]string{vault.Ours: "ours has set it", vault.Theirs: "theirs has set it"} {
		s, _, err := merged(t, ann, take, base, ours, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, s, "a"); got != want || value(t, s, "both") != take || value(t, s, "b") != "only theirs" {
			t.Errorf("%s: %s", take, got)
		}
	}
	// The same value on both sides is none.
	base, ours, theirs = forked(t, ann, "a=the first value")
	set(t, ours, ann, "a=the same value")
	set(t, theirs, ann, "a=the same value")
	if _, _, err := merged(t, ann, "", base, ours, theirs); err != nil {
		t.Error(err)
	}
	// A removal and a change are one.
	update(t, ours, ann, func(s *vault.Store) error { return s.Remove("a") })
	if _, _, err := merged(t, ann, "", base, ours, theirs); !errors.As(err, &clash) {
		t.Error(err)
	}
}

func TestASideThatWasTamperedWithIsNotMerged(t *testing.T) {
	ann := newPerson(t, "ann")
	for i := range 3 {
		base, ours, theirs := forked(t, ann, "a=the first value", "b=another value")
		set(t, ours, ann, "c=a value")
		set(t, theirs, ann, "d=a value")
		path := []string{base, ours, theirs}[i]
		src := string(content(t, path))
		src = strings.Replace(strings.Replace(strings.Replace(src, `secret "a"`, `secret "x"`, 1), `secret "b"`, `secret "a"`, 1), `secret "x"`, `secret "b"`, 1)
		if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := merged(t, ann, "", base, ours, theirs); err == nil || !strings.Contains(err.Error(), "Broken seal") {
			t.Errorf("side %d: %v", i, err)
		}
	}
}

func TestASideThatWasSealedAnewIsMergedWithOneThatWasNot(t *testing.T) {
	for _, who := range []string{vault.Ours, vault.Theirs} {
		ann, bob := newPerson(t, "ann"), newPerson(t, "bob")
		base, ours, theirs := forked(t, ann, "a=the first value", "b=another value")
		addRecipient(t, base, bob)
		update(t, base, ann, rekey)
		for _, p := range []string{ours, theirs} {
			if err := os.WriteFile(p, content(t, base), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		anew, other := ours, theirs
		if who == vault.Theirs {
			anew, other = theirs, ours
		}
		dropRecipient(t, anew, bob)
		update(t, anew, ann, rekey)
		set(t, anew, ann, "a=rotated since bob left", "b=and this one, too")
		set(t, other, bob, "c=bob has set this")
		s, out, err := merged(t, ann, "", base, ours, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if value(t, s, "a") != "rotated since bob left" || value(t, s, "c") != "bob has set this" {
			t.Error(s.Names())
		}
		if m, err := vault.Parse("m", out); err != nil || m.Unlock(bob.identity) == nil {
			t.Error("bob is back", err)
		}
		left := s.Left()
		if len(left) != 1 || fmt.Sprint(left[0].Seen) != "map[c:1]" {
			t.Errorf("what bob could read on the other side isn't listed: %v", left)
		}
	}
}

func TestBothSidesSealedAnewIsAConflict(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value")
	update(t, ours, ann, rekey)
	update(t, theirs, ann, rekey)
	var clash *vault.ConflictError
	if _, _, err := merged(t, ann, vault.Ours, base, ours, theirs); !errors.As(err, &clash) || !strings.Contains(clash.Why, "rekey") {
		t.Error(err)
	}
}

func TestTextHasNoValueAndDiffersWhereValuesDo(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value", "b=the first value")
	edit(t, path, `secret "a"`, "# says a comment\nsecret \"a\"")
	text := func() string {
		out, err := open(t, path, ann).Text()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	current := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if name, v, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == "current" {
				list = append(list, strings.TrimSpace(v))
			}
		}
		return list
	}
	first := text()
	if strings.Contains(first, "first value") || !strings.Contains(first, "# says a comment") || strings.Contains(first, "mac") {
		t.Error(first)
	}
	was := current(first)
	if len(was) != 2 || was[0] == was[1] {
		t.Errorf("equal values of two names look equal: %q", was)
	}
	update(t, path, ann, func(s *vault.Store) error { _, err := s.Set("b", secret.New("the second value")); return err })
	is := current(text())
	if is[0] != was[0] || is[1] == was[1] {
		t.Errorf("%q, was %q", is, was)
	}
}
