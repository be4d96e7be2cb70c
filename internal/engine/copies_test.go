package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/fetch"
	"muster/modules/file"
)

// fetching is a fleet whose project is DIR/project.
func fetching(t *testing.T) (f *fleet, project func(o *engine.Options)) {
	f = newFleet(t)
	f.kinds = modules.NewRegistry(append(file.Kinds(), fetch.Kinds()...)...)
	if err := os.Mkdir(filepath.Join(f.dir, "project"), 0o700); err != nil {
		t.Fatal(err)
	}
	return f, func(o *engine.Options) { o.Project = filepath.Join(f.dir, "project") }
}

// log writes what is fetched, which everybody may read.
func (f *fleet) log(text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "log"), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

const fetches = `
play "p" {
  hosts = ["all"]
  task "fetch" "f" {
    path = "DIR/log"
    to   = "fetched"
  }
}
`

// fetched is a host's copy of DIR/log.
func (f *fleet) fetched(host string) []byte {
	data, _ := os.ReadFile(filepath.Join(f.dir, "project/fetched", host, f.dir, "log"))
	return data
}

func TestCopiesOfHostsFilesAreKept(t *testing.T) {
	f, project := fetching(t)
	f.log("one\n")
	for _, step := range []struct {
		text string
		want engine.Outcome
	}{{"one\n", engine.OutcomeChanged}, {"one\n", engine.OutcomeUnchanged}, {"two\n", engine.OutcomeChanged}} {
		f.log(step.text)
		r := f.runWith(project, fetches, "web1", "web2")
		r.Plan(t.Context())
		s := r.Apply(t.Context())
		r.Close()
		if s.Outcome != step.want {
			t.Fatalf("%q: the run came to %s, not %s: %s", step.text, s.Outcome, step.want, f.failures())
		}
		for _, host := range []string{"web1", "web2"} {
			if got := f.fetched(host); string(got) != step.text {
				t.Errorf("%s's copy is %q, not %q", host, got, step.text)
			}
		}
	}
}

// A connection that is lost at any moment leaves the copy whole, the old one or the new one,
// and the run goes on.
func TestCopyIsWholeWhereverItsConnectionIsLost(t *testing.T) {
	log := bytes.Repeat([]byte("0123456789abcdef"), 3*wire.BringPart/16)
	for part := 1; ; part++ {
		f, project := fetching(t)
		f.log(string(log))
		lost := false
		f.severed = func(_ string, n int) bool {
			if part > 1 && n == part {
				lost = true
				if now := f.fetched("web1"); now != nil && !bytes.Equal(now, log) {
					t.Errorf("lost before part %d: a half copy of %d bytes is in place", part, len(now))
				}
			}
			return part > 1 && n == part
		}
		r := f.runWith(project, fetches, "web1")
		if s := r.Plan(t.Context()); s.Outcome != engine.OutcomePending {
			t.Fatalf("lost before part %d: planning came to %s: %s", part, s.Outcome, f.failures())
		}
		s := r.Apply(t.Context())
		r.Close()
		if s.Outcome != engine.OutcomeChanged || !bytes.Equal(f.fetched("web1"), log) {
			t.Fatalf("lost before part %d: the run came to %s, with a copy of %d bytes: %s", part, s.Outcome, len(f.fetched("web1")), f.failures())
		}
		if left, _ := filepath.Glob(filepath.Join(f.dir, "project/fetched/web1", f.dir, ".*")); len(left) > 0 {
			t.Errorf("lost before part %d: there is %v", part, left)
		}
		if part > 1 && !lost {
			return
		}
	}
}

// What a host sends for a copy counts only for a task that it was told to make, part by part,
// and never beyond the bound; what it says of where the copy is doesn't.
func TestHostBringsOnlyWhatItWasToldTo(t *testing.T) {
	plan := func(c *wire.Conn, id string) {
		_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: id, Status: wire.Pending, Certainty: wire.Known, Changes: []host.Description{{Action: host.Create, Target: "x"}}}})
	}
	for name, test := range map[string]struct {
		early, late func(c *wire.Conn, id string)
	}{
		"before it was told to": {early: func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Bring: &wire.Bring{ID: id, First: true, Last: true}})
		}},
		"for another task": {late: func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Bring: &wire.Bring{ID: id + "x", First: true, Last: true}})
		}},
		"without a beginning": {late: func(c *wire.Conn, id string) {
			_ = c.Send(&wire.Message{Bring: &wire.Bring{ID: id, Last: true}})
		}},
		"more at once than is answered": {late: func(c *wire.Conn, id string) {
			for n := range 1000 {
				if c.Send(&wire.Message{Bring: &wire.Bring{ID: id, First: n == 0, Data: make([]byte, 1000)}}) != nil {
					return
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f, project := fetching(t)
			r := f.runWith(func(o *engine.Options) {
				project(o)
				o.Silence = 5 * time.Second // where it waits in vain
				o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) {
					return played(func(c *wire.Conn, m *wire.Message) bool {
						switch {
						case m.Task != nil:
							go func(id string) {
								plan(c, id)
								if test.early != nil {
									test.early(c, id)
								}
							}(m.Task.ID)
						case m.Review != nil:
							_ = c.Send(&wire.Message{Reviewed: &wire.Reviewed{}})
						case m.Grant != nil && test.late != nil:
							go test.late(c, m.Grant.IDs[0])
						}
						return true
					}), nil
				}
			}, fetches, "web1")
			r.Plan(t.Context())
			r.Apply(t.Context())
			r.Close() // waits for what was being taken
			var lost error
			for _, e := range f.events {
				if e, ok := e.(*engine.HostEvent); ok {
					lost = e.Error
				}
			}
			if !errors.Is(lost, wire.ErrFrame) {
				t.Errorf("the host is still believed: %v", lost)
			}
			if kept, _ := filepath.Glob(filepath.Join(f.dir, "project/fetched/web1", f.dir, "*")); len(kept) > 0 {
				t.Errorf("there is %v", kept)
			}
		})
	}
}

// What is in a copy goes to the host only where it may be shown.
func TestSensitiveCopyIsNotTold(t *testing.T) {
	for _, sensitive := range []bool{false, true} {
		f, project := fetching(t)
		f.log("one\n")
		r := f.runWith(project, fetches, "web1")
		r.Plan(t.Context())
		r.Apply(t.Context())
		r.Close()
		f.forget()
		f.log("two\n")
		r = f.runWith(project, strings.Replace(fetches, "to   =", fmt.Sprintf("sensitive = %t\nto =", sensitive), 1), "web1")
		r.Plan(t.Context())
		text := ""
		for _, e := range f.events {
			if e, ok := e.(*engine.TaskEvent); ok {
				for _, d := range e.Changes {
					text += d.Diff
				}
			}
		}
		if shown := strings.Contains(text, "-one") && strings.Contains(text, "+two"); shown == sensitive || text == "" {
			t.Errorf("sensitive = %t: the plan shows %q", sensitive, text)
		}
	}
}
