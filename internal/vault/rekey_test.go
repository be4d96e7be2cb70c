package vault_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"muster/internal/vault"
	"muster/secret"
)

func rekey(s *vault.Store) error {
	_, err := s.Rekey()
	return err
}

func block(p person) string {
	return "recipient \"" + p.Name + "\" {\n  key = \"" + p.Key + "\"\n}\n"
}

// addRecipient adds somebody as people do: in an editor.
func addRecipient(t testing.TB, path string, p person) {
	t.Helper()
	edit(t, path, "\nseal {", "\n"+block(p)+"\nseal {")
}

func dropRecipient(t testing.TB, path string, p person) {
	t.Helper()
	edit(t, path, block(p), "")
}

func edit(t testing.TB, path, old, replacement string) {
	t.Helper()
	src := string(content(t, path))
	if strings.Count(src, old) != 1 {
		t.Fatalf("%q is there %d times", old, strings.Count(src, old))
	}
	if err := os.WriteFile(path, []byte(strings.Replace(src, old, replacement, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWhoLeavesIsListedUntilAllTheyHaveSeenIsRotated(t *testing.T) {
	ann, bob := newPerson(t, "ann"), newPerson(t, "bob")
	path := newStore(t, ann, "a=the first value", "b=another value", "c=a third value")
	addRecipient(t, path, bob)
	if _, err := vault.Open(path, bob.identity); err == nil {
		t.Fatal("bob can open what wasn't sealed to them")
	}
	update(t, path, ann, rekey)
	if got := value(t, open(t, path, bob), "a"); got != "the first value" {
		t.Errorf("bob reads %q", got)
	}
	before := content(t, path)
	dropRecipient(t, path, bob)
	var done *vault.Rekeyed
	update(t, path, ann, func(s *vault.Store) (err error) {
		done, err = s.Rekey()
		return err
	})
	if !reflect.DeepEqual(done.Seen, []string{"a", "b", "c"}) || len(done.Left) != 1 || done.Left[0].Name != "bob" {
		t.Errorf("%+v", done)
	}
	if _, err := vault.Open(path, bob.identity); err == nil {
		t.Error("bob still opens it")
	}
	// Everything is sealed anew: bob's data key opens nothing of it.
	old, err := vault.Parse(path, before)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Unlock(bob.identity); err != nil {
		t.Fatal(err)
	}
	seen := func() []string {
		var names []string
		for _, d := range open(t, path, ann).Left() {
			for name := range d.Seen {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	set(t, path, ann, "d=bob never saw this")
	if got := seen(); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
	set(t, path, ann, "a=another first value")
	update(t, path, ann, func(s *vault.Store) error { return s.Remove("b") })
	if got := seen(); !reflect.DeepEqual(got, []string{"c"}) {
		t.Error(got)
	}
	// What is still valid in a rotation counts as seen until it is retired.
	update(t, path, ann, func(s *vault.Store) error { _, err := s.SetPending("c", secret.New("another third")); return err })
	update(t, path, ann, func(s *vault.Store) error { return s.Promote("c") })
	if got := seen(); !reflect.DeepEqual(got, []string{"c"}) {
		t.Error(got)
	}
	update(t, path, ann, func(s *vault.Store) error { return s.Retire("c") })
	if got := seen(); got != nil {
		t.Error(got)
	}
	if strings.Contains(string(content(t, path)), "left ") {
		t.Error("the list is still in the file")
	}
}

func TestNobodyIsLetInByAnEditOfTheFileAlone(t *testing.T) {
	ann, eve := newPerson(t, "ann"), newPerson(t, "eve")
	path := newStore(t, ann, "a=the first value")
	addRecipient(t, path, eve)
	before := content(t, path)
	err := vault.Update(path, identities(ann), func(s *vault.Store) error {
		_, err := s.Set("a", secret.New("another value"))
		return err
	})
	if err == nil || string(content(t, path)) != string(before) {
		t.Error("a value was sealed while the recipients had changed:", err)
	}
}

func TestNobodyLocksThemselvesOut(t *testing.T) {
	ann, bob := newPerson(t, "ann"), newPerson(t, "bob")
	path := newStore(t, ann, "a=the first value")
	addRecipient(t, path, bob)
	dropRecipient(t, path, ann)
	before := content(t, path)
	if err := vault.Update(path, identities(ann), rekey); err == nil || string(content(t, path)) != string(before) {
		t.Error(err)
	}
}

func TestAKeyThatMovedIsNotSomebodyWhoLeft(t *testing.T) {
	ann, bob, moved := newPerson(t, "ann"), newPerson(t, "bob"), newPerson(t, "bob")
	path := newStore(t, ann, "a=the first value")
	addRecipient(t, path, bob)
	update(t, path, ann, rekey)
	edit(t, path, block(bob), block(moved))
	update(t, path, ann, func(s *vault.Store) error {
		_, err := s.Rekey("bob")
		return err
	})
	if left := open(t, path, moved).Left(); len(left) != 0 {
		t.Error(left)
	}
	if err := vault.Update(path, identities(ann), func(s *vault.Store) error { _, err := s.Rekey("ann"); return err }); err == nil {
		t.Error("ann hasn't moved")
	}
}

// The lines that differ where a recipient moves to another key, over a time with both, are
// its key, what is sealed and the seal: comments and other blocks stay.
func TestRecipientMovesToAnotherKey(t *testing.T) {
	ann, bob, renewed := newPerson(t, "ann"), newPerson(t, "bob"), newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value")
	addRecipient(t, path, bob)
	update(t, path, ann, rekey)
	edit(t, path, "recipient \"ann\"", "# who began it\nrecipient \"ann\"")
	before := lines(t, path)
	update(t, path, ann, func(s *vault.Store) error {
		if err := s.Join("ann, too", renewed.Key); err != nil {
			return err
		}
		return rekey(s)
	})
	for _, p := range []person{ann, bob, renewed} {
		if got := value(t, open(t, path, p), "a"); got != "the first value" {
			t.Errorf("with both keys, %s reads %q", p.Name, got)
		}
	}
	update(t, path, renewed, func(s *vault.Store) error {
		if err := s.Part("ann, too"); err != nil {
			return err
		}
		if err := s.Move("ann", renewed.Key); err != nil {
			return err
		}
		_, err := s.Rekey("ann")
		return err
	})
	if _, err := vault.Open(path, ann.identity); err == nil {
		t.Error("the old key still opens it")
	}
	for _, p := range []person{bob, renewed} {
		if got := value(t, open(t, path, p), "a"); got != "the first value" {
			t.Errorf("at the end %s reads %q", p.Name, got)
		}
	}
	if left := open(t, path, renewed).Left(); len(left) > 0 {
		t.Errorf("somebody who only moved is noted as gone: %+v", left)
	}
	after := lines(t, path)
	if len(before) != len(after) {
		t.Fatalf("%d lines, and then %d:\n%s", len(before), len(after), strings.Join(after, "\n"))
	}
	for i := range before {
		name, _, _ := strings.Cut(strings.TrimSpace(before[i]), " ")
		if before[i] != after[i] && !slices.Contains([]string{"key", "generation", "mac", "current", "seal", "recipients", "lineage", "ann"}, name) {
			t.Errorf("line %d was %q and is %q", i+1, before[i], after[i])
		}
	}
}

func lines(t testing.TB, path string) []string {
	t.Helper()
	return strings.Split(string(content(t, path)), "\n")
}

func TestRecipientsThatCantBeChanged(t *testing.T) {
	ann, bob := newPerson(t, "ann"), newPerson(t, "bob")
	path := newStore(t, ann, "a=the first value")
	before := content(t, path)
	for name, do := range map[string]func(*vault.Store) error{
		"a name that is there":       func(s *vault.Store) error { return s.Join("ann", bob.Key) },
		"a key that is there":        func(s *vault.Store) error { return s.Join("bob", ann.Key) },
		"a key that is none":         func(s *vault.Store) error { return s.Join("bob", "age1bob") },
		"one that isn't there":       func(s *vault.Store) error { return s.Part("bob") },
		"one that isn't there moves": func(s *vault.Store) error { return s.Move("bob", bob.Key) },
	} {
		if err := vault.Update(path, identities(ann), do); err == nil {
			t.Errorf("%s: it is done", name)
		}
	}
	if string(before) != string(content(t, path)) {
		t.Error("the file was changed")
	}
}
