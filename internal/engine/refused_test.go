package engine_test

import (
	"context"
	"fmt"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
	"muster/modules/file"
)

// picky is a module that no value suits.
type picky struct{}

func (picky) Plan(context.Context, *host.View) (modules.Plan, error) {
	return modules.Plan{}, fmt.Errorf("the account app: %w", host.ErrRefused)
}

// A value that a service never takes can be told from all other failures.
func TestSummaryCountsWhatWasRefused(t *testing.T) {
	for name, test := range map[string]struct {
		task    string
		refused int
	}{
		"refused":   {`task "picky" "p" {}`, 1},
		"tolerated": {"task \"picky\" \"p\" {\n  on_error = \"continue\"\n}", 0},
		"another":   {"task \"file\" \"/proc/nowhere/x\" {\n  content = \"x\"\n}", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.kinds = modules.NewRegistry(append(file.Kinds(), modules.Kind{Name: "picky", New: func() modules.Module { return &picky{} }})...)
			r := f.run("play \"p\" {\n  hosts = [\"web1\"]\n"+test.task+"\n}", "web1")
			for _, s := range []*engine.Summary{r.Plan(t.Context()), r.Apply(t.Context())} {
				if c := s.Hosts["web1"]; c.Failed != 1 || c.Refused != test.refused || s.Refused() != (test.refused > 0) {
					t.Errorf("%+v\n%s", c, f.failures())
				}
			}
		})
	}
}
