package modulestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
)

// stable plans once more, on the same host: it must be the same, byte for byte.
func (c *conformance) stable(t testing.TB, first []wire.Planned) {
	t.Helper()
	second := c.plan(t, c.session())
	for i := range first {
		a, b := first[i], second[i]
		if a.Digest != b.Digest {
			t.Errorf("%s: planned twice on one host, its changes are encoded in two ways: a plan has no clock, no random name, no order of a map", a.ID)
		}
		a.Seconds, b.Seconds, a.Digest, b.Digest, a.Wants, b.Wants = 0, 0, "", "", "", ""
		if one, two := encoded(t, a), encoded(t, b); one != two {
			t.Errorf("%s: planned twice on one host, it is\n%s\nand then\n%s", a.ID, one, two)
		}
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// later plans the case once more, in another second: a plan with the time in it
// isn't the same.
func (c *conformance) later(t testing.TB) {
	if c.first == nil || c.option("system") {
		return
	}
	time.Sleep(time.Until(c.planned.Add(1100 * time.Millisecond)))
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(c.root)) })
	c.lay(t, true)
	if c.snapshot(t, false) == c.laid {
		c.stable(t, c.first)
	}
}

// undone takes back what was made, last change first, as an atomic plan that fails
// is: after each, the host must be as it was before that change.
func (c *conformance) undone(t testing.TB, all []made) {
	if len(all) == 0 || all[len(all)-1].final() {
		return
	}
	c.lay(t, true)
	s := c.session()
	in := c.inspect(t, s)
	in.seeing = false
	planned := c.plan(t, s)
	whole := false
	outside := c.watch(func() {
		_, failure := in.apply(t, s, planned)
		whole = failure == "" && c.takeBack(t, s, in)
	})
	for _, e := range outside.Edits {
		if whole && e.Lasting && e.Path != c.root && !c.inside(e.Path) && !c.besides(e) {
			t.Errorf("what takes the task back leaves %s as\n%s\nwhere before it was\n%s", e.Path, e.Is, e.Was)
		}
	}
}

// final reports whether nothing takes a change back.
func (m made) final() bool {
	return (m.undo == nil || len(m.undo.Changes) == 0) && m.change.Describe().Action.Counts()
}

// takeBack takes back what was made, and reports whether all of it was.
func (c *conformance) takeBack(t testing.TB, s *remote.Session, in *inspector) bool {
	t.Helper()
	s.Making = nil
	for n := len(in.made) - 1; n >= 0; n-- {
		m := in.made[n]
		if m.final() {
			return false
		}
		if m.undo == nil {
			continue // it only looked
		}
		var err error
		as(t, c.user(), func() { err = undo(*m.undo, s.Host) })
		if err != nil {
			t.Errorf("%s %s: taking it back fails: %v", m.change.Type(), m.change.Describe().Target, err)
			return false
		}
		after := c.state(t)
		// Capabilities go with another owner or content, for good, and the plan names them.
		m.before, after = m.before.without("security."), after.without("security.")
		for _, path := range m.before.changed(after) {
			t.Errorf("%s %s: what takes it back leaves %s as\n%s\nwhere before it was\n%s", m.change.Type(), m.change.Describe().Target, path, after.at(path), m.before.at(path))
		}
		if t.Failed() {
			return false
		}
	}
	return true
}

// undo makes what takes an edit back.
func undo(u host.Undo, h *host.Host) error {
	for _, c := range append(u.Changes[:len(u.Changes):len(u.Changes)], u.After...) {
		if _, err := c.Apply(context.Background(), h); err != nil {
			return err
		}
	}
	return nil
}

// at describes what stands at a path.
func (s state) at(path string) string {
	if is, there := s[path]; there {
		return is.String()
	}
	return "nothing"
}

// marker is what somebody else writes.
const marker = "written by somebody else\n"

// disturbance is what somebody else does to a path between the last plan and the
// edit. do reports whether it is possible there; kept, whether it still stands.
type disturbance struct {
	what string
	do   func(path string) bool
	kept func(path string) bool
}

func disturbances() []disturbance {
	var mode os.FileMode
	const elsewhere = "/altered/by/somebody/else"
	return []disturbance{{
		"is written to by somebody else",
		func(path string) bool {
			st, err := os.Lstat(path)
			if err != nil || !st.Mode().IsRegular() {
				return false
			}
			data, err := os.ReadFile(path)
			return err == nil && os.WriteFile(path, append(data, marker...), 0o644) == nil
		},
		holdsMarker,
	}, {
		"is made by somebody else",
		func(path string) bool {
			_, err := os.Lstat(path)
			return os.IsNotExist(err) && os.WriteFile(path, []byte(marker), 0o644) == nil
		},
		holdsMarker,
	}, {
		"gets another mode from somebody else",
		func(path string) bool {
			st, err := os.Lstat(path)
			if err != nil || !st.Mode().IsRegular() && !st.IsDir() {
				return false
			}
			mode = st.Mode().Perm() ^ 0o013
			return os.Chmod(path, mode) == nil
		},
		func(path string) bool {
			st, err := os.Lstat(path)
			return err == nil && st.Mode().Perm() == mode
		},
	}, {
		"becomes another link by somebody else",
		func(path string) bool {
			_, err := os.Readlink(path)
			return err == nil && os.Remove(path) == nil && os.Symlink(elsewhere, path) == nil
		},
		func(path string) bool {
			target, err := os.Readlink(path)
			return err == nil && target == elsewhere
		},
	}}
}

func holdsMarker(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(data), marker)
}

// kept reports whether what somebody else wrote is anywhere in the case's folder.
func (c *testCase) kept() bool {
	found := false
	_ = filepath.Walk(c.root, func(path string, info os.FileInfo, err error) error {
		found = found || err == nil && info.Mode().IsRegular() && holdsMarker(path)
		return nil
	})
	return found
}

// maxDisturbed is at how many of a change's paths the host is moved.
const maxDisturbed = 3

// moved alters the host between the last plan of each change and its Apply, which
// must see that or leave it as it is.
func (c *conformance) moved(t testing.TB, all []made) {
	for at, m := range all {
		for effect := range min(maxDisturbed, len(c.targets(m.change))) {
			for _, d := range disturbances() {
				if c.disturbed(t, at, effect, d); t.Failed() {
					return
				}
			}
		}
	}
}

// targets are the paths in the case's folder at which a change leaves something.
func (c *testCase) targets(change host.Change) []string {
	var paths []string
	for _, e := range change.Effects() {
		if e.Key.Space == host.Files && !e.Prefix && (e.State == host.Present || e.State == host.Unknown) && c.inside(e.Key.Name) {
			paths = append(paths, e.Key.Name)
		}
	}
	return paths
}

func (c *conformance) disturbed(t testing.TB, at, effect int, d disturbance) {
	c.lay(t, true)
	s := c.session()
	in := c.inspect(t, s)
	in.seeing = false
	path, subject := "", ""
	in.disturb = func(n int, change host.Change) {
		paths := c.targets(change)
		if n == at && effect < len(paths) && d.do(paths[effect]) {
			path, subject = paths[effect], fmt.Sprintf("%s %s", change.Type(), change.Describe().Target)
		}
	}
	in.ended = func(n int, err error) {
		switch {
		case n != at || path == "":
		case err == nil && !d.kept(path) && !c.kept():
			t.Errorf("%s: where %s %s between the plan and its making, that is overwritten without a word: Apply has to look first (host.ErrMoved)", subject, path, d.what)
		case err != nil && !errors.Is(err, host.ErrMoved):
			t.Errorf("%s: where %s %s between the plan and its making, its error isn't host.ErrMoved: %v", subject, path, d.what, err)
		case err != nil && !d.kept(path):
			t.Errorf("%s: where %s %s between the plan and its making, it says so, and yet overwrites that: %v", subject, path, d.what, err)
		}
	}
	in.apply(t, s, c.plan(t, s))
}
