package modulestest

import (
	"errors"
	"testing"

	"muster/internal/remote"
	"muster/internal/wire"
)

// maxCuts is how many places a case is cut at; maxSystemCuts, one that edits the
// machine itself, which takes programs that are slow.
const (
	maxCuts       = 40
	maxSystemCuts = 16
)

// cuts cuts the making of a case: before each system call that alters something, and
// before each program that a change runs. Where nobody watches, only the
// steps that changes name are cut. The next run must reach the same end.
func (c *conformance) cuts(t testing.TB, end string) {
	most := maxCuts
	if c.option("system") {
		most = maxSystemCuts
	}
	for n := 1; n <= most; n++ {
		c.lay(t, true)
		s := c.session()
		where := c.cut(t, s, n)
		if where == "" {
			return // fewer places than n
		}
		s = c.session()
		planned := c.plan(t, s)
		_, failure := c.apply(t, s, planned)
		for _, p := range planned {
			if p.Error != "" {
				t.Errorf("cut %s (place %d), the next plan fails: %s", where, n, p.Error)
			}
		}
		if failure != "" {
			t.Errorf("cut %s (place %d), the next run fails: %s", where, n, failure)
		} else if got := c.snapshot(t, false); got != end {
			t.Errorf("cut %s (place %d), the next run ends in\n%s\nwant\n%s", where, n, got, end)
		} else {
			c.compareEnd(t)
		}
		if t.Failed() {
			t.Logf("that was cut %s (place %d); the next plan was %+v", where, n, planned)
			return
		}
	}
	t.Logf("cut at the first %d places, of more", most)
}

// cut makes the case up to its n-th place, and returns that, "" where it has fewer.
func (c *conformance) cut(t testing.TB, s *remote.Session, n int) (where string) {
	if c.watcher != nil {
		planned := c.plan(t, s)
		c.watcher.on(n)
		c.apply(t, s, planned)
		return c.watcher.off().Cut
	}
	count := hook(s, n, func(at string) error { where = at; panic(errCut) })
	planned := c.plan(t, s)
	*count = 0
	c.upTo(t, s, planned)
	return where
}

// errCut is a power cut, for one process.
var errCut = errors.New("cut here")

func (c *conformance) upTo(t testing.TB, s *remote.Session, planned []wire.Planned) {
	defer func() {
		if r := recover(); r != nil && r != any(errCut) {
			panic(r)
		}
	}()
	c.apply(t, s, planned)
}
