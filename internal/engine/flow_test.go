package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
	"muster/tests/await"
)

// A connection that is lost at any moment, on either side, leaves no run hanging and no
// half file, and the next run makes it whole.
func TestStreamThatIsCutAtAnyMoment(t *testing.T) {
	for _, args := range []string{"", "relay = true"} {
		for _, side := range []string{"web1", "web2"} {
			for part := 1; ; part++ {
				f := accompanied(t)
				var lost atomic.Bool
				f.severed = func(host string, n int) bool {
					return host == side && n == part && lost.CompareAndSwap(false, true)
				}
				r := f.run(copyingWith(args), "web1", "web2")
				f.bounded(r, func() {})
				r.Close()
				if f.exists("web1.copy") && f.read(t, "web1.copy") != "of web2\n" {
					t.Fatalf("%s %s part %d: it holds %q", side, args, part, f.read(t, "web1.copy"))
				}
				f.mu.Lock()
				f.severed, f.events = nil, nil
				f.mu.Unlock()
				f.bounded(f.run(copyingWith(args), "web1", "web2"), func() {})
				if f.read(t, "web1.copy") != "of web2\n" || len(f.errorsOf()) > 0 {
					t.Fatalf("%s %s part %d: the next run doesn't make it whole: %v", side, args, part, f.errorsOf())
				}
				if !lost.Load() {
					break
				}
			}
		}
	}
}

// sending waits until a companion of web2 has begun to send.
func (f *fleet) sending() bool { return f.exists("web2.theirs.sending") }

func TestEitherSideIsLostInTheMiddleOfAStream(t *testing.T) {
	for _, relay := range []string{"", "\nrelay = true"} {
		for _, side := range []string{"web1", "web2"} {
			t.Run(side+strings.TrimSpace(relay), func(t *testing.T) {
				// What web1 had in hand sees its stream end, too. Where it does so before it is fenced, the task
				// has failed, and says why; but not time after time.
				for range 10 {
					errs, made := lostInAStream(t, side, relay)
					failed := strings.Contains(errs, "the stream from web2 was cut")
					if side == "web1" {
						failed = failed || strings.Contains(errs, "the connection to the controller is gone")
					} else {
						failed = failed || strings.Contains(errs, "the connection to web2 was lost")
					}
					switch {
					case failed && made || !failed && errs != "":
						t.Fatalf("it says %q, and is made: %v", errs, made)
					case side == "web1" && made, side == "web2" && failed:
						return
					case !failed:
						t.Fatal("it is neither made nor failed")
					}
				}
				t.Error("it is never made by the connection that took web1 up")
			})
		}
	}
}

// lostInAStream loses a side while it takes or gives a stream, and returns what web1's task says and
// whether its file is made whole.
func lostInAStream(t *testing.T, side, relay string) (errs string, made bool) {
	f := accompanied(t)
	f.alive = 20 * time.Millisecond
	var lost atomic.Bool
	f.severed = func(host string, _ int) bool {
		return host == side && f.sending() && lost.CompareAndSwap(false, true)
	}
	f.bounded(f.run(copyingWith(`how = "once"`+relay), "web1", "web2"), func() {})
	if !lost.Load() {
		t.Fatal("nothing was cut")
	}
	// A host that the run has lost ends by itself.
	await.Until(t, "the sender has ended", func() bool { return f.exists("web2.theirs.ended") })
	if made = f.exists("web1.copy"); made && f.read(t, "web1.copy") != "of web2\n" {
		t.Error("it is made in part")
	}
	return f.errorsOf()["web1 it"], made
}

func TestRunThatIsStoppedInTheMiddleOfAStream(t *testing.T) {
	for name, stop := range map[string]func(r *engine.Run, cancel func()){
		"stopped": func(r *engine.Run, _ func()) { r.Stop() },
		"aborted": func(_ *engine.Run, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			r := f.run(copyingWith(`how = "wait"`), "web1", "web2")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r.Plan(ctx)
			go func() {
				await.True(ctx, f.sending)
				stop(r, cancel)
			}()
			r.Apply(ctx)
			r.Close()
			if f.exists("web1.copy") || !f.exists("web2.theirs.ended") {
				t.Errorf("it was made, or the sender goes on: %v", f.states())
			}
		})
	}
}

// meddled has a host's part played by the test, and the others by remotes.
func (f *fleet) meddled(t *testing.T, name string, hear func(c *wire.Conn, m *wire.Message)) map[string]error {
	t.Helper()
	r := f.runWith(func(o *engine.Options) {
		o.Connect = func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
			if host != name {
				return f.connect(ctx, host, how)
			}
			return played(func(c *wire.Conn, m *wire.Message) bool {
				go hear(c, m)
				return true
			}), nil
		}
	}, strings.Replace(copyingWith(""), `task "file"`, `task "file" "on3" {
    when    = host.name == "web3"
    path    = "DIR/on3"
    content = "x"
  }
  task "file"`, 1), "web1", "web2", "web3")
	f.bounded(r, func() {})
	lost := map[string]error{}
	for _, e := range f.events {
		if e, ok := e.(*engine.HostEvent); ok {
			lost[e.Host] = e.Error
		}
	}
	return lost
}

// A host gets nothing but what its own task in hand names.
func TestHostThatWouldReceiveWhatItMayNotIsOut(t *testing.T) {
	for name, ask := range map[string]func(it string) []wire.Receive{
		"from a host that its task doesn't name": func(it string) []wire.Receive { return []wire.Receive{{Stream: 1, ID: it, Host: "web3"}} },
		"from itself":                            func(it string) []wire.Receive { return []wire.Receive{{Stream: 1, ID: it, Host: "web1"}} },
		"for a task that isn't made": func(it string) []wire.Receive {
			return []wire.Receive{{Stream: 1, ID: "0/task.file.theirs", Host: "web2"}}
		},
		"for a task that isn't its own": func(it string) []wire.Receive { return []wire.Receive{{Stream: 1, ID: it + "/of/web1", Host: "web2"}} },
		"twice": func(it string) []wire.Receive {
			return []wire.Receive{{Stream: 1, ID: it, Host: "web2", Request: []byte(`{"how":"wait"}`)}, {Stream: 2, ID: it, Host: "web2"}}
		},
		"twice under one number": func(it string) []wire.Receive {
			return []wire.Receive{{Stream: 1, ID: it, Host: "web2", Request: []byte(`{"how":"wait"}`)}, {Stream: 1, ID: it, Host: "web2"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			lost := f.meddled(t, "web1", func(c *wire.Conn, m *wire.Message) {
				switch {
				case m.Review != nil:
					_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
				case m.Task != nil:
					_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Create, Target: "x"}}}})
				case m.Grant != nil && strings.HasSuffix(m.Grant.IDs[0], ".it"):
					for _, r := range ask(m.Grant.IDs[0]) {
						_ = c.Send(&wire.Message{Receive: &r})
					}
				case m.Grant != nil:
					for _, id := range m.Grant.IDs {
						_ = c.Send(&wire.Message{Done: &wire.Done{ID: id, Status: wire.Changed}})
					}
				}
			})
			if lost["web1"] == nil || !strings.Contains(lost["web1"].Error(), "would receive") && !strings.Contains(lost["web1"].Error(), "two streams") || len(lost) != 1 {
				t.Errorf("lost are %v", lost)
			}
			if !f.exists("on3") || !f.exists("web2.theirs") {
				t.Error("the others weren't made")
			}
		})
	}
}

// A host that sends speaks for its own streams alone, and its words about them are held
// to what can be.
func TestSenderThatLiesIsOut(t *testing.T) {
	for name, say := range map[string]func(c *wire.Conn, stream uint64){
		"of another's stream": func(c *wire.Conn, n uint64) {
			_ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: n + 1, Port: 1}})
		},
		"of no port": func(c *wire.Conn, n uint64) { _ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: n}}) },
		"of a port beyond all": func(c *wire.Conn, n uint64) {
			_ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: n, Port: 1 << 20}})
		},
		"twice": func(c *wire.Conn, n uint64) {
			for range 2 {
				_ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: n, Port: 1}})
			}
		},
		"with more than there is room for": func(c *wire.Conn, n uint64) {
			_ = c.Send(&wire.Message{Part: &wire.Part{Stream: n, Data: make([]byte, wire.Window+1)}})
		},
		"of the end of another's": func(c *wire.Conn, n uint64) { _ = c.Send(&wire.Message{Sent: &wire.Sent{Stream: n + 7}}) },
		"of a companion nobody asked about": func(c *wire.Conn, n uint64) {
			_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: "0/task.copied.it/of/web1", Status: wire.Unchanged, Certainty: wire.Known}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := accompanied(t)
			lost := f.meddled(t, "web2", func(c *wire.Conn, m *wire.Message) {
				switch {
				case m.Task != nil:
					_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Unchanged, Certainty: wire.Known, Output: []byte(`{"sum":"x","size":1}`), OutputKnown: true}})
				case m.Send != nil:
					say(c, m.Send.Stream)
				}
			})
			if lost["web2"] == nil || len(lost) != 1 {
				t.Errorf("lost are %v", lost)
			}
			if f.exists("web1.copy") || f.errorsOf()["web1 it"] == "" {
				t.Errorf("the task that needs it didn't fail: %v", f.states())
			}
		})
	}
}

// What answers on the sender's port without its key is sent nothing, and believed nothing.
func TestReceiverKnowsItsSender(t *testing.T) {
	f := accompanied(t)
	fake := newLiar(t)
	lost := f.meddled(t, "web2", func(c *wire.Conn, m *wire.Message) {
		switch {
		case m.Task != nil:
			_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: m.Task.ID, Status: wire.Unchanged, Certainty: wire.Known, Output: []byte(`{"sum":"x","size":1}`), OutputKnown: true}})
		case m.Send != nil:
			_ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: m.Send.Stream, Port: fake}})
		case m.Hangup != nil:
			_ = c.Send(&wire.Message{Sent: &wire.Sent{Stream: m.Hangup.Stream}})
		}
	})
	got := f.errorsOf()["web1 it"]
	want := fmt.Sprintf("web1 can't connect to web2, which listens on port %d of 127.0.0.1", fake)
	if len(lost) > 0 || !strings.Contains(got, want) || !strings.Contains(got, "relay") {
		t.Errorf("it says %q, want %q; lost are %v", got, want, lost)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "web1.copy")); err == nil {
		t.Error("it is made")
	}
}

// A sender that doesn't end, although its receiver is gone, holds nobody up for ever: the
// next task that needs its host comes through.
func TestSenderThatNeverEndsHoldsNobodyUpForEver(t *testing.T) {
	f := accompanied(t)
	f.alive = 20 * time.Millisecond
	said := map[string]int{}
	r := f.runWith(func(o *engine.Options) {
		o.Silence = 300 * time.Millisecond
		o.AliveEvery = 20 * time.Millisecond
		o.Connect = func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
			if host != "web2" {
				return f.connect(ctx, host, how)
			}
			return played(func(c *wire.Conn, m *wire.Message) bool {
				switch {
				case m.Alive != nil:
					go func() { _ = c.Send(m) }()
				case m.Task != nil:
					p := &wire.Planned{ID: m.Task.ID, Status: wire.Unchanged, Certainty: wire.Known, Output: []byte(`{"sum":"x","size":1}`), OutputKnown: true}
					go func() { _ = c.Send(&wire.Message{Planned: p}) }()
				case m.Send != nil:
					said["asked"]++
					port := newLiar(t)
					go func() { _ = c.Send(&wire.Message{Listening: &wire.Listening{Stream: m.Send.Stream, Port: port}}) }()
				}
				return true
			}), nil
		}
	}, `
play "p" {
  hosts = ["web1", "web3", "web4"]
  task "copied" "it" {
    path  = "DIR/${host.name}.copy"
    from  = "web2"
    their = "DIR/web2.theirs"
  }
}
`, "web1", "web2", "web3", "web4")
	f.bounded(r, func() {})
	r.Close()
	for _, h := range []string{"web1", "web3", "web4"} {
		if !strings.Contains(f.errorsOf()[h+" it"], "can't connect to web2") {
			t.Errorf("%s says %q", h, f.errorsOf()[h+" it"])
		}
	}
	if said["asked"] != 3 {
		t.Errorf("web2 was asked %d times", said["asked"])
	}
}
