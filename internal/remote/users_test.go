package remote

import (
	"cmp"
	"context"
	"errors"
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

// private is a folder that only root can enter, with a file in it.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(folder(t, "root"), "private")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// settled has all tasks reviewed after they were made.
func (c *controller) settled(ids ...string) {
	c.t.Helper()
	m := c.answer(&wire.Message{Review: &wire.Review{Made: true, IDs: ids}})
	if m.Reviewed == nil || len(m.Reviewed.Conflicts) > 0 {
		c.t.Errorf("reviewed: %+v", m.Reviewed)
	}
}

func TestWhatAUserIsAboutToBeGivenIsKnownAfterApply(t *testing.T) {
	for name, test := range map[string]struct {
		first, then func(dir string) wire.Task
		denied      bool
		at          string // what is made; "": theirs
		certainty   wire.Certainty
	}{
		"a file in a folder": {
			first: func(dir string) wire.Task {
				return doing("directory", "d", "", map[string]any{"path": dir, "owner": other, "mode": "0700"})
			},
			then: func(dir string) wire.Task {
				return doing("file", "f", other, map[string]any{"path": filepath.Join(dir, "theirs"), "content": "x"})
			},
		},
		"a folder in a folder": {
			first: func(dir string) wire.Task {
				return doing("directory", "d", "", map[string]any{"path": dir, "owner": other})
			},
			then: func(dir string) wire.Task {
				return doing("directory", "e", other, map[string]any{"path": filepath.Join(dir, "theirs")})
			},
		},
		"a program in a folder": {
			first: func(dir string) wire.Task {
				return doing("directory", "d", "", map[string]any{"path": dir, "owner": other, "mode": "0700"})
			},
			then: func(dir string) wire.Task {
				return doing("command", "c", other, map[string]any{"argv": []any{"touch", "theirs"}, "dir": dir, "creates": filepath.Join(dir, "theirs")})
			},
		},
		"a folder that a program gives": {
			first: func(dir string) wire.Task {
				return doing("command", "d", "", map[string]any{"argv": []any{"sh", "-c", "chmod 755 $0 && chown nobody $0 $0/..", dir}})
			},
			then: func(dir string) wire.Task {
				return doing("file", "f", other, map[string]any{"path": filepath.Dir(dir) + "/theirs", "content": "x"})
			},
			at: "../theirs", certainty: wire.Tentative,
		},
		"what another folder holds": {
			first: func(dir string) wire.Task {
				return doing("directory", "d", "", map[string]any{"path": filepath.Dir(dir) + "/another", "owner": other})
			},
			then: func(dir string) wire.Task {
				return doing("file", "f", other, map[string]any{"path": filepath.Join(dir, "theirs"), "content": "x"})
			},
			denied: true,
		},
		"a file in a folder of root's": {
			first: func(dir string) wire.Task {
				return doing("directory", "d", "", map[string]any{"path": filepath.Dir(dir) + "/another"})
			},
			then: func(dir string) wire.Task {
				return doing("file", "f", other, map[string]any{"path": filepath.Dir(dir) + "/another/theirs", "content": "x"})
			},
			denied: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serving(t, spawnWorker)
			dir := private(t)
			first, then := test.first(dir), test.then(dir)
			if p := c.plan(first); p.Status != wire.Pending {
				t.Fatalf("root's is planned as %+v", p)
			}
			p := c.plan(then)
			if test.denied {
				if p.Status != wire.Failed || !strings.Contains(p.Error, "permission denied") {
					t.Errorf("theirs is planned as %+v", p)
				}
				return
			}
			if p.Status != wire.Pending || p.Certainty != cmp.Or(test.certainty, wire.Deferred) {
				t.Fatalf("theirs is planned as %+v", p)
			}
			for _, task := range []wire.Task{first, then} {
				if d := c.make(task.ID); d.Status != wire.Changed {
					t.Fatalf("%s is made as %+v", task.ID, d)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, cmp.Or(test.at, "theirs"))); err != nil {
				t.Error(err)
			}
			c.settled(first.ID, then.ID)
		})
	}
}

func TestUserWhoIsAboutToEnterAGroupPlansAsOneWhoMayBeInIt(t *testing.T) {
	c := serving(t, spawnWorker)
	dir := private(t)
	join := doing("user", "u", "", map[string]any{"name": other, "groups": []any{"games"}})
	if p := c.plan(join); p.Status != wire.Pending {
		t.Fatalf("the user is planned as %+v", p)
	}
	p := c.plan(doing("file", "group", other, map[string]any{"path": filepath.Join(dir, "theirs"), "content": "x"}))
	if p.Status != wire.Pending || p.Certainty != wire.Deferred {
		t.Errorf("what their groups may let them do is planned as %+v", p)
	}
	p = c.plan(doing("file", "own", other, map[string]any{"path": filepath.Join(folder(t, other), "theirs"), "content": "x"}))
	if p.Status != wire.Pending || p.Certainty != wire.Tentative {
		t.Errorf("what they may do by themselves is planned as %+v", p)
	}
}

func TestUserWhoWillBeGoneDoesNotAct(t *testing.T) {
	c := serving(t, spawnWorker)
	if p := c.plan(doing("user", "u", "", map[string]any{"name": "games", "state": "absent"})); p.Status != wire.Pending {
		t.Fatalf("the user is planned as %+v", p)
	}
	if p := c.plan(doing("file", "f", "games", map[string]any{"path": "/tmp/x", "content": "x"})); !strings.Contains(p.Error, "an earlier task removes them") {
		t.Errorf("theirs is planned as %+v", p)
	}
}

// accounts is what tests say of the users that there are.
type accounts struct {
	now     atomic.Value // a string; "": there is none
	started atomic.Int32
	last    atomic.Int32 // the process of the last worker
}

func (a *accounts) options() Options {
	return Options{
		Kinds: all.Registry(),
		Account: func(string) (string, error) {
			if now, _ := a.now.Load().(string); now != "" {
				return now, nil
			}
			return "", errors.New("there is no such user")
		},
		Spawn: func(ctx context.Context, name string) (io.ReadWriteCloser, error) {
			w, err := spawnWorker(ctx, name)
			if err == nil {
				a.started.Add(1)
				a.last.Store(int32(w.(*workerProcess).cmd.Process.Pid))
			}
			return w, err
		},
	}
}

func TestWorkerIsStartedAnewForAUserWhoHasChangedAndHoldsToThePlan(t *testing.T) {
	var a accounts
	a.now.Store("in no group")
	c := servingAs(t, a.options())
	dir := folder(t, other)
	of := func(name string) wire.Task {
		return doing("file", name, other, map[string]any{"path": filepath.Join(dir, name), "content": "x"})
	}
	for _, name := range []string{"c", "a", "b"} { // c behind nothing
		if p := c.plan(of(name)); p.Status != wire.Pending || p.Certainty != wire.Known {
			t.Fatalf("planned as %+v", p)
		}
	}
	if d := c.make(of("a").ID); d.Status != wire.Changed {
		t.Errorf("made as %+v", d)
	}
	a.now.Store("in a group")
	if d := c.make(of("b").ID); d.Status != wire.Changed {
		t.Errorf("made as %+v", d)
	}
	if n := a.started.Load(); n != 2 {
		t.Errorf("%d workers were started", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "c"), []byte("in the way"), 0o666); err != nil {
		t.Fatal(err)
	}
	give(t, filepath.Join(dir, "c"), other)
	if d := c.make(of("c").ID); d.Status != wire.Failed || !strings.Contains(d.Error, "which the plan didn't show") {
		t.Errorf("what has moved is made as %+v", d)
	}
	a.now.Store("in another group")
	c.settled(of("a").ID, of("b").ID)
	if n := a.started.Load(); n != 3 {
		t.Errorf("%d workers were started", n)
	}
	a.now.Store("")
	c.settled(of("a").ID, of("b").ID, of("c").ID) // of a user who is gone
}

func TestWorkerEndsBeforeWhatMayAlterItsUser(t *testing.T) {
	var a accounts
	a.now.Store("as they are")
	c := servingAs(t, a.options())
	path := filepath.Join(folder(t, other), "theirs")
	theirs := doing("file", "f", other, map[string]any{"path": path, "content": "x"})
	c.plan(theirs)
	look := doing("command", "look", "", map[string]any{"argv": []any{"sh", "-c", fmt.Sprintf("test ! -e /proc/%d", a.last.Load())}})
	c.plan(look)
	if d := c.make(look.ID); d.Status != wire.Changed {
		t.Errorf("a program of root's that may do anything finds the worker running: %+v", d)
	}
	if d := c.make(theirs.ID); d.Status != wire.Changed {
		t.Errorf("their task is made as %+v", d)
	}
	running := a.last.Load()
	c.plan(doing("user", "u", "", map[string]any{"name": other, "comment": "somebody else"}))
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", running)); err == nil {
		t.Errorf("a task about the user is planned while their worker runs")
	}
	c.settled(theirs.ID)
}

func TestTaskOfAUserWhomTheRunMakesIsMadeAndReviewed(t *testing.T) {
	for _, late := range []bool{false, true} {
		var a accounts
		c := servingAs(t, a.options())
		theirs := doing("file", "f", other, map[string]any{"path": filepath.Join(folder(t, other), "theirs"), "content": "x"})
		if p := c.plan(theirs); p.Status != wire.Pending || p.Certainty != wire.Deferred {
			t.Fatalf("planned as %+v", p)
		}
		a.now.Store("made")
		if late {
			again := theirs
			again.Late = true
			if err := c.Send(&wire.Message{Task: &again}); err != nil {
				t.Fatal(err)
			}
		}
		if d := c.make(theirs.ID); d.Status != wire.Changed {
			t.Errorf("made as %+v", d)
		}
		c.settled(theirs.ID)
	}
}

// What the tasks of a user whom the run makes do to each other shows when all are made.
func TestTasksOfAUserWhomTheRunMakesAreHeldAgainstEachOther(t *testing.T) {
	var a accounts
	c := servingAs(t, a.options())
	path := filepath.Join(folder(t, other), "theirs")
	whole := doing("file", "whole", other, map[string]any{"path": path, "content": "a\n"})
	more := doing("line", "more", other, map[string]any{"path": path, "line": "more"})
	for _, task := range []wire.Task{whole, more} {
		if p := c.plan(task); p.Certainty != wire.Deferred {
			t.Fatalf("planned as %+v", p)
		}
	}
	a.now.Store("made")
	for _, task := range []wire.Task{whole, more} {
		if d := c.make(task.ID); d.Status != wire.Changed {
			t.Fatalf("made as %+v", d)
		}
	}
	m := c.answer(&wire.Message{Review: &wire.Review{Made: true, IDs: []string{whole.ID, more.ID}}})
	if m.Reviewed == nil || len(m.Reviewed.Conflicts) != 1 || !strings.Contains(m.Reviewed.Conflicts[0].Text, path) {
		t.Errorf("reviewed: %+v", m.Reviewed)
	}
}

func TestTaskKnownAfterApplyIsHeldAgainstNone(t *testing.T) {
	c := serving(t, spawnWorker)
	path := filepath.Join(folder(t, other), "file")
	c.plan(doing("file", "first", "", map[string]any{"path": path, "content": "x"}))
	if p := c.plan(doing("file", "second", "", map[string]any{"path": path, "content": modules.UnknownValue{}})); p.Certainty != wire.Deferred {
		t.Fatalf("planned as %+v", p)
	}
	m := c.answer(&wire.Message{Review: &wire.Review{}})
	if m.Reviewed == nil || len(m.Reviewed.Conflicts) > 0 {
		t.Errorf("reviewed: %+v", m.Reviewed)
	}
}

func TestWorkersHearWhatTheControllerHasJudged(t *testing.T) {
	c := serving(t, spawnWorker)
	first := doing("command", "first", "", map[string]any{"argv": []any{"true"}})
	then := doing("command", "then", other, map[string]any{"argv": []any{"true"}})
	then.When = &modules.Condition{Changed: first.ID}
	c.plan(first)
	c.plan(then)
	if d := c.make(first.ID); d.Status != wire.Changed {
		t.Fatalf("made as %+v", d)
	}
	if err := c.Queue(&wire.Message{Lay: &wire.Lay{Settled: map[string]modules.Truth{first.ID: modules.False}}}); err != nil {
		t.Fatal(err)
	}
	if d := c.make(then.ID); d.Status != wire.Skipped {
		t.Errorf("made as %+v", d)
	}
}

// broken is a module that is at fault.
type broken struct {
	Name string `arg:"name,key,required"`
}

func (*broken) Plan(context.Context, *host.View) (modules.Plan, error) { panic("a map of nothing") }

func TestPanicOfTheRemoteIsToldInItsOwnWords(t *testing.T) {
	c := servingAs(t, Options{Kinds: modules.NewRegistry(modules.Kind{Name: "broken", New: func() modules.Module { return &broken{} }})})
	m := c.answer(&wire.Message{Task: &wire.Task{ID: "0/task.broken.b", Kind: "broken", Args: map[string]any{"name": "b"}}})
	if m.Fault == nil || !strings.Contains(m.Fault.Error, "panic: a map of nothing") || !strings.Contains(m.Fault.Error, "users_test.go:") {
		t.Fatalf("it says %+v", m)
	}
	c.fault = m.Fault.Error
}
