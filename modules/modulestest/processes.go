package modulestest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Unwatched is the environment variable that lets cases run where no process can be
// watched: their tests are then skipped where they would pass.
const Unwatched = "MUSTER_UNWATCHED"

// processes runs cases, each in the process that is watched, which is started again
// where it has died.
type processes struct {
	t    *testing.T
	find func(file string) *conformance
	w    *watched
	// blind holds the cases that ran unwatched.
	blind map[string]*conformance
}

func (p *processes) run(t *testing.T, r request) {
	if os.Getenv(Unwatched) != "" {
		p.unwatched(t, r)
		return
	}
	v, err := p.ask(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Case, err)
	}
	text := strings.TrimSuffix(v.Text, "\n")
	switch {
	case v.Failed:
		t.Error(text)
	case v.Skipped:
		t.Skip(text)
	case text != "":
		t.Log(text)
	}
}

// ask has the watched process run a case.
func (p *processes) ask(r request) (verdict, error) {
	if p.w == nil {
		w, err := start(p.t)
		if err != nil {
			return verdict{}, fmt.Errorf("%w\nWithout a watch nobody sees what a kind does past its view and its changes' steps. Where no process may be watched, %s=1 runs the cases without, and their tests count as skipped", err, Unwatched)
		}
		p.w = w
	}
	v, err := p.w.run(r)
	if err != nil {
		p.w = nil
	}
	return v, err
}

// unwatched runs a case in the test's own process.
func (p *processes) unwatched(t *testing.T, r request) {
	if r.Later {
		if c := p.blind[r.Case]; c != nil {
			c.later(t)
		}
		return
	}
	c := p.find(r.Case)
	if p.blind == nil {
		p.blind = map[string]*conformance{}
	}
	p.blind[r.Case] = c
	if c.run(t); !t.Failed() {
		t.Skip("it wasn't watched, and proves little")
	}
}

func (p *processes) end() {
	if p.w == nil {
		return
	}
	if err := p.w.end(); err != nil {
		p.t.Error(err)
	}
}
