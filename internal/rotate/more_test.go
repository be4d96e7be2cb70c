package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/lang/plays"
	"muster/secret"
)

func TestRefusedValueGivesWayToAnother(t *testing.T) {
	for n := -1; n < 20; n++ { // killed after n effects, and gone on with
		w := newWorld(t)
		w.refuses, w.cannot, w.left = []string{"new2"}, []string{"new1"}, n
		if _, err := w.run(0); err != nil {
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			w.left = -1
			if _, err := w.run(0); err != nil {
				t.Fatalf("killed after %d: %v", n, err)
			}
		}
		if w.over(); w.made < 3 || n < 0 && w.made != 3 {
			t.Errorf("killed after %d: %d values were made", n, w.made)
		}
	}
}

func TestValuesAreNotMadeForEver(t *testing.T) {
	w := newWorld(t)
	w.refuses = []string{"new1", "new2", "new3"}
	if _, err := w.run(0); !errors.Is(err, ErrRefused) || w.made != 3 {
		t.Errorf("%v after %d values", err, w.made)
	}
	if w.store["current"] != "v1" || !slices.Contains(w.lets, "v1") {
		t.Errorf("%v %v", w.store, w.lets)
	}
	w = newWorld(t)
	w.cannot = []string{"new1", "new2", "new3"}
	if _, err := w.run(0); !errors.Is(err, ErrRefused) || w.made != 3 || len(w.store) != 1 {
		t.Errorf("%v after %d values: %v", err, w.made, w.store)
	}
}

// What isn't committed is no host's, and comes first when the rotation is gone on with.
func TestNothingUsesAValueThatIsNotCommitted(t *testing.T) {
	w := newWorld(t)
	w.noCommit = true
	if _, err := w.run(0); err == nil || len(w.lets) != 1 {
		t.Fatalf("%v, let in: %v", err, w.lets)
	}
	w.noCommit = false
	if _, err := w.run(0); err != nil {
		t.Fatal(err)
	}
	w.over()
}

// Whoever has an older store than the host knows of makes no value.
func TestHostThatKnowsBetterIsAskedFirst(t *testing.T) {
	w := newWorld(t)
	w.known, w.knows = 2, "v2"
	if _, err := w.run(0); err == nil || len(w.store) != 1 || len(w.lets) != 1 {
		t.Errorf("%v: %v, let in: %v", err, w.store, w.lets)
	}
}

// A rotation is given up at each of its effects, and giving up is killed at each of its own.
func TestRotationIsGivenUp(t *testing.T) {
	for n := 0; ; n++ {
		for killed := -1; killed < 12; killed++ {
			w := newWorld(t)
			w.left = n
			_, err := w.run(time.Hour)
			w.left = killed
			r := w.machine().Back(t.Context(), testRotation(time.Hour))[0]
			if errors.Is(r.Err, errKilled) {
				w.left = -1
				if r = w.machine().Back(t.Context(), testRotation(time.Hour))[0]; r.Err != nil && w.numbers["pending"] == 0 {
					r.Err = nil // it was over
				}
			}
			switch {
			case err == nil || w.numbers["previous"] != 0:
				if r.Err == nil {
					t.Error("a rotation is given up whose new value is the current one")
				}
				return
			case r.Err != nil && strings.Contains(r.Err.Error(), "it isn't open"):
				continue
			case r.Err != nil:
				t.Fatal(n, killed, r.Err)
			}
			w.left = -1
			if len(w.store) != 1 || w.store["current"] != "v1" || !slices.Equal(w.lets, []string{"v1"}) || w.uses["app1"] != "v1" || w.uses["app2"] != "v1" {
				t.Fatalf("given up after %d, killed at %d: %v %v %v", n, killed, w.store, w.lets, w.uses)
			}
			// And the next one isn't taken for it.
			if _, err := w.run(0); err != nil {
				t.Fatalf("given up after %d, killed at %d: %v", n, killed, err)
			}
			w.over()
		}
	}
}

// A rotation on its way back is gone on with so, by whatever command, here and on another
// machine.
func TestRotationOnItsWayBackGoesOnBack(t *testing.T) {
	for _, here := range []bool{true, false} {
		ways := 0
		for killed := 0; ; killed++ {
			w := newWorld(t)
			w.down["app2"] = true
			if _, err := w.run(0); err == nil || w.uses["app1"] != "new1" {
				t.Fatal(err, w.uses)
			}
			w.down["app2"], w.left = false, killed
			r := w.machine().Back(t.Context(), testRotation(0))[0]
			if r.Err == nil {
				if ways < 4 {
					t.Errorf("only %d ways to stop it", ways)
				}
				break
			}
			w.left = -1
			if !here {
				w.backHere = ""
			}
			begun, pending := w.backHere != "" || w.back != "", w.numbers["pending"] != 0
			if !begun || !pending {
				continue // nothing of it was made, or all
			}
			ways++
			if r = w.machine().Go(t.Context(), testRotation(0))[0]; r.Err != nil || !r.Done || !r.Back {
				t.Fatalf("stopped after %d, here: %v: %+v", killed, here, r)
			}
			if len(w.store) != 1 || w.store["current"] != "v1" || !slices.Equal(w.lets, []string{"v1"}) || w.uses["app1"] != "v1" || w.uses["app2"] != "v1" {
				t.Fatalf("stopped after %d, here: %v: %v %v %v", killed, here, w.store, w.lets, w.uses)
			}
			if r, err := w.run(0); err != nil || r.Back {
				t.Fatalf("the next one: %+v %v", r, err)
			}
			w.over()
		}
	}
}

// Where a host knows of another project's secret of that name nothing is begun.
func TestHostsAreAskedBeforeAValueIsStored(t *testing.T) {
	w := newWorld(t)
	w.others = true
	if _, err := w.run(0); err == nil || len(w.store) != 1 || len(w.lets) != 1 {
		t.Fatal(err, w.store, w.lets)
	}
	w.others = false
	if _, err := w.run(0); err != nil {
		t.Fatal(err)
	}
	w.over()
}

// The consumers are looked at once more where they were proved some time ago.
func TestConsumersAreProvedAgainBeforeTheOldValueEnds(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	w.uses["app2"] = "v1" // from a backup, say
	w.now = w.now.Add(time.Hour)
	if r, err := w.run(time.Hour); err != nil || !r.Done {
		t.Fatal(r, err)
	}
	w.over()

	w = newWorld(t)
	if _, err := w.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	w.now, w.down["app2"] = w.now.Add(time.Hour), true
	if _, err := w.run(time.Hour); err == nil || !slices.Contains(w.lets, "v1") {
		t.Errorf("%v: the old value ends while a consumer can't be looked at", err)
	}
}

// log is hosts that take everything, and write down what was made.
type log struct {
	*world
	fails string
	lines []string
}

func (l *log) Make(_ context.Context, r *plays.Rotation, phase string) error {
	l.lines = append(l.lines, r.Name+" "+phase)
	if l.fails == r.Name+" "+phase {
		return errors.New("it fails")
	}
	return nil
}

func (l *log) Retired(context.Context, *plays.Rotation) error              { return nil }
func (l *log) Note(context.Context, *plays.Rotation, string) error         { return nil }
func (l *log) Check(context.Context, *plays.Rotation, secret.String) error { return nil }
func (l *log) Apply(_ context.Context, file string, list []*plays.Rotation) error {
	line := "apply " + file
	for _, r := range list {
		line += " " + r.Name
	}
	l.lines = append(l.lines, line)
	if l.fails == line {
		return errors.New("it fails")
	}
	return nil
}

// counts is a store of numbers.
type counts map[string]Versions

func (c counts) Versions(name string) (Versions, error) { return c[name], nil }
func (c counts) set(name string, f func(*Versions)) error {
	v := c[name]
	f(&v)
	c[name] = v
	return nil
}
func (c counts) SetPending(name string, _ secret.String) error {
	return c.set(name, func(v *Versions) { v.Pending = v.Current + 1 })
}
func (c counts) ReplacePending(string, secret.String) error { return nil }
func (c counts) DropPending(name string) error {
	return c.set(name, func(v *Versions) { v.Pending = 0 })
}
func (c counts) Promote(name string) error {
	return c.set(name, func(v *Versions) { *v = Versions{Current: v.Pending, Previous: v.Current} })
}
func (c counts) Retire(name string) error {
	return c.set(name, func(v *Versions) { v.Previous = 0 })
}
func (c counts) Commit(context.Context) error { return nil }

func TestPlaybookOfSeveralRotationsIsAppliedOnce(t *testing.T) {
	rotations := func() []*plays.Rotation {
		one := func(name string, phases ...string) *plays.Rotation {
			r := &plays.Rotation{Name: name, Secret: name, Applies: map[string]string{}}
			for _, phase := range phases {
				if file, ok := strings.CutPrefix(phase, "="); ok {
					phase = "consumers " + file
					r.Applies[phase] = file + ".hcl"
				}
				r.Phases = append(r.Phases, phase)
			}
			return r
		}
		return []*plays.Rotation{one("b", "accept", "=site", "verify", "retire"), one("a", "accept", "=web", "consumers x", "=site", "verify", "retire"), one("c", "accept", "=site", "=last", "retire")}
	}
	for fails, want := range map[string][]string{
		"":                     {"b accept", "a accept", "c accept", "apply web.hcl a", "a consumers x", "apply site.hcl b a c", "b verify", "a verify", "apply last.hcl c", "b retire", "a retire", "c retire"},
		"b accept":             {"b accept", "a accept", "c accept", "apply web.hcl a", "a consumers x", "apply site.hcl a c", "a verify", "apply last.hcl c", "a retire", "c retire"},
		"apply site.hcl b a c": {"b accept", "a accept", "c accept", "apply web.hcl a", "a consumers x", "apply site.hcl b a c"},
	} {
		w := newWorld(t)
		l := &log{world: w, fails: fails}
		m := w.machine()
		m.Hosts, m.Store = l, counts{"a": {Current: 1}, "b": {Current: 3}, "c": {Current: 2}}
		results := m.Go(t.Context(), rotations()...)
		if !slices.Equal(l.lines, want) {
			t.Errorf("where %q fails:\n%s", fails, strings.Join(l.lines, "\n"))
		}
		for _, r := range results {
			if failed := fails == "b accept" && r.Rotation.Name == "b" || strings.HasPrefix(fails, "apply"); (r.Err != nil) != failed || r.Done == failed {
				t.Errorf("where %q fails: %s: %v", fails, r.Rotation.Name, fmt.Sprint(r.Err, r.Done))
			}
		}
	}
}

// A grace that ends while the run is at other rotations doesn't end the old value before
// the consumers are looked at once more.
func TestConsumersAreProvedAlsoWhereTheGraceEndsInTheMiddle(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run(time.Hour); err != nil {
		t.Fatal(err)
	}
	w.uses["app2"] = "v1"
	m, ends := w.machine(), w.now.Add(time.Hour)
	w.now, m.Now = ends.Add(-time.Second), func() time.Time {
		now := w.now
		w.now = ends
		return now
	}
	if r := m.Go(t.Context(), testRotation(time.Hour))[0]; r.Err != nil || r.Done || !slices.Contains(w.lets, "v1") {
		t.Fatalf("%+v, let in: %v", r, w.lets)
	}
	if r, err := w.run(time.Hour); err != nil || !r.Done {
		t.Fatal(r, err)
	}
	w.over()
}

// What muster keeps beside the store may be lost, here or on the accepting host, and the
// store itself may be the one that was committed last: which value works is found out anew.
func TestRotationIsGoneOnWithWhereNotesAreLost(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"this machine's": func(w *world) { w.notes = map[int]time.Time{} },
		"the host's":     func(w *world) { w.known, w.knows = 0, "" },
		"all but what is committed": func(w *world) {
			w.notes = map[int]time.Time{}
			if w.committed != nil {
				w.store, w.numbers = maps.Clone(w.committed), maps.Clone(w.numbered)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				w := newWorld(t)
				if w.left = -1; name == "all but what is committed" {
					if err := w.Commit(t.Context()); err != nil { // as it was before
						t.Fatal(err)
					}
				}
				w.left = n
				if _, err := w.run(0); err == nil {
					return
				}
				w.left = -1
				lose(w)
				r, err := w.run(0)
				if err != nil || !r.Done {
					t.Fatalf("killed after %d: %+v %v", n, r, err)
				}
				if w.over(); t.Failed() {
					t.Fatalf("killed after %d effects", n)
				}
			}
		})
	}
}
