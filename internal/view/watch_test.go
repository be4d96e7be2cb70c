package view_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"muster/internal/engine"
	"muster/internal/task"
	"muster/internal/view"
	"muster/internal/wire"
	"muster/tests/await"
)

// written keeps what several write.
type written struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

type stands []engine.Standing

func (s stands) Standings() []engine.Standing { return s }

func TestARunIsWatchedWhileItsEventsCome(t *testing.T) {
	var out, errs written
	screen := view.NewScreen(&out, &errs, func() (int, int) { return 80, 24 }, false)
	v := view.New(view.Options{Format: "pretty", Out: screen.Out(), Err: screen.Err()})
	hosts := []string{"a", "b"}
	one, other := event(0, 1, "a", "0/task.file.one", "task.file.one", "", "/one"), event(0, 1, "b", "0/task.file.one", "task.file.one", "", "/one")
	v.Begin(view.PlanningFirst, hosts)
	v.Event(one)
	v.Event(other)
	v.Begin(view.Making, hosts)
	stop := view.Watch(screen, v, stands{{Host: "b", Stage: engine.StageApply, Name: "task.file.one", Since: time.Now()}}, time.Now())
	v.Event(done(one, wire.Changed, ""))
	await.Until(t, "the footer stands there", func() bool {
		return strings.Contains(errs.String(), "  ~ file.one  1 of 2 hosts changed\n1 host: 1 applying  0s\n  b: file.one ")
	})
	var left []string
	for i := range 100 { // beside whoever draws it
		text := fmt.Sprint("warning ", i)
		v.Warn(text)
		left = append(left, "warning: "+text)
	}
	v.Event(done(other, wire.Changed, ""))
	await.Until(t, "the footer stands below that", func() bool {
		text := strings.TrimRight(errs.String(), "0123456789s\n")
		return strings.HasSuffix(text, "  b: file.one ")
	})
	stop()
	stop()
	x := &terminal{t: t, columns: 80}
	if _, err := x.Write([]byte(errs.String())); err != nil {
		t.Fatal(err)
	}
	x.shows(left...) // and nothing of the footer
	if text := out.String(); !strings.HasSuffix(text, "  ~ file.one  on a, b  2 of 2 hosts changed\n") || strings.Contains(text, ansi.EraseEntireLine) {
		t.Errorf("%q", text)
	}
}

// JSON has events for what a line would tell.
func TestNothingIsSaidBesideJSONWithoutATerminal(t *testing.T) {
	var out, errs written
	screen := view.NewScreen(&out, &errs, nil, false)
	v := view.New(view.Options{Format: "json", Out: screen.Out(), Err: screen.Err()})
	view.Watch(screen, v, stands{}, time.Now())()
	if errs.String() != "" {
		t.Errorf("%q", errs.String())
	}
}

// TestWhatHostsSayAlikeOfTheirProgressIsSaidOnce: eight hosts that wait are one line.
func TestWhatHostsSayAlikeOfTheirProgressIsSaidOnce(t *testing.T) {
	says := func(host, text string) *engine.ProgressEvent { return &engine.ProgressEvent{Host: host, Text: text} }
	begin := func(verbose bool) (view.View, *written) {
		var w written
		v := view.New(view.Options{Format: "plain", Verbose: verbose, Out: &w, Err: &w})
		v.Begin(view.Making, []string{"a", "b", "c"})
		return v, &w
	}
	for verbose, want := range map[bool]string{
		false: "\n  2 hosts (a, c): waiting for a run\n  b: pulling (1 of 2 MB)\n",
		true:  "\n  c: waiting for a run (process 7)\n  b: pulling (1 of 2 MB)\n  a: waiting for a run (process 8)\n",
	} {
		v, w := begin(verbose)
		v.Event(says("c", "waiting for a run (process 7)"))
		v.Event(says("b", "pulling (1 of 2 MB)"))
		v.Event(says("a", "waiting for a run (process 8)"))
		v.Summary(engine.NewSummary(), view.End{})
		if !strings.HasPrefix(w.String(), want) {
			t.Errorf("verbose %v: %s", verbose, w.String())
		}
	}
	// It comes by itself, and before more is told of the host.
	v, w := begin(false)
	v.Event(says("a", "waiting"))
	await.Until(t, "it is shown", func() bool { return strings.Contains(w.String(), "  a: waiting\n") })
	v.Event(says("b", "waiting"))
	v.Event(&engine.TaskEvent{Place: task.Place{Ref: task.Ref{Host: "b", Play: "p"}, Name: "task.file.f", ID: "0/task.file.f"}, Planned: task.Planned{Status: wire.Failed, Error: "no"}})
	if got := w.String(); !strings.Contains(got, "  b: waiting\np\n") {
		t.Error(got)
	}
}
