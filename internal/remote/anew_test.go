package remote

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/all"
)

// number is what modules of kind "counted" look at, once for all of a session's, and alter.
// It counts as a file, in a folder of everybody's.
type number struct {
	is   atomic.Int64
	file host.Key
}

func newNumber(t *testing.T) *number {
	t.Helper()
	dir := folder(t, "root")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return &number{file: host.File(filepath.Join(dir, "number"))}
}

// atLeast is a module that wants the number to be at least so much.
type atLeast struct {
	To  int64 `arg:"to,key,required"`
	the *number
}

func (m *atLeast) May() []host.Effect {
	return []host.Effect{host.Open(m.the.file.Space, m.the.file.Name)}
}

func (m *atLeast) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	is, err := host.Once(v, "number", func() (int64, error) { return m.the.is.Load(), nil })
	if err != nil || is >= m.To {
		return modules.Plan{Output: fmt.Appendf(nil, "%d", is)}, err
	}
	change := newStep("", func(context.Context, *host.Host) error {
		m.the.is.Store(m.To)
		return nil
	})
	change.Key = m.the.file
	return modules.Plan{Changes: []host.Change{change}}, nil
}

// kinds returns the kind of a number.
func (n *number) kinds() *modules.Registry {
	return modules.NewRegistry(modules.Kind{Name: "counted", New: func() modules.Module { return &atLeast{the: n} }})
}

func wanting(label, as string, to int64) wire.Task {
	return doing("counted", label, as, map[string]any{"to": to})
}

// workerHere starts a worker in this process.
func workerHere(kinds *modules.Registry) func(context.Context, string) (io.ReadWriteCloser, error) {
	return func(context.Context, string) (io.ReadWriteCloser, error) {
		in, toWorker := io.Pipe()
		fromWorker, out := io.Pipe()
		go func() {
			_ = Serve(context.Background(), in, out, Options{Kinds: kinds, Worker: true})
			_ = out.Close()
		}()
		return pipes{fromWorker, toWorker}, nil
	}
}

type pipes struct {
	io.Reader
	io.WriteCloser
}

// What was read before somebody has changed the host is read again: else a task that has
// nothing left to do would make its changes once more.
func TestWhatWasReadBeforeAChangeIsReadAnew(t *testing.T) {
	n := newNumber(t)
	for name, run := range map[string]func(t *testing.T, c *controller, path string){
		"the task's own change": func(t *testing.T, c *controller, _ string) {
			c.plan(wanting("a", "", 1))
			if d := c.make("0/task.counted.a"); d.Status != wire.Changed {
				t.Errorf("it ended as %+v", d)
			}
		},
		"root's, by a user's task": func(t *testing.T, c *controller, _ string) {
			c.plan(wanting("theirs", other, 1))
			c.plan(wanting("a", "", 2))
			c.make("0/task.counted.a")
			if d := c.make("0/task.counted.theirs"); d.Status != wire.Unchanged {
				t.Errorf("it ended as %+v", d)
			}
		},
		"a user's, by root's task": func(t *testing.T, c *controller, _ string) {
			c.plan(wanting("a", "", 1))
			c.plan(wanting("theirs", other, 2))
			c.make("0/task.counted.theirs")
			if d := c.make("0/task.counted.a"); d.Status != wire.Unchanged {
				t.Errorf("it ended as %+v", d)
			}
		},
		"a user's, by another user's task": func(t *testing.T, c *controller, _ string) {
			c.plan(wanting("theirs", other, 2))
			c.plan(wanting("others", "daemon", 1))
			c.make("0/task.counted.theirs")
			if d := c.make("0/task.counted.others"); d.Status != wire.Unchanged {
				t.Errorf("it ended as %+v", d)
			}
		},
		"another run's, by a plan": func(t *testing.T, c *controller, path string) {
			c.plan(wanting("a", "", 1))
			anotherRun(t, path, func() { n.is.Store(2) })
			if p := c.plan(wanting("b", "", 2)); p.Status != wire.Unchanged {
				t.Errorf("it is planned as %+v", p)
			}
		},
		"another run's, by a task that is made": func(t *testing.T, c *controller, path string) {
			c.plan(wanting("a", "", 1))
			anotherRun(t, path, func() { n.is.Store(2) })
			if d := c.make("0/task.counted.a"); d.Status != wire.Unchanged {
				t.Errorf("it ended as %+v", d)
			}
		},
		"another run's, by a user's task": func(t *testing.T, c *controller, path string) {
			c.plan(wanting("theirs", other, 1))
			anotherRun(t, path, func() { n.is.Store(2) })
			if d := c.make("0/task.counted.theirs"); d.Status != wire.Unchanged {
				t.Errorf("it ended as %+v", d)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n.is.Store(0)
			path := filepath.Join(t.TempDir(), "lock")
			kinds := n.kinds()
			run(t, servingAs(t, Options{Kinds: kinds, Lock: path, Spawn: workerHere(kinds)}), path)
		})
	}
}

// anotherRun has the host for a moment. It waits until a plan has let go of it.
func anotherRun(t *testing.T, path string, does func()) {
	t.Helper()
	l := lock{path: path}
	defer l.release()
	if err := l.own(t.Context()); err != nil {
		t.Fatal(err)
	}
	does()
}

// A run that makes something has its host alone until it ends.
func TestWhoMakesSomethingHasTheHostAlone(t *testing.T) {
	n := newNumber(t)
	path := filepath.Join(t.TempDir(), "lock")
	c := servingAs(t, Options{Kinds: n.kinds(), Lock: path})
	impatient := func() *lock { return &lock{path: path, wait: 1} }
	c.plan(wanting("a", "", 1))
	anotherRun(t, path, func() {}) // which plans have let in
	c.make("0/task.counted.a")
	for what, take := range map[string]func(*lock) error{
		"plans": func(l *lock) error { return l.share(t.Context()) },
		"makes": func(l *lock) error { return l.own(t.Context()) },
	} {
		l := impatient()
		if err := take(l); err == nil || !strings.Contains(err.Error(), "another run has had this host") {
			t.Errorf("another run %s meanwhile: %v", what, err)
		}
		l.release()
	}
}

// Nothing is planned, nor made, while another run is making something.
func TestNothingIsPlannedOrMadeWhileAnotherRunMakesSomething(t *testing.T) {
	n := newNumber(t)
	path := filepath.Join(t.TempDir(), "lock")
	c := servingAs(t, Options{Kinds: n.kinds(), Lock: path})
	c.plan(wanting("a", "", 1))
	for what, m := range map[string]*wire.Message{
		"plan": {Task: ptr(wanting("b", "", 3))},
		"make": {Grant: &wire.Grant{IDs: []string{"0/task.counted.a"}, Epoch: 1}},
	} {
		other := lock{path: path}
		if err := other.own(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
		waited := false
		for ended := false; !ended; {
			is, err := c.Receive()
			switch {
			case err != nil:
				t.Fatal(err)
			case is.Progress != nil && strings.Contains(is.Progress.Text, "waiting for another run on this host"):
				waited = true
				other.release()
			case is.Planned != nil, is.Done != nil:
				ended = true
			}
		}
		if !waited {
			t.Errorf("to %s it didn't wait", what)
			other.release()
		}
		if what == "make" {
			break // it has the host for good
		}
	}
}

func ptr[T any](v T) *T { return &v }

// What stands behind a task that failed isn't made, though it was granted already.
func TestWhatStandsBehindAFailureIsNotMade(t *testing.T) {
	c := servingAs(t, Options{Kinds: all.Registry()})
	dir := t.TempDir()
	fails := doing("command", "fails", "", map[string]any{"shell": "exit 1"})
	next := doing("command", "next", "", map[string]any{"shell": "touch " + dir + "/made"})
	c.plan(fails)
	c.plan(next)
	if err := c.Send(&wire.Message{Grant: &wire.Grant{IDs: []string{fails.ID}, Epoch: 1}}); err != nil {
		t.Fatal(err)
	}
	var ends []string
	m := c.answer(&wire.Message{Grant: &wire.Grant{IDs: []string{next.ID}, Epoch: 1}})
	for m.Done != nil {
		ends = append(ends, string(m.Done.Status))
		if m.Done.ID == next.ID {
			break
		}
		var err error
		if m, err = c.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	if len(ends) != 2 || ends[0] != string(wire.Failed) || ends[1] != string(wire.Skipped) || exists(filepath.Join(dir, "made")) {
		t.Errorf("they ended as %q", ends)
	}
	// In the next epoch it is.
	if m := c.answer(&wire.Message{Grant: &wire.Grant{IDs: []string{next.ID}, Epoch: 2}}); m.Done == nil || m.Done.Status != wire.Changed {
		t.Errorf("told again, it ended as %+v", m)
	}
}
