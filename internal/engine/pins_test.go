package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
	"muster/modules/file"
	"muster/tests/await"
)

// tagged is a kind that writes what a name stands for.
type tagged struct {
	Path string `arg:"path,key,required"`
	Mine string `arg:"mine,empty"`

	registry *registry
}

func (t *tagged) May() []host.Effect { return []host.Effect{host.Open(host.Files, t.Path)} }

func (t *tagged) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	answer, err := v.Pin(ctx, "the image app", t.Mine, t.registry.ask)
	if err != nil {
		return modules.Plan{}, err
	}
	changes, err := v.Rewrite(ctx, t.Path, func(string) (string, error) { return answer, nil })
	return modules.Plan{Changes: changes}, err
}

// registry answers each question with the next of its answers; "" is none.
type registry struct {
	mu      sync.Mutex
	answers []string
	asked   int
	held    chan struct{} // the first question waits for it
}

func (r *registry) ask(ctx context.Context) (string, error) {
	r.mu.Lock()
	n := r.asked
	r.asked++
	r.mu.Unlock()
	if n == 0 && r.held != nil {
		select {
		case <-r.held:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	if n >= len(r.answers) || r.answers[n] == "" {
		return "", errors.New("the registry doesn't answer")
	}
	return r.answers[n], nil
}

// tagging is a fleet of hosts that write what a name stands for, as r answers.
func tagging(t *testing.T, r *registry) *fleet {
	f := newFleet(t)
	f.kinds = modules.NewRegistry(append(file.Kinds(), modules.Kind{Name: "tagged", New: func() modules.Module { return &tagged{registry: r} }})...)
	return f
}

const tags = `
play "p" {
  hosts = ["web1", "web2"]
  task "tagged" "t" {
    path = "DIR/${host.name}"
    mine = MINE
  }
}
`

func (f *fleet) tag(mine string, change func(o *engine.Options)) *engine.Run {
	return f.runWith(change, strings.ReplaceAll(tags, "MINE", mine), "web1", "web2")
}

func TestNameStandsForTheSameOnAllHosts(t *testing.T) {
	r := &registry{answers: []string{"a", "b", "c"}}
	f := tagging(t, r)
	run := f.tag(`""`, func(*engine.Options) {})
	defer run.Close()
	if s := run.Plan(t.Context()); s.Outcome != engine.OutcomePending {
		t.Fatalf("planning came to %s: %s", s.Outcome, f.failures())
	}
	run.Apply(t.Context())
	if f.text("web1") != "a" || f.text("web2") != "a" || r.asked != 1 {
		t.Errorf("web1 has %q, web2 %q; the registry was asked %d times", f.text("web1"), f.text("web2"), r.asked)
	}
	if got := run.KnownPins()["the image app"]; got != "a" {
		t.Errorf("a plan would keep %q", got)
	}
}

func TestWhoCannotFindOutLeavesItToTheNext(t *testing.T) {
	f := tagging(t, &registry{answers: []string{"", "b"}})
	run := f.tag(`""`, func(*engine.Options) {})
	defer run.Close()
	run.Plan(t.Context())
	run.Apply(t.Context())
	if got := f.text("web1") + f.text("web2"); got != "b(nothing)" && got != "(nothing)b" {
		t.Errorf("web1 has %q, web2 %q", f.text("web1"), f.text("web2"))
	}
	if !strings.Contains(f.failures(), "the registry doesn't answer") {
		t.Error(f.failures())
	}
}

// Hosts that have something else under one name are left alone, all of them.
func TestHostsThatDisagreeGetNothing(t *testing.T) {
	f := tagging(t, &registry{})
	run := f.tag(`host.name`, func(*engine.Options) {})
	defer run.Close()
	if s := run.Plan(t.Context()); s.Outcome != engine.OutcomeFailed || !strings.Contains(f.failures(), "the image app stands for ") {
		t.Errorf("planning came to %s: %s", s.Outcome, f.failures())
	}
	run.Apply(t.Context())
	if f.text("web1")+f.text("web2") != "(nothing)(nothing)" {
		t.Errorf("web1 has %q, web2 %q", f.text("web1"), f.text("web2"))
	}
}

// What a plan was saved with is what all get.
func TestNameStandsForWhatIsKnown(t *testing.T) {
	r := &registry{}
	f := tagging(t, r)
	run := f.tag(`""`, func(o *engine.Options) { o.Pins = map[string]string{"the image app": "saved"} })
	run.Plan(t.Context())
	run.Apply(t.Context())
	run.Close()
	if f.text("web1") != "saved" || r.asked != 0 {
		t.Errorf("web1 has %q; the registry was asked %d times", f.text("web1"), r.asked)
	}
	other := f.tag(`"other"`, func(o *engine.Options) { o.Pins = map[string]string{"the image app": "saved"} })
	defer other.Close()
	if s := other.Plan(t.Context()); s.Outcome != engine.OutcomeFailed || !strings.Contains(f.failures(), "for saved by the saved plan") {
		t.Errorf("planning came to %s: %s", s.Outcome, f.failures())
	}
}

// A host that is lost while it finds out for all leaves that to another.
func TestHostThatIsLostFindsNothingOut(t *testing.T) {
	r := &registry{answers: []string{"", "b"}, held: make(chan struct{})}
	f := tagging(t, r)
	f.alive = 5 * time.Millisecond
	f.severed = func(host string, _ int) bool { return host == "web1" && r.wasAsked() }
	run := f.tag(`""`, func(o *engine.Options) {
		connect := o.Connect
		o.Connect = func(ctx context.Context, host string, s engine.Start) (engine.Stream, error) {
			if host == "web2" {
				await.True(ctx, r.wasAsked)
			}
			return connect(ctx, host, s)
		}
	})
	defer run.Close()
	run.Plan(t.Context())
	run.Apply(t.Context())
	if f.text("web2") != "b" || f.text("web1") != "(nothing)" {
		t.Errorf("web1 has %q, web2 %q: %s", f.text("web1"), f.text("web2"), f.failures())
	}
}

func (r *registry) wasAsked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked > 0
}
