package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
)

// hostile is a host that speaks for itself: after its greeting it answers its first
// task with what the test says.
func hostile(say func(c *wire.Conn, task *wire.Task)) engine.Stream {
	said := false
	return played(func(c *wire.Conn, m *wire.Message) bool {
		if m.Task != nil && !said {
			said = true
			go say(c, m.Task) // the controller may be writing
		}
		return true
	})
}

// played is a remote that greets, and whose part the test plays: hear is called with
// each message, and returns false to end the connection.
func played(hear func(c *wire.Conn, m *wire.Message) bool) engine.Stream {
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer fromRemote.Close()
		defer toRemote.Close()
		c := wire.NewConn(toRemote, fromRemote)
		_ = c.Send(&wire.Message{Hello: &wire.Hello{Protocol: wire.Protocol, Sum: "right", Facts: []byte(`{"os":"x"}`)}})
		for {
			m, err := c.Receive()
			if err != nil || !hear(c, m) {
				return
			}
		}
	}()
	return &pipe{in: in, out: out, ended: ended, trips: &trips{}}
}

// deaf is one that reads nothing while it says it.
func deaf(say func(c *wire.Conn, task *wire.Task)) engine.Stream {
	return played(func(c *wire.Conn, m *wire.Message) bool {
		if m.Task != nil {
			say(c, m.Task)
		}
		return true
	})
}

func TestHostThatSaysWhatItWasNotAskedIsOut(t *testing.T) {
	known := wire.Planned{Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Create, Target: "x"}}}
	planned := func(change func(*wire.Planned)) func(*wire.Conn, *wire.Task) {
		return func(c *wire.Conn, task *wire.Task) {
			p := known
			p.ID = task.ID
			change(&p)
			_ = c.Send(&wire.Message{Planned: &p})
		}
	}
	for name, say := range map[string]func(c *wire.Conn, task *wire.Task){
		"a plan of a task it wasn't sent": planned(func(p *wire.Planned) { p.ID = "0/task.file.other" }),
		"a plan of another host's task":   planned(func(p *wire.Planned) { p.ID += "@web2" }),
		"a status that there isn't":       planned(func(p *wire.Planned) { p.Status = "splendid" }),
		"changed, while planning":         planned(func(p *wire.Planned) { p.Status = wire.Changed }),
		"a certainty that there isn't":    planned(func(p *wire.Planned) { p.Certainty = "maybe" }),
		"an action that there isn't":      planned(func(p *wire.Planned) { p.Changes = []host.Description{{Action: "explode", Target: "x"}} }),
		"no number":                       planned(func(p *wire.Planned) { p.Seconds = math.NaN() }),
		"output that is no JSON":          planned(func(p *wire.Planned) { p.Output = []byte("{") }),
		"a plan twice": func(c *wire.Conn, task *wire.Task) {
			for range 2 {
				planned(func(*wire.Planned) {})(c, task)
			}
		},
		"the end of a task it wasn't told to make": func(c *wire.Conn, task *wire.Task) {
			planned(func(*wire.Planned) {})(c, task)
			_ = c.Send(&wire.Message{Done: &wire.Done{ID: task.ID, Status: wire.Changed}})
		},
		"an edit of a task it wasn't told to make": func(c *wire.Conn, task *wire.Task) {
			planned(func(*wire.Planned) {})(c, task)
			_ = c.Send(&wire.Message{Undo: &wire.Undo{ID: task.ID}})
		},
		"progress of a task it wasn't told to make": func(c *wire.Conn, task *wire.Task) {
			planned(func(*wire.Planned) {})(c, task)
			_ = c.Send(&wire.Message{Progress: &wire.Progress{ID: task.ID, Text: "x"}})
		},
		"facts that weren't asked for": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{Facts: &wire.Facts{Facts: []byte(`{"os":"y"}`)}})
		},
		"a review that wasn't asked for": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
		},
		"that it needs a proof of what it wasn't told to make": func(c *wire.Conn, task *wire.Task) {
			planned(func(*wire.Planned) {})(c, task)
			_ = c.Send(&wire.Message{Prove: &wire.Prove{ID: task.ID}})
		},
		"a question for a copy that no task keeps": func(c *wire.Conn, task *wire.Task) {
			_ = c.Send(&wire.Message{Copy: &wire.Copy{ID: task.ID}})
		},
		"that it was taken up again": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{TakenUp: &wire.TakenUp{}})
		},
		"a run that was cut off, under another ID": func(c *wire.Conn, task *wire.Task) {
			_ = c.Send(&wire.Message{CutOff: &wire.CutOff{ID: task.ID, Changes: known.Changes}})
		},
		"a run that was cut off, of which nothing is left": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{CutOff: &wire.CutOff{ID: wire.CutOffID + "0123456789"}})
		},
		"a flood of runs that were cut off": func(c *wire.Conn, _ *wire.Task) {
			for i := range 1000 {
				if c.Send(&wire.Message{CutOff: &wire.CutOff{ID: fmt.Sprintf("%s%010d", wire.CutOffID, i), Changes: known.Changes}}) != nil {
					return
				}
			}
		},
		"its greeting again": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{Hello: &wire.Hello{Protocol: wire.Protocol}})
		},
		"traces that weren't asked for": func(c *wire.Conn, _ *wire.Task) {
			_ = c.Send(&wire.Message{Traced: &wire.Traced{}})
		},
		"a flood of needs": func(c *wire.Conn, _ *wire.Task) {
			for i := range 100000 {
				if c.Send(&wire.Message{Need: &wire.Need{Stream: uint64(i), Sum: "0"}}) != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			r := f.runWith(func(o *engine.Options) {
				o.Connect = func(ctx context.Context, host string, s engine.Start) (engine.Stream, error) {
					switch {
					case host == "web1" && name == "a flood of needs": // they would be met
						return deaf(say), nil
					case host == "web1":
						return hostile(say), nil
					}
					return f.connect(ctx, host, s)
				}
			}, `
play "p" {
  hosts = ["all"]
  task "file" "a" {
    path    = "DIR/${host.name}"
    content = "x"
  }
}
`, "web1", "web2")
			r.Plan(t.Context())
			s := r.Apply(t.Context())
			var lost error
			for _, e := range f.events {
				switch e := e.(type) {
				case *engine.HostEvent:
					lost = e.Error
					if e.Host != "web1" {
						t.Errorf("%s is lost: %v", e.Host, e.Error)
					}
				case *engine.TaskEvent:
					if e.Host == "web1" && e.Status == wire.Changed {
						t.Errorf("it is believed: %+v", e)
					}
				}
			}
			if !errors.Is(lost, wire.ErrFrame) {
				t.Errorf("web1: %v", lost)
			}
			if c := s.Hosts["web2"]; c.Changed != 1 {
				t.Errorf("web2: %s", fmt.Sprintf("%+v", c))
			}
		})
	}
}

const ahundred = `
play "p" {
  hosts = ["all"]
  task "file" "a" {
    for_each = toset([for n in range(100) : tostring(n)])
    path     = "DIR/${host.name}-${each.key}"
    content  = "x"
  }
}
`

// runHostile plans and applies with web1 saying what the test has it say.
func runHostile(t *testing.T, playbook string, say func(c *wire.Conn, task *wire.Task)) *fleet {
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) { return hostile(say), nil }
	}, playbook, "web1")
	r.Plan(t.Context())
	r.Apply(t.Context())
	return f
}

func TestWhatAHostHasTheControllerKeepIsBounded(t *testing.T) {
	diff := strings.Repeat("x", 7<<20)
	f := runHostile(t, ahundred, func(c *wire.Conn, task *wire.Task) {
		for n := range 100 {
			id := strings.Replace(task.ID, `"0"`, fmt.Sprintf("%q", fmt.Sprint(n)), 1)
			if c.Send(&wire.Message{Planned: &wire.Planned{ID: id, Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Create, Target: "x", Diff: diff}}}}) != nil {
				return
			}
		}
	})
	planned, lost := 0, error(nil)
	for _, e := range f.events {
		switch e := e.(type) {
		case *engine.HostEvent:
			lost = e.Error
		case *engine.TaskEvent:
			if e.Status == wire.Pending {
				planned++
			}
		}
	}
	if lost == nil || !strings.Contains(lost.Error(), "more than 256 MiB") || planned > 40 {
		t.Errorf("%d plans were taken: %v", planned, lost)
	}
}

func TestFloodOfProgressIsNotShown(t *testing.T) {
	f := runHostile(t, hundred[:strings.Index(hundred, `play "again"`)], func(c *wire.Conn, task *wire.Task) {
		for range 20000 {
			if c.Send(&wire.Message{Progress: &wire.Progress{Text: strings.Repeat("y", 10<<10)}}) != nil {
				return
			}
		}
		_ = c.Send(&wire.Message{Fault: &wire.Fault{Error: "enough"}})
	})
	shown := 0
	for _, e := range f.events {
		if e, ok := e.(*engine.ProgressEvent); ok {
			if shown++; len(e.Text) > 5<<10 {
				t.Fatalf("%d bytes at once", len(e.Text))
			}
		}
	}
	if shown == 0 || shown > 10000 {
		t.Errorf("%d of 20000 were shown", shown)
	}
}
