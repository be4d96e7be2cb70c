package rotation

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
)

func TestStepOfARotationIsKeptAndHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rotations", "db.json")
	keep := func(by, from string) error {
		h := host.New()
		h.Undo = func(host.Undo) error { return nil }
		_, err := (&Keep{Path: path, Note: Note{Step: "accept", Generation: 3, By: by}, From: from}).Apply(t.Context(), h)
		return err
	}
	if err := keep("ann@desk", ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep("bob@desk", ""); !errors.Is(err, host.ErrMoved) {
		t.Errorf("planned on what isn't there any more: %v", err)
	}
	if err := keep("bob@desk", string(data)); err == nil || !strings.Contains(err.Error(), "ann@desk is rotating this since") {
		t.Errorf("somebody else's rotation: %v", err)
	}
	if err := keep("ann@desk", string(data)); err != nil {
		t.Errorf("one's own: %v", err)
	}
	// Nothing was heard of it for long.
	old, err := json.Marshal(Note{Step: "accept", Generation: 3, By: "ann@desk", Since: time.Now().Add(-stale - time.Second).UTC().Format(time.RFC3339)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keep("bob@desk", string(old)); err != nil {
		t.Errorf("one of which nothing was heard for long: %v", err)
	}
}

func TestHostKnowsALaterStore(t *testing.T) {
	s := &State{Name: "db", Step: "begin", Generation: 4, By: "bob@desk"}
	for generation, refused := range map[int]bool{3: false, 4: false, 5: true} {
		if err := s.newer(Note{Step: Done, Generation: generation, By: "ann@desk"}); (err != nil) != refused {
			t.Errorf("a note of generation %d: %v", generation, err)
		}
	}
	for _, text := range []string{"", "{", `{"generation": "x"}`} {
		if n := read([]byte(text)); n != (Note{}) {
			t.Errorf("%q is read as %+v", text, n)
		}
	}
	for name, ok := range map[string]bool{"db_app": true, "a.b-c": true, "": false, "../x": false, "a/b": false} {
		if errs := (&State{Name: name}).Check(func(string) bool { return false }); (len(errs) == 0) != ok {
			t.Errorf("the name %q: %v", name, errs)
		}
	}
}
