// Package view shows what happens: to a terminal, as plain lines, or as JSON.
package view

import (
	"io"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/drift"
	"muster/internal/engine"
)

// View shows the events of a run and what is wrong with its input. Its methods
// are called by one goroutine at a time.
type View interface {
	// Begin says which pass of a run follows, and for which hosts.
	Begin(p Phase, hosts []string)
	// Plan says which saved plan follows.
	Plan(Plan)
	Event(engine.Event)
	Diagnostics(hcl.Diagnostics, map[string][]byte)
	// Error shows an error that has no place in a file.
	Error(err error)
	// Warn shows what is odd but stops nothing.
	Warn(text string)
	// Summary shows what a pass came to.
	Summary(s *engine.Summary, end End)
	// Rotation shows how far a rotation has come.
	Rotation(Rotation)
	// Drift shows a check that was compared.
	Drift(*drift.Check)
}

// Rotation is a step of a rotation.
type Rotation struct {
	Name, Secret string
	// Step is what is being made, "open" or "done": see docs/json.md.
	Step string
	Text string // for people
}

// Plan is what is said of a saved plan before its tasks.
type Plan struct {
	Playbook, By          string
	Created               time.Time
	Muster                string // the version that planned
	Limit, Tags, SkipTags []string
	Sealed                bool // part of it has to be unsealed before it is applied
}

// Phase is a pass of a run.
type Phase int

// The phases.
const (
	Planning      Phase = iota // what would change
	PlanningFirst              // the same, before an apply
	Making                     // what is changed
	Quiet                      // planning of which only failures are shown
	Running                    // an ad hoc command: what it printed is shown
)

// Options say how to show.
type Options struct {
	Format  string // "pretty", "plain" or "json"
	Color   bool
	Verbose bool // unchanged and skipped tasks too
	// Out takes results, Err progress and diagnostics.
	Out, Err io.Writer
}

// New returns the view of a format.
func New(o Options) View {
	if o.Format == "json" {
		return newJSON(o.Out)
	}
	return newText(o)
}
