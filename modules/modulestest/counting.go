package modulestest

import (
	"context"

	"muster/host"
)

// Counting is a runner that counts the programs which another one runs.
type Counting struct {
	host.Runner
	Runs int
}

// Run runs a program.
func (c *Counting) Run(ctx context.Context, cmd host.Command) (host.Output, error) {
	c.Runs++
	return c.Runner.Run(ctx, cmd)
}
