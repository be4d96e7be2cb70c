package vault_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"muster/internal/vault"
)

// TestAStoreOfAStrangerIsNotMerged: whoever can't open a store can seal one of their own to its
// recipients. Merged, it would get what the other side has added, under a key that they know.
func TestAStoreOfAStrangerIsNotMerged(t *testing.T) {
	ann := newPerson(t, "ann")
	for _, side := range []string{vault.Ours, vault.Theirs} {
		base, ours, theirs := forked(t, ann, "a=the first value")
		foreign, own := theirs, ours
		if side == vault.Ours {
			foreign, own = ours, theirs
		}
		set(t, own, ann, "new=what nobody else may know")
		stranger := newStore(t, ann) // sealed to ann by her public key alone
		set(t, stranger, ann, "b=something else")
		set(t, stranger, ann, "b=and another thing")
		if err := os.WriteFile(foreign, content(t, stranger), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, take := range []string{"", vault.Ours, vault.Theirs} {
			var clash *vault.ConflictError
			if _, _, err := merged(t, ann, take, base, ours, theirs); !errors.As(err, &clash) || !strings.Contains(clash.Why, "nobody has made who could open") {
				t.Errorf("the stranger's is %s, take %q: %v", side, take, err)
			}
		}
	}
}

func TestAStoreThatWasSealedAnewOftenIsMerged(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value")
	update(t, base, ann, rekey)
	for _, path := range []string{ours, theirs} {
		if err := os.WriteFile(path, content(t, base), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		update(t, theirs, ann, rekey)
	}
	set(t, ours, ann, "b=another value")
	set(t, theirs, ann, "c=a third value")
	s, _, err := merged(t, ann, "", base, ours, theirs)
	if err != nil || value(t, s, "b") != "another value" || value(t, s, "c") != "a third value" {
		t.Fatal(err)
	}
	// A later base of the same lineage, and a side that is older than it.
	if _, _, err := merged(t, ann, "", theirs, theirs, ours); err == nil {
		t.Error("a side with a data key that was given up is merged")
	}
}

// TestAnOlderStateIsNotMerged: a whole store of last month is sealed as it should be, and its
// values are none that anybody has set since.
func TestAnOlderStateIsNotMerged(t *testing.T) {
	ann := newPerson(t, "ann")
	base, ours, theirs := forked(t, ann, "a=the first value")
	set(t, base, ann, "a=rotated since")
	if err := os.WriteFile(ours, content(t, base), 0o644); err != nil {
		t.Fatal(err)
	}
	set(t, ours, ann, "b=another value")
	for _, take := range []string{"", vault.Ours, vault.Theirs} {
		var clash *vault.ConflictError
		if _, _, err := merged(t, ann, take, base, ours, theirs); !errors.As(err, &clash) || !strings.Contains(clash.Why, "older state") {
			t.Errorf("theirs, take %q: %v", take, err)
		}
	}
	// A commit is picked onto an older branch.
	s, _, err := merged(t, ann, "", base, theirs, ours)
	if err != nil || value(t, s, "a") != "the first value" || value(t, s, "b") != "another value" {
		t.Error(err)
	}
}

func TestTheLineageIsSealed(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value")
	update(t, path, ann, rekey)
	update(t, path, ann, rekey)
	src := string(content(t, path))
	at := strings.Index(src, "lineage")
	line := src[at : at+strings.Index(src[at:], "\n")]
	first := strings.SplitN(line, `"`, 3)[1]
	for name, other := range map[string]string{
		"dropped": strings.Replace(src, line, "", 1), "shortened": strings.Replace(src, `"`+first+`", `, "", 1), "damaged": strings.Replace(src, first, first[1:], 1),
	} {
		if other == src {
			t.Fatalf("%s: %s", name, line)
		}
		s, err := vault.Parse(path, []byte(other))
		if err == nil {
			err = s.Unlock(ann.identity)
		}
		if err == nil {
			t.Errorf("%s, it is taken", name)
		}
	}
}
