package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"muster/internal/journal"
	"muster/internal/wire"
)

func TestWhatStoodThereIsSealed(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := age.GenerateX25519Identity()
	canary := []byte("former-content-canary")
	large := bytes.Repeat([]byte("x"), wire.FormerLimit+1)
	write := func(former []byte) *wire.Undo {
		return &wire.Undo{Target: "/etc/x", Steps: []wire.UndoStep{
			{Type: "file.attr/1", Change: []byte(`{"path":"/etc/change-canary"}`)}, {Type: "file.write/1", Change: []byte(`{"path":"/etc/x"}`), Former: former},
		}}
	}
	plain := &wire.Undo{Target: "/etc/x", Steps: []wire.UndoStep{{Type: "file.remove/1", Change: []byte(`{"path":"/etc/change-canary"}`)}}}
	to := []age.Recipient{id.Recipient()}
	for name, test := range map[string]struct {
		to      []age.Recipient
		undo    *wire.Undo
		missing string
		clear   bool
	}{
		"content is sealed":                   {to, write(canary), "", false},
		"as much as is allowed":               {to, write(large[1:]), "", false},
		"an empty file":                       {to, write(nil), "", false},
		"more than is allowed isn't kept":     {to, write(large), "262145 bytes stood there", false},
		"without an identity it isn't kept":   {nil, write(canary), "no identity", false},
		"what can't be sealed isn't kept":     {[]age.Recipient{broken{}}, write(canary), "couldn't be sealed: failed to wrap key for recipient #0: no luck", false},
		"what has no content is sealed too":   {to, plain, "", false},
		"what has none is kept without":       {nil, plain, "", true},
		"what the host couldn't tell":         {to, &wire.Undo{Target: "/etc/x", Missing: "nothing takes it back"}, "nothing takes it back", false},
		"nothing at all is nothing to go by":  {to, &wire.Undo{Target: "/etc/x"}, "nothing takes it back", false},
		"a file that was empty has no canary": {nil, write([]byte{}), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j")
			j := open(t, path, journal.Options{Recipients: test.to})
			r := begin(t, j, journal.RunInfo{}, "h")
			grant(t, r, "h", fileTask("a"))
			r.Before("h", fileTask("a").ID, test.undo)
			if err := r.End("changed"); err != nil {
				t.Fatal(err)
			}
			got, err := j.Undo(r.ID(), "h", fileTask("a").ID, id)
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			if at := find(t, j, "last").PerHost[0].Tasks[0]; at.Undoable != (test.missing == "") || at.Edits != 1 || at.NotUndoable != got[0].Missing {
				t.Errorf("%+v", at)
			}
			want := wire.Undo{ID: fileTask("a").ID, Target: "/etc/x", Steps: test.undo.Steps}
			if test.missing != "" {
				want.Steps, want.Missing = nil, got[0].Missing
			}
			if !strings.Contains(got[0].Missing, test.missing) {
				t.Error(got[0].Missing)
			}
			if diff := cmp.Diff(want, got[0], cmp.Comparer(bytes.Equal)); diff != "" {
				t.Error(diff)
			}
			raw := onDisk(t, path)
			if bytes.Contains(raw, canary) || bytes.Contains(raw, large[:1000]) || bytes.Contains(raw, []byte("change-canary")) != test.clear {
				t.Error("it stands in the file as it was")
			}
			if !bytes.Contains(raw, []byte("/etc/x")) {
				t.Error("the file doesn't hold what is looked for, whatever that is")
			}
			if _, err := j.Undo(r.ID(), "h", fileTask("a").ID, other); (err == nil) != (test.clear || test.missing != "") {
				t.Error("opened with another identity:", err)
			}
		})
	}
}

// broken is a recipient that nothing can be sealed to.
type broken struct{}

func (broken) Wrap([]byte) ([]*age.Stanza, error) { return nil, errors.New("no luck") }

// onDisk is every byte of a journal's files.
func onDisk(t testing.TB, path string) []byte {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v: there is no log to look into", files, err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
