package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"muster/internal/lang/plays"
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

	committed       map[string]string
	numbered        map[string]int // the numbers of what is committed
	noCommit        bool
	refuses, cannot []string // values that the server, or a task, doesn't take
	known           int      // what the accepting host knows
	knows           string
	outdated        string // the value that all hosts refuse
	back, backHere  string // the value that is being given up: as the accepting host knows, and this machine
	given           string // the value that was, as all hosts know
	others          bool   // a host knows of another project's secret of this name

	left int // effects until the kill; below 0: none
}

var (
	errKilled = errors.New("killed")
	errGiven  = errors.New("the host knows that it was given up")
)

func newWorld(t *testing.T) *world {
	return &world{t: t, store: map[string]string{"current": "v1"}, numbers: map[string]int{"current": 1}, lets: []string{"v1"},
		uses: map[string]string{"app1": "v1", "app2": "v1"}, down: map[string]bool{}, known: 1, knows: "v1", notes: map[int]time.Time{}, now: time.Unix(1e9, 0), left: -1}
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

func (w *world) ReplacePending(_ string, value secret.String) error {
	for host, used := range w.uses {
		if used == w.store["pending"] {
			w.t.Errorf("%s uses the value that is replaced", host)
		}
	}
	return w.effect(func() { w.store["pending"] = value.Reveal() })
}

func (w *world) DropPending(string) error {
	return w.effect(func() { delete(w.store, "pending"); delete(w.numbers, "pending") })
}

func (w *world) Commit(context.Context) error {
	if w.noCommit {
		return errors.New("not committed")
	}
	return w.effect(func() { w.committed, w.numbered = maps.Clone(w.store), maps.Clone(w.numbers) })
}

func (w *world) Check(_ context.Context, _ *plays.Rotation, value secret.String) error {
	if slices.Contains(w.cannot, value.Reveal()) {
		return ErrRefused
	}
	return nil
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

func (w *world) Look(context.Context, *plays.Rotation) error {
	if w.others {
		return errors.New("a host knows of another")
	}
	return nil
}

func (w *world) GoBack(*plays.Rotation) error {
	return w.effect(func() { w.backHere = w.store["pending"] })
}

func (w *world) GoingBack(*plays.Rotation) bool {
	return w.backHere != "" && w.backHere == w.store["pending"]
}

// Note keeps what a host keeps: it refuses what it knows better.
func (w *world) Note(_ context.Context, _ *plays.Rotation, step string) error {
	if step != "back" && w.back != "" && w.back == w.store["pending"] {
		return ErrBack
	}
	if step != "back" && w.given != "" && w.given == w.store["pending"] {
		return errGiven
	}
	version, value := w.numbers["current"], w.store["current"]
	if w.numbers["pending"] != 0 {
		version, value = w.numbers["pending"], w.store["pending"]
	}
	if version < w.known || version == w.known && w.knows != value {
		return errors.New("the host knows better")
	}
	return w.effect(func() {
		w.known, w.knows, w.back = version, value, ""
		if step == "back" {
			w.back = value
		}
	})
}

func (w *world) Renew(context.Context, *plays.Rotation) error { return nil }

func (w *world) Retired(context.Context, *plays.Rotation) error {
	if slices.Contains(w.lets, w.store["previous"]) {
		w.t.Error("a value is noted as retired that works")
	}
	return w.effect(func() { w.outdated = w.store["previous"] })
}

func (w *world) GiveUp(_ context.Context, _ *plays.Rotation, step string) error {
	if w.known > w.numbers["current"] && w.knows != w.store["pending"] {
		return errors.New("the host knows of another")
	}
	return w.effect(func() {
		w.known, w.knows, w.back = w.numbers["current"], w.store["current"], ""
		if step == Done {
			w.given = w.store["pending"]
		}
	})
}

func (w *world) new() string {
	if v, ok := w.store["pending"]; ok {
		return v
	}
	return w.store["current"]
}

func (w *world) Make(_ context.Context, _ *plays.Rotation, phase string) error {
	switch phase {
	case "accept":
		if !maps.Equal(w.committed, w.store) {
			w.t.Error("a host gets to know a value that isn't committed")
		}
		if slices.Contains(w.refuses, w.new()) {
			return fmt.Errorf("policy: %w", ErrRefused)
		}
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

func (w *world) Apply(ctx context.Context, _ string, list []*plays.Rotation) error {
	return w.Make(ctx, list[0], "consumers app")
}

func (w *world) ApplyBack(ctx context.Context, _ string, r *plays.Rotation) error {
	return w.Undo(ctx, r, "consumers app")
}

func (w *world) Undo(_ context.Context, _ *plays.Rotation, phase string) error {
	switch phase {
	case "accept", "retire":
		return w.effect(func() { w.lets = []string{w.store["current"]} })
	case "consumers app":
		for _, host := range []string{"app1", "app2"} {
			if err := w.effect(func() { w.uses[host] = w.store["current"] }); err != nil {
				return err
			}
		}
	}
	return nil
}

// run takes the rotation on.
func (w *world) run(grace time.Duration) (Result, error) {
	r := w.machine().Go(w.t.Context(), testRotation(grace))[0]
	return r, r.Err
}

func (w *world) Promoted(_ *plays.Rotation, version int, at time.Time) error {
	return w.effect(func() { w.notes[version] = at })
}

func (w *world) PromotedAt(_ *plays.Rotation, version int) (time.Time, bool) {
	at, ok := w.notes[version]
	return at, ok
}

func (w *world) machine() *Machine {
	return &Machine{Store: w, Hosts: w, Notes: w, Now: func() time.Time { return w.now }, Say: func(*plays.Rotation, string, string) {},
		Generate: func(*plays.Rotation) (secret.String, error) {
			w.made++
			return secret.New(fmt.Sprintf("new%d", w.made)), nil
		}}
}

func testRotation(grace time.Duration) *plays.Rotation {
	return &plays.Rotation{Name: "db", Secret: "mysql/app", Grace: grace, Phases: []string{"accept", "consumers app", "verify", "retire"}}
}

// over checks that one value is left, which everybody uses.
func (w *world) over() {
	w.t.Helper()
	if was := fmt.Sprintf("new%d", w.made-1); w.outdated != "v1" && w.outdated != was {
		w.t.Errorf("no host knows that the old value counts no more, but %q", w.outdated)
	}
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
		_, err := w.run(0)
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
		if r, err := w.run(0); err != nil || !r.Done {
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
	r, err := w.run(time.Hour)
	if err != nil || r.Done || !r.Until.Equal(w.now.Add(time.Hour)) || len(w.lets) != 2 {
		t.Fatalf("%+v %v, let in: %v", r, err, w.lets)
	}
	w.now = w.now.Add(59 * time.Minute)
	if r, err = w.run(time.Hour); err != nil || r.Done || len(w.lets) != 2 || w.made != 1 {
		t.Fatalf("%+v %v, let in: %v", r, err, w.lets)
	}
	// Somebody else goes on, who doesn't know when it was promoted: the grace begins anew.
	w.notes = map[int]time.Time{}
	if r, err = w.run(time.Hour); err != nil || r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.now = w.now.Add(time.Hour)
	if r, err = w.run(time.Hour); err != nil || !r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.over()
}

func TestHostThatIsDownKeepsTheOldValueValid(t *testing.T) {
	w := newWorld(t)
	w.down["app2"] = true
	for range 2 {
		if _, err := w.run(0); err == nil {
			t.Fatal("no error")
		}
		if !slices.Contains(w.lets, "v1") || w.store["current"] != "v1" || w.uses["app1"] != "new1" {
			t.Fatalf("%v %v %v", w.lets, w.store, w.uses)
		}
	}
	w.down["app2"] = false
	if r, err := w.run(0); err != nil || !r.Done {
		t.Fatalf("%+v %v", r, err)
	}
	w.over()
	if w.made != 1 {
		t.Errorf("%d values were made", w.made)
	}
}
