package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"muster/internal/vault"
	"muster/secret"
)

func versions(t testing.TB, s *vault.Store, name string) string {
	t.Helper()
	v, err := s.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, one := range []vault.Version{v.Current, v.Pending, v.Previous} {
		text += fmt.Sprintf(" %d=%s", one.Number, one.Value.Reveal())
	}
	return strings.TrimSpace(text)
}

func TestARotationGoesOverPendingAndPrevious(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one")
	first := open(t, path, ann).Generation()
	for i, step := range []struct {
		do   func(*vault.Store) error
		want string
	}{
		{func(s *vault.Store) error { _, err := s.SetPending("a", secret.New("two two two")); return err }, "1=one one one 2=two two two 0="},
		{func(s *vault.Store) error { return s.Promote("a") }, "2=two two two 0= 1=one one one"},
		{func(s *vault.Store) error { return s.Retire("a") }, "2=two two two 0= 0="},
		{func(s *vault.Store) error { _, err := s.SetPending("a", secret.New("three three")); return err }, "2=two two two 3=three three 0="},
		{func(s *vault.Store) error { return s.DropPending("a") }, "2=two two two 0= 0="},
	} {
		update(t, path, ann, step.do)
		s := open(t, path, ann)
		if got := versions(t, s, "a"); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
		if s.Generation() != first+i+1 {
			t.Errorf("step %d: generation %d", i, s.Generation())
		}
	}
}

func TestAThirdValueIsNeverMade(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one")
	try := func(do func(*vault.Store) error) error { return vault.Update(path, identities(ann), do) }
	pending := func(s *vault.Store) error { _, err := s.SetPending("a", secret.New("another one")); return err }
	byHand := func(s *vault.Store) error { _, err := s.Set("a", secret.New("another one")); return err }
	update(t, path, ann, pending)
	for range 2 { // while one is pending, and while one is to be retired
		before := content(t, path)
		for name, do := range map[string]func(*vault.Store) error{"pending": pending, "by hand": byHand} {
			if err := try(do); !errors.Is(err, vault.ErrOpen) || !bytes.Equal(before, content(t, path)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := try(func(s *vault.Store) error { return s.Promote("a") }); err != nil && !strings.Contains(err.Error(), "no pending") {
			t.Error(err)
		}
	}
}

func TestAnEditOnlyTouchesItsOwnLines(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one", "b=two two two", "c=three three")
	edit(t, path, `secret "b"`, "// what people write\n\n/* and\n how */\n# of b\nsecret \"b\"")
	edit(t, path, "# Secrets. Names", "# Ours. Names")
	before := strings.Split(string(content(t, path)), "\n")
	update(t, path, ann, func(s *vault.Store) error {
		_, err := s.Set("b", secret.New("four four four"))
		return err
	})
	after := strings.Split(string(content(t, path)), "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines, and then %d:\n%s", len(before), len(after), strings.Join(after, "\n"))
	}
	var names []string
	for i := range before {
		if before[i] != after[i] {
			name, _, _ := strings.Cut(strings.TrimSpace(after[i]), " ")
			names = append(names, name)
		}
	}
	if got := fmt.Sprint(names); got != "[generation mac current seal]" {
		t.Errorf("lines that differ: %s", got)
	}
	// Added and removed again, the file is as it was but for the seal.
	set(t, path, ann, "d=five five five")
	update(t, path, ann, func(s *vault.Store) error { return s.Remove("d") })
	again := strings.Split(string(content(t, path)), "\n")
	names = nil
	for i := range min(len(again), len(after)) {
		if again[i] != after[i] {
			name, _, _ := strings.Cut(strings.TrimSpace(after[i]), " ")
			names = append(names, name)
		}
	}
	if got := fmt.Sprint(names); got != "[generation mac]" || len(again) != len(after) {
		t.Errorf("lines that differ: %s\n%s", got, strings.Join(again, "\n"))
	}
}

func TestAnEditWithoutAChangeLeavesTheFile(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one")
	edit(t, path, `secret "a" {`, "secret    \"a\"   {   # oddly written")
	before, info := content(t, path), stat(t, path)
	set(t, path, ann, "a=one one one")
	update(t, path, ann, func(s *vault.Store) error { return s.Describe("a", vault.Meta{}) })
	update(t, path, ann, func(s *vault.Store) error { return s.Retire("a") })
	if !bytes.Equal(before, content(t, path)) || !os.SameFile(info, stat(t, path)) {
		t.Error("the file was written")
	}
}

func stat(t testing.TB, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestTwoWhoEditAtOnceLoseNothing(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { set(t, path, ann, fmt.Sprintf("name/%d=value of %d", i, i)) })
	}
	wg.Wait()
	if got := len(open(t, path, ann).Names()); got != n {
		t.Errorf("%d of %d", got, n)
	}
	if mode := stat(t, path).Mode(); mode != 0o640 {
		t.Error(mode)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || left != nil {
		t.Error(left, err)
	}
}

func TestOnlyWhatIsReadIsOpened(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one", "b=two two two", "c=three three")
	s := open(t, path, ann)
	opened := vault.CountOpened(s)
	s.Names()
	s.Info("a")
	if got := opened(); got != 0 {
		t.Errorf("%d values were opened to read names", got)
	}
	value(t, s, "b")
	if got := opened(); got != 1 {
		t.Errorf("%d values were opened for one", got)
	}
}

func TestAViewIsReadAsItWasWritten(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann)
	texts := []string{"plain text", "${not.a} %{template} $${x} %%{y}", "quo\"ted \\ back\\n", "two\nlines", "ends in a break\n", "two breaks\n\n", "\nbegins with one", "EOT\nin EOT it", "tab\tand\r\nreturns", "é ü 日本", "  indented\n    more", "<<EOT"}
	update(t, path, ann, func(s *vault.Store) error {
		for i, text := range texts {
			if _, err := s.Set(fmt.Sprintf("n%d", i), secret.New(text)); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, path, ann, func(s *vault.Store) error {
		return s.Describe("n1", vault.Meta{Description: "says ${x} \"quoted\"", Owner: "ann", Every: "2w", Due: "2027-01-02"})
	})
	view, err := open(t, path, ann).View()
	if err != nil {
		t.Fatal(err)
	}
	got, err := vault.ViewValues(view)
	if err != nil {
		t.Fatalf("%v\n%s", err, view)
	}
	for i, text := range texts {
		if got[fmt.Sprintf("n%d", i)] != text {
			t.Errorf("%q is read as %q", text, got[fmt.Sprintf("n%d", i)])
		}
	}
	if e, err := vault.Compare(view, view); err != nil || !e.Nothing() {
		t.Error(e, err)
	}
}

func TestAnEditOfWhatSomebodyElseHasChangedIsRefused(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one", "b=two two two")
	view, err := open(t, path, ann).View()
	if err != nil {
		t.Fatal(err)
	}
	e, err := vault.Compare(view, bytes.Replace(view, []byte("one one one"), []byte("one changed"), 1))
	if err != nil {
		t.Fatal(err)
	}
	set(t, path, ann, "b=somebody else")
	update(t, path, ann, func(s *vault.Store) error { return s.Make(e) })
	if s := open(t, path, ann); value(t, s, "a") != "one changed" || value(t, s, "b") != "somebody else" {
		t.Error("lost")
	}
	if err := vault.Update(path, identities(ann), func(s *vault.Store) error { return s.Make(e) }); err == nil || !strings.Contains(err.Error(), "meanwhile") {
		t.Error(err)
	}
}

func TestGeneratedValuesKeepToTheirPolicy(t *testing.T) {
	for _, p := range []vault.Policy{{Length: 8}, {Length: 32, Classes: []string{"hex"}}, {Length: 12, Classes: []string{"lower", "upper", "digits", "symbols"}}, {Length: 20, From: "äbc"}} {
		a, err := vault.Generate(p)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := vault.Generate(p)
		if a == b || len([]rune(a.Reveal())) != p.Length {
			t.Errorf("%+v: %q, %q", p, a.Reveal(), b.Reveal())
		}
		for _, class := range p.Classes {
			set := map[string]string{"lower": "abcdefghijklmnopqrstuvwxyz", "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "digits": "0123456789", "symbols": "-_.~", "hex": "0123456789abcdef"}[class]
			if !strings.ContainsAny(a.Reveal(), set) {
				t.Errorf("%q has none of %s", a.Reveal(), class)
			}
		}
	}
	for _, p := range []vault.Policy{{Length: 7}, {Length: 5000}, {Length: 8, Classes: []string{"emoji"}}, {Length: 8, From: "a"}, {Length: 8, From: "a\nb"}} {
		if _, err := vault.Generate(p); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}

func TestASecretIsNotRemovedInTheMiddleOfItsRotation(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=one one one")
	remove := func() error {
		return vault.Update(path, identities(ann), func(s *vault.Store) error { return s.Remove("a") })
	}
	update(t, path, ann, func(s *vault.Store) error { _, err := s.SetPending("a", secret.New("another one")); return err })
	if err := remove(); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("with one pending: %v", err)
	}
	update(t, path, ann, func(s *vault.Store) error { return s.Promote("a") })
	if err := remove(); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("with one to be retired: %v", err)
	}
	update(t, path, ann, func(s *vault.Store) error { return s.Retire("a") })
	if err := remove(); err != nil {
		t.Error(err)
	}
}
