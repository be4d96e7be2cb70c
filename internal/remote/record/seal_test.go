package record

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/wire"
)

// text is what stands on the host's disk, with what is in base64 there in clear besides.
func text(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files(t, dir) {
		data, err := os.ReadFile(file)
		must(t, err)
		all.Write(data)
		for _, word := range bytes.FieldsFunc(data, func(r rune) bool { return strings.ContainsRune("\":{},[]\n", r) }) {
			clear, err := base64.StdEncoding.DecodeString(string(word))
			if err == nil {
				all.Write(clear)
			}
		}
	}
	return all.String()
}

func edit(id, content string) *wire.Undo {
	return &wire.Undo{ID: id, Target: "/etc/password", Steps: []wire.UndoStep{{Type: "file.write/1", Change: []byte("{}"), Former: []byte(content)}}}
}

// What programs printed stands in a record for nobody but the run's next connection: not
// while a task is in hand, and not where the record stays since muster was killed.
func TestWhatATaskSaidIsForItsRunAlone(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	d := done("a")
	d.Output, d.Error, d.Notes = []byte(`{"stdout":"hunter2"}`), "it says hunter2", []string{"hunter2 isn't taken"}
	r.End(d, true)
	if kept := text(t, dir); strings.Contains(kept, "hunter2") || !strings.Contains(kept, `"said"`) {
		t.Errorf("the record has\n%s", kept)
	}
	_ = r.f.Close() // it was killed

	other, err := New(Options{Dir: filepath.Join(dir, "records"), Marks: filepath.Join(dir, "marks"), Run: run, Take: 1, Key: bytes.Repeat([]byte("x"), KeySize)})
	must(t, err)
	left, err := other.TakeUp(t.Context(), nil)
	must(t, err)
	if len(left.Ended) != 0 || left.Unended != "a" {
		t.Errorf("with another key it finds %+v", left)
	}
	other.Close()
}

func TestWhatATaskSaidIsReadByTheNextConnection(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", true))
	d := done("a")
	d.Output, d.Error = []byte(`{"stdout":"hunter2"}`), "it says hunter2"
	r.End(d, true)
	_ = r.f.Close()
	second := open(t, dir, 1)
	left, err := second.TakeUp(t.Context(), nil)
	must(t, err)
	if len(left.Ended) != 1 || string(left.Ended[0].Output) != string(d.Output) || left.Ended[0].Error != d.Error {
		t.Errorf("left is %+v", left)
	}
	second.Close()
}

// What takes the edits of an atomic task back can be read by any later run as long as the
// task is in hand, and by nobody once they belong to a whole.
func TestEditsAreReadableUntilTheyAreSettled(t *testing.T) {
	for name, settle := range map[string]func(*Record) error{
		"its task has ended": func(r *Record) error { r.End(done("a"), true); return nil },
		"its plan is whole":  func(r *Record) error { return r.Undone() },
	} {
		dir := t.TempDir()
		r := open(t, dir, 0)
		must(t, r.Begin("a", false))
		must(t, r.Edit(edit("a", "hunter2")))
		must(t, r.Edit(edit("a", "hunter3")))
		before, err := os.ReadFile(r.path())
		must(t, err)
		left, _ := read(before, nil)
		if len(left.Edits) != 2 || !bytes.Contains(left.Edits[1].Steps[0].Former, []byte("hunter3")) {
			t.Fatalf("another run reads %+v", left.Edits)
		}
		must(t, settle(r))
		after, err := os.ReadFile(r.path())
		must(t, err)
		if kept := text(t, dir); strings.Contains(kept, "hunter") || strings.Contains(kept, string(left.key)) {
			t.Errorf("%s: the record has\n%s", name, kept)
		}
		if len(after) <= len(before) {
			t.Errorf("%s: the record was %d bytes, and has %d", name, len(before), len(after))
		}
		if left, whole := read(after, make([]byte, KeySize)); len(left.Edits) > 0 || whole != len(after) {
			t.Errorf("%s: %d of %d bytes are read: %+v", name, whole, len(after), left)
		}
		// The next edits have a key of their own.
		must(t, r.Begin("b", false))
		must(t, r.Edit(edit("b", "hunter4")))
		again, err := os.ReadFile(r.path())
		must(t, err)
		if left, _ := read(again, nil); len(left.Edits) != 1 || !bytes.Contains(left.Edits[0].Steps[0].Former, []byte("hunter4")) {
			t.Errorf("%s: of the next task another run reads %+v", name, left.Edits)
		}
		_ = r.f.Close()
	}
}

// Who takes a host up where edits were taken back begins the next with another key.
func TestEditsAfterATakeUpHaveAKeyOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, 0)
	must(t, r.Begin("a", false))
	must(t, r.Edit(edit("a", "hunter2")))
	_ = r.f.Close()
	second := open(t, dir, 1)
	left, err := second.TakeUp(t.Context(), nil)
	must(t, err)
	if len(left.Edits) != 1 {
		t.Fatalf("left is %+v", left)
	}
	must(t, second.Undone()) // they are taken back
	must(t, second.Begin("a", false))
	must(t, second.Edit(edit("a", "hunter5")))
	data, err := os.ReadFile(second.path())
	must(t, err)
	if kept := text(t, dir); strings.Contains(kept, "hunter") {
		t.Errorf("the record has\n%s", kept)
	}
	if left, _ := read(data, nil); len(left.Edits) != 1 || !bytes.Contains(left.Edits[0].Steps[0].Former, []byte("hunter5")) {
		t.Errorf("another run reads %+v", left.Edits)
	}
	_ = second.f.Close()
}
