package modulestest

import (
	"errors"
	"os"
	"testing"

	"muster/internal/remote"
	"muster/internal/wire"
)

// maxCuts is how many places a case is cut at.
const maxCuts = 40

// A case that edits the machine itself takes programs that are slow, as others may: it is
// cut at these places, and where AllCuts is in the environment, at each of the first 16.
var someSystemCuts = []int{1, 2, 3, 5, 8, 13}

const allSystemCuts = 16

// AllCuts is the environment variable with which a case that edits the machine itself, or is
// slow, is cut at more places.
const AllCuts = "MUSTER_ALL_CUTS"

// fewer reports whether a case is cut and failed at some places alone.
func (c *conformance) fewer() bool {
	return (c.option("system") || c.option("slow")) && os.Getenv(AllCuts) == ""
}

// places are those that a case is cut at, as far as it has so many.
func (c *conformance) places() []int {
	switch {
	case c.fewer():
		return someSystemCuts
	case c.option("system"):
		return upTo(allSystemCuts)
	}
	return upTo(maxCuts)
}

// upTo are the numbers from 1 to most.
func upTo(most int) []int {
	list := make([]int, most)
	for i := range list {
		list[i] = i + 1
	}
	return list
}

// cuts cuts the making of a case: before each system call that alters something, and
// before each program that a change runs. Where nobody watches, only the
// steps that changes name are cut. The next run must reach the same end.
func (c *conformance) cuts(t testing.TB, end string) {
	places := c.places()
	for _, n := range places {
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
		} else if got := c.snapshot(t, false); c.alike(got) != c.alike(end) {
			t.Errorf("cut %s (place %d), the next run ends in\n%s\nwant\n%s", where, n, got, end)
		} else {
			c.compareEnd(t)
		}
		if t.Failed() {
			t.Logf("that was cut %s (place %d); the next plan was %+v", where, n, planned)
			return
		}
	}
	t.Logf("cut at %d places, of more", len(places))
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
