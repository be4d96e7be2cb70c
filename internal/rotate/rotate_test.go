package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"muster/internal/lang"
	"muster/secret"
)

// world is a store, a server that lets values in, and hosts that use them. Each effect is
// counted: the world ends at one of them, as by a kill.
type world struct {
	t       *testing.T
	store   map[string]string // "current", "pending", "previous"
	numbers map[string]int
	lets    []string          // what the server lets in
	uses    map[string]string // by consumer
	down    map[string]bool
	made    int
	notes   map[int]time.Time
	now     time.Time

	left int // effects until the kill; below 0: none
}

var errKilled = errors.New("killed")

func newWorld(t *testing.T) *world {
	return &world{t: t, store: map[string]string{"current": "v1"}, numbers: map[string]int{"current": 1}, lets: []string{"v1"},
		uses: map[string]string{"app1": "v1", "app2": "v1"}, down: map[string]bool{}, notes: map[int]time.Time{}, now: time.Unix(1e9, 0), left: -1}
}

// effect does one thing that lasts, unless the kill comes before it.
func (w *world) effect(do func()) error {
	if w.left == 0 {
		return errKilled
	}
	w.left--
	do()
	w.holds()
	return nil
}

// holds checks what has to be so at every moment.
func (w *world) holds() {
	w.t.Helper()
	for host, value := range w.uses {
		if !slices.Contains(w.lets, value) {
			w.t.Errorf("%s is locked out: it uses %s, and the server lets in %v", host, value, w.lets)
		}
	}
	known := false
	for _, value := range w.lets {
		stored := false
		for _, v := range w.store {
			stored = stored || v == value
		}
		known = known || stored
	}
	if !known {
		w.t.Errorf("no value that is stored works: %v, %v", w.store, w.lets)
	}
}

func (w *world) Versions(string) (Versions, error) {
	return Versions{w.numbers["current"], w.numbers["pending"], w.numbers["previous"]}, nil
}

func (w *world) SetPending(_ string, value secret.String) error {
	if w.numbers["pending"]+w.numbers["previous"] > 0 {
		w.t.Error("a third value is made")
	}
	return w.effect(func() { w.store["pending"], w.numbers["pending"] = value.Reveal(), w.numbers["current"]+1 })
}

func (w *world) Promote(string) error {
	return w.effect(func() {
		w.store["previous"], w.store["current"] = w.store["current"], w.store["pending"]
		w.numbers["previous"], w.numbers["current"] = w.numbers["current"], w.numbers["pending"]
		delete(w.store, "pending")
		delete(w.numbers, "pending")
	})
}

func (w *world) Retire(string) error {
	return w.effect(func() { delete(w.store, "previous"); delete(w.numbers, "previous") })
}

func (w *world) Note(context.Context, *lang.Rotation, string) error { return w.effect(func() {}) }

func (w *world) new() string {
	if v, ok := w.store["pending"]; ok {
		return v
	}
	return w.store["current"]
}

func (w *world) Make(_ context.Context, _ *lang.Rotation, phase string) error {
	switch phase {
	case "accept":
		if !slices.Contains(w.lets, w.new()) {
			return w.effect(func() { w.lets = append(w.lets, w.new()) })
		}
	case "retire":
		return w.effect(func() { w.lets = []string{w.new()} })
	case "consumers app":
		for _, host := range []string{"app1", "app2"} {
			if w.down[host] {
				return fmt.Errorf("%s is down", host)
			}
			if err := w.effect(func() { w.uses[host] = w.new() }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) Promoted(_ *lang.Rotation, version int, at time.Time) error {
	return w.effect(func() { w.notes[version] = at })
}

func (w *world) PromotedAt(_ *lang.Rotation, version int) (time.Time, bool) {
	at, ok := w.notes[version]
	return at, ok
}

func (w *world) machine() *Machine {
	return &Machine{Store: w, Hosts: w, Notes: w, Now: func() time.Time { return w.now }, Say: func(string) {},
		Generate: func(*lang.Rotation) (secret.String, error) {
			w.made++
			return secret.New(fmt.Sprintf("new%d", w.made)), nil
		}}
}

func testRotation(grace time.Duration) *lang.Rotation {
	return &lang.Rotation{Name: "db", Secret: "mysql/app", Grace: grace, Phases: []string{"accept", "consumers app", "verify", "retire"}}
}

// over checks that one value is left, which everybody uses.
func (w *world) over() {
	w.t.Helper()
	if len(w.store) != 1 || len(w.lets) != 1 || w.lets[0] != w.store["current"] || w.store["current"] == "v1" {
		w.t.Errorf("it ended with %v stored, and %v let in", w.store, w.lets)
	}
	for host, value := range w.uses {
		if value != w.store["current"] {
			w.t.Errorf("%s uses %s", host, value)
		}
	}
}

func TestRotationKilledAfterEachEffectEndsWithOneValue(t *testing.T) {
	for n := 0; ; n++ {
		w := newWorld(t)
		w.left = n
		_, err := w.machine().Go(t.Context(), testRotation(0))
		if err == nil {
			w.over()
			if n < 10 {
				t.Errorf("only %d effects were made", n)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		w.left = -1
		if r, err := w.machine().Go(t.Context(), testRotation(0)); err != nil || !r.Done {
			t.Fatalf("killed after %d: %+v %v", n, r, err)
		}
		w.over()
		if t.Failed() {
			t.Fatalf("killed after %d effects", n)
		}
	}
}

func TestOldValueIsRetiredOnlyAfterTheGrace(t *testing.T) {
	w := newWorld(t)
	r, err := w.machine().Go(t.Context(), testRotation(time.Hour))
	if err != nil || r.Done || !r.Until.Equal(w.now.Add(time.Hour)) || len(w.lets) != 2 {
		t.Fatalf("%+v %v, let in: %v", r, err, w.lets)
	}
	w.now = w.now.Add(59 * time.Minute)
	if r, err = w.machine().Go(t.Context(), testRotation(time.Hour)); err != nil || r.Done || len(w.lets) != 2 || w.made != 1 {
		t.Fatalf("%+v %v, let in: %v", r, err, w.lets)
	}
	// Somebody else goes on, who doesn't know when it was promoted: the grace begins anew.
	w.notes = map[int]time.Time{}
	if r, err = w.machine().Go(t.Context(), testRotation(time.Hour)); err != nil || r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.now = w.now.Add(time.Hour)
	if r, err = w.machine().Go(t.Context(), testRotation(time.Hour)); err != nil || !r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.over()
}

func TestHostThatIsDownKeepsTheOldValueValid(t *testing.T) {
	w := newWorld(t)
	w.down["app2"] = true
	for range 2 {
		if _, err := w.machine().Go(t.Context(), testRotation(0)); err == nil {
			t.Fatal("no error")
		}
		if !slices.Contains(w.lets, "v1") || w.store["current"] != "v1" || w.uses["app1"] != "new1" {
			t.Fatalf("%v %v %v", w.lets, w.store, w.uses)
		}
	}
	w.down["app2"] = false
	if r, err := w.machine().Go(t.Context(), testRotation(0)); err != nil || !r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.over()
	if w.made != 1 {
		t.Errorf("%d values were made", w.made)
	}
}
