package rotate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/lang/plays"
	"muster/secret"
)

// takenAfter is when the accepting host gives a rotation to another (modules/rotation).
const takenAfter = 15 * time.Minute

// slow is hosts on which the parts take their time, and the accepting one of which knows
// when it was told of each rotation last.
type slow struct {
	log
	takes map[string]time.Duration // how long a part takes, as "NAME PHASE"

	mu      sync.Mutex
	told    map[string]time.Time
	longest map[string]time.Duration // that it wasn't told, while it was in hand
	renews  func(name string) error
}

func (s *slow) tell(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.told[name]; ok {
		s.longest[name] = max(s.longest[name], time.Since(at))
	}
	s.told[name] = time.Now()
}

func (s *slow) Note(_ context.Context, r *plays.Rotation, step string) error {
	s.tell(r.Name)
	return nil
}

func (s *slow) Renew(_ context.Context, r *plays.Rotation) error {
	if s.renews != nil {
		if err := s.renews(r.Name); err != nil {
			return err
		}
	}
	s.tell(r.Name)
	return nil
}

func (s *slow) GiveUp(context.Context, *plays.Rotation, string) error { return nil }

func (s *slow) work(ctx context.Context, what string) error {
	select {
	case <-ctx.Done():
		return errors.New("it was interrupted")
	case <-time.After(s.takes[what]):
		return nil
	}
}

func (s *slow) Make(ctx context.Context, r *plays.Rotation, phase string) error {
	s.lines = append(s.lines, r.Name+" "+phase)
	return s.work(ctx, r.Name+" "+phase)
}

func (s *slow) Undo(ctx context.Context, r *plays.Rotation, phase string) error {
	return s.Make(ctx, r, phase)
}

func (s *slow) Apply(ctx context.Context, file string, list []*plays.Rotation) error {
	return s.work(ctx, file)
}

// machine takes on rotations of these names, whose secrets are at their first versions.
func (s *slow) machine(t *testing.T, names ...string) (*Machine, []*plays.Rotation) {
	w := newWorld(t)
	s.world, s.told, s.longest = w, map[string]time.Time{}, map[string]time.Duration{}
	m, c := w.machine(), counts{}
	var list []*plays.Rotation
	for _, name := range names {
		r := testRotation(0)
		r.Name, r.Secret = name, name
		r.Phases = slices.Insert(slices.Clone(r.Phases), 2, "consumers site")
		r.Applies = map[string]string{"consumers site": "site.hcl"}
		c[name], list = Versions{Current: 1}, append(list, r)
	}
	m.Hosts, m.Store = s, c
	return m, list
}

func (s *slow) Check(context.Context, *plays.Rotation, secret.String) error { return nil }

// However long a part takes, its rotation is nobody else's meanwhile, nor are those that wait for it.
func TestRotationIsNotTakenWhileItIsMade(t *testing.T) {
	for _, what := range []string{"a accept", "a consumers app", "a verify", "a retire", "b accept", "site.hcl"} {
		synctest.Test(t, func(t *testing.T) {
			s := &slow{takes: map[string]time.Duration{what: 10 * time.Hour}}
			m, list := s.machine(t, "a", "b")
			for _, r := range m.Go(t.Context(), list...) {
				if r.Err != nil || !r.Done {
					t.Errorf("%s: %s: %v", what, r.Rotation.Name, r.Err)
				}
			}
			for _, name := range []string{"a", "b"} {
				if s.longest[name] >= takenAfter-renewEvery {
					t.Errorf("%s: of %s nothing was heard for %s", what, name, s.longest[name])
				}
			}
			// Nor is it held once it is over.
			told := s.told["a"]
			if time.Sleep(time.Hour); s.told["a"] != told {
				t.Errorf("%s: it is renewed after its end", what)
			}
		})
	}
}

func TestGivingUpIsNotTakenEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: map[string]time.Duration{"a consumers app": 10 * time.Hour}}
		m, list := s.machine(t, "a")
		m.Store = counts{"a": {Current: 1, Pending: 2}}
		list[0].Applies = nil
		if r := m.Back(t.Context(), list...)[0]; r.Err != nil || s.longest["a"] >= takenAfter-renewEvery {
			t.Errorf("%v; nothing was heard for %s", r.Err, s.longest["a"])
		}
	})
}

func TestRotationThatIsTakenIsNotGoneOnWith(t *testing.T) {
	for what, left := range map[string]string{"a accept": "a accept", "b accept": "a accept, b accept", "b verify": "a verify, b verify", "a retire": "a retire"} {
		synctest.Test(t, func(t *testing.T) {
			s := &slow{takes: map[string]time.Duration{what: 10 * time.Hour}}
			m, list := s.machine(t, "a", "b")
			begun := time.Now()
			s.renews = func(name string) error {
				if name == "a" && time.Since(begun) >= time.Hour {
					return ErrTaken
				}
				return nil
			}
			r := m.Go(t.Context(), list...)
			if took := time.Since(begun); what[0] == 'a' && took > time.Hour+renewEvery {
				t.Errorf("%s: it has ended only after %s", what, took)
			}
			if !errors.Is(r[0].Err, ErrTaken) || r[1].Err != nil || !r[1].Done {
				t.Errorf("%s: %v, %v", what, r[0].Err, r[1].Err)
			}
			if v, err := m.Store.Versions("a"); err != nil || what != "a retire" && v.Previous != 0 {
				t.Errorf("%s: the value was promoted all the same: %v, %v", what, v, err)
			}
			var made []string
			for _, line := range s.lines {
				if name, _, _ := strings.Cut(line, " "); name == "a" || line == what {
					made = append(made, line)
				}
			}
			if !strings.HasSuffix(strings.Join(made, ", "), left) {
				t.Errorf("%s: made %s, and was to end with %s", what, strings.Join(made, ", "), left)
			}
		})
	}
}

// Where the accepting host can't be told, the work has ended before others may take it.
func TestWorkEndsWhereItCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: map[string]time.Duration{"a consumers app": 10 * time.Hour}}
		m, list := s.machine(t, "a")
		begun := time.Now()
		s.renews = func(string) error {
			if time.Since(begun) > time.Hour {
				time.Sleep(renewEvery)
				return errors.New("unreachable")
			}
			return nil
		}
		r := m.Go(t.Context(), list...)[0]
		if r.Err == nil || !strings.Contains(r.Err.Error(), "unreachable") || time.Since(s.told["a"]) >= takenAfter {
			t.Errorf("%v, %s after it was heard of last", r.Err, time.Since(s.told["a"]))
		}
	})
}

// A host that can't be reached for a while ends nothing.
func TestRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: map[string]time.Duration{"a consumers app": 10 * time.Hour}}
		m, list := s.machine(t, "a")
		n := 0
		s.renews = func(string) error {
			if n++; n%4 > 0 {
				return errors.New("unreachable")
			}
			return nil
		}
		if r := m.Go(t.Context(), list...)[0]; r.Err != nil || !r.Done {
			t.Error(r.Err)
		}
	})
}
