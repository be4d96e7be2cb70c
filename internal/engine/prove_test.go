package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/remote"
	"muster/modules"
	"muster/modules/file"
	"muster/tests/await"
)

// rules is a kind whose file "live" is in force, and whose file "boot" is read when
// the host starts.
type rules struct {
	Dir  string `arg:"dir,key,required"`
	Text string `arg:"text,required"`
}

func (r *rules) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, r.Dir+"/live"), host.Open(host.Files, r.Dir+"/boot")}
}

func (r *rules) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	var old string
	for _, name := range []string{"live", "boot"} {
		changes, err := v.Rewrite(ctx, filepath.Join(r.Dir, name), func(text string) (string, error) {
			if name == "live" {
				old = text
			}
			return r.Text, nil
		})
		if err != nil {
			return plan, err
		}
		if name == "live" && len(changes) > 0 {
			changes = append(changes, &host.RunProgram{Argv: []string{"sh", "-c", "echo >> " + r.Dir + "/made"}, Does: host.Description{Action: host.Reload, Target: "rules"}})
			plan.Probation = &modules.Probation{Changes: len(changes), Revert: host.Revert{Argv: []string{"sh", "-c", "cat > '" + r.Dir + "/live'"}, Input: []byte(old)}}
		}
		plan.Changes = append(plan.Changes, changes...)
	}
	return plan, nil
}

const onProbation = `
play "p" {
  hosts = ["web1"]
  task "rules" "r" {
    dir  = "DIR"
    text = "new"
  }
  task "file" "behind" {
    path    = "DIR/behind"
    content = "x"
  }
}
play "q" {
  hosts = ["web2"]
  task "file" "other" {
    path    = "DIR/other"
    content = "x"
  }
}
`

// proving is a fleet whose web1 is to get other rules.
func proving(t *testing.T) *fleet {
	f := newFleet(t)
	f.kinds = modules.NewRegistry(append(file.Kinds(), modules.Kind{Name: "rules", New: func() modules.Module { return &rules{} }})...)
	f.put("live", "old")
	return f
}

func (f *fleet) put(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) text(name string) string {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		return "(nothing)"
	}
	return string(data)
}

// prove runs the playbook; its logins that prove something are made by connect.
func (f *fleet) prove(connect engine.Connector) (*engine.Summary, *atomic.Int32) {
	f.t.Helper()
	closed := &atomic.Int32{}
	r := f.runWith(func(o *engine.Options) {
		o.Fresh = func() (engine.Connector, func()) { return connect, func() { closed.Add(1) } }
		o.Behind = func(string) []string { return []string{"web2"} }
	}, onProbation, "web1", "web2")
	if s := r.Plan(f.t.Context()); s.Outcome != engine.OutcomePending {
		f.t.Fatalf("planning came to %s: %s", s.Outcome, f.failures())
	}
	s := r.Apply(f.t.Context())
	r.Close()
	return s, closed
}

// stands holds what is in force, what is read at boot, and how often it was made.
func (f *fleet) stands(live, boot string, made int) {
	f.t.Helper()
	if got := f.text("live"); got != live {
		f.t.Errorf("in force is %q, want %q", got, live)
	}
	if got := f.text("boot"); got != boot {
		f.t.Errorf("read at boot is %q, want %q", got, boot)
	}
	if n := strings.Count(f.text("made"), "\n"); n != made {
		f.t.Errorf("it was made %d times, want %d", n, made)
	}
	if left, _ := filepath.Glob(filepath.Join(f.dir, "revert-*")); len(left) > 0 {
		f.t.Errorf("%v is left", left)
	}
}

// fails holds that the task failed for a reason, and was taken back.
func (f *fleet) fails(s *engine.Summary, why ...string) {
	f.t.Helper()
	if c := s.Hosts["web1"]; c.Failed != 1 || c.NotReached != 1 || c.Changed != 0 {
		f.t.Errorf("%+v", c)
	}
	for _, w := range append(why, "has been taken back") {
		if !strings.Contains(f.failures(), w) {
			f.t.Errorf("it doesn't say %q: %s", w, f.failures())
		}
	}
	f.stands("old", "(nothing)", 1)
}

func TestChangeOnProbationIsProvenByNewLogins(t *testing.T) {
	f := proving(t)
	var logins []string
	s, closed := f.prove(func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
		if f.text("live") != "new" || f.exists("boot") {
			t.Error("the login comes before the change, or after what is read at boot")
		}
		logins = append(logins, host)
		return f.connect(ctx, host, how)
	})
	if s.Outcome != engine.OutcomeChanged {
		t.Fatalf("the run came to %s: %s", s.Outcome, f.failures())
	}
	f.stands("new", "new", 1)
	want(t, "logins", logins, []string{"web1", "web2"})
	if closed.Load() != 1 {
		t.Errorf("what logged in was closed %d times", closed.Load())
	}
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Kind == "rules" {
			for i, d := range e.Changes {
				if proven := strings.Contains(d.Impact, modules.ProbationImpact); proven != (i < 2) {
					t.Errorf("%s: change %d says %q", e.Status, i, d.Impact)
				}
			}
		}
	}
}

func TestChangeThatNoLoginProvesIsTakenBack(t *testing.T) {
	for _, refuses := range []string{"web1", "web2"} {
		f := proving(t)
		s, _ := f.prove(func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
			if host == refuses {
				return nil, errors.New("nobody gets in")
			}
			return f.connect(ctx, host, how)
		})
		f.fails(s, "nobody gets in")
	}
}

// A change may cut the very connection it was made through. It isn't made again.
func TestChangeThatCutsItsConnectionIsTakenBack(t *testing.T) {
	f := proving(t)
	f.alive = 5 * time.Millisecond // so that something comes, and is lost
	cut := false
	f.severed = func(host string, _ int) bool {
		if host != "web1" || cut || !f.exists("made") {
			return false
		}
		cut = true
		return true
	}
	s, _ := f.prove(func(ctx context.Context, _ string, _ engine.Start) (engine.Stream, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if !cut {
		t.Error("it wasn't cut")
	}
	f.fails(s)
}

func TestProofThatComesTooLateProvesNothing(t *testing.T) {
	f := proving(t)
	f.remote = func(o *remote.Options) { o.Probation = 100 * time.Millisecond }
	s, _ := f.prove(func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
		await.True(ctx, func() bool { return f.text("live") == "old" }) // the host takes it back by itself
		return f.connect(ctx, host, how)
	})
	f.fails(s, "it took too long")
}

func TestControllerThatDoesNotAnswerProvesNothing(t *testing.T) {
	f := proving(t)
	f.remote = func(o *remote.Options) { o.ProofWait = 50 * time.Millisecond }
	s, _ := f.prove(func(ctx context.Context, host string, how engine.Start) (engine.Stream, error) {
		await.True(ctx, func() bool { return f.text("live") == "old" })
		return f.connect(ctx, host, how)
	})
	f.fails(s, "the controller doesn't answer")
}
