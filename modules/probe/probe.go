// Package probe has the kinds that look at what other tasks have brought about.
package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "wait", NoPrograms: true, Probe: true, New: func() modules.Module { return &Wait{} }},
		{Name: "http_check", NoPrograms: true, Probe: true, Output: Response{}, New: func() modules.Module { return &HTTPCheck{} }},
	}
}

// check is a change that alters nothing: it succeeds when what it looks for
// has come about. It ends early, cleanly, when its context does.
type check struct {
	Target string `json:"target"`
	Impact string `json:"impact,omitempty"` // what was found while planning
	Looks  any    `json:"looks"`            // for

	apply func(ctx context.Context, h *host.Host) (any, error)
}

// Type is "probe/1".
func (*check) Type() string { return "probe/1" }

// Want is what is looked for, whatever was found.
func (c *check) Want() any { return []any{c.Target, c.Looks} }

// Describe says what is looked for and why it isn't there yet.
func (c *check) Describe() host.Description {
	return host.Description{Action: host.Check, Target: c.Target, Impact: c.Impact}
}

// Effects is nothing.
func (*check) Effects() []host.Effect { return nil }

// Interruptible: nothing is left half done.
func (*check) Interruptible() {}

// Apply looks until it is there.
func (c *check) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	out, err := c.apply(ctx, h)
	if err != nil || out == nil {
		return host.Result{}, err
	}
	data, err := json.Marshal(out)
	return host.Result{Output: data}, err
}

// plan looks once; what isn't there yet becomes a check to be made.
func plan(c *check, once func() (any, error)) (modules.Plan, error) {
	out, err := once()
	if err != nil {
		if said := (*host.SaidError)(nil); errors.As(err, &said) {
			err = said.Err // what was answered is told when it is too late
		}
		c.Impact = fmt.Sprintf("not yet: %v", err)
		return modules.Plan{Changes: []host.Change{c}}, nil
	}
	if out == nil {
		return modules.Plan{}, nil
	}
	data, err := json.Marshal(out)
	return modules.Plan{Output: data}, err
}
