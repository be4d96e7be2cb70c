package engine_test

import (
	"context"
	"slices"
	"testing"

	"muster/internal/engine"
	"muster/internal/wire"
)

const motds = `
play "p" {
  hosts = ["all"]
  task "file" "motd" {
    path    = "DIR/motd-${host.name}"
    content = "x"
  }
}
`

// A run that is told to stop while one of its hosts can't be logged in to, or that nobody
// waits for any more, ends then, and holds nothing against the host.
func TestAHostThatAnInterruptedPlanDidNotComeToHasNotFailed(t *testing.T) {
	for name, stop := range map[string]func(r *engine.Run, cancel context.CancelFunc){
		"stopped": func(r *engine.Run, _ context.CancelFunc) { r.Stop() },
		"aborted": func(_ *engine.Run, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var r *engine.Run
			r = f.runWith(func(o *engine.Options) {
				connect := o.Connect
				o.Connect = func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
					if host != "web2" {
						return connect(ctx, host, how)
					}
					go stop(r, cancel)
					<-ctx.Done()
					return nil, context.Cause(ctx)
				}
			}, motds, "web1", "web2")
			s := r.Plan(ctx)
			c := s.Hosts["web2"]
			if c.Failed > 0 || c.Unreachable || !c.Stopped {
				t.Errorf("web2: %+v", c)
			}
			if slices.ContainsFunc(f.events, func(e engine.Event) bool {
				h, lost := e.(*engine.HostEvent)
				task, ok := e.(*engine.TaskEvent)
				return lost && h.Host == "web2" || ok && task.Status == wire.Failed
			}) {
				t.Error("it is told as failed")
			}
			if stages := r.Standings(); stages[1].Stage == engine.StageFailed {
				t.Error("the footer counts it as failed")
			}
		})
	}
}
