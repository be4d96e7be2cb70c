package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/modules"
)

// pair writes two files, both or none. Where a file "boom" stands beside them, the remote
// dies between the two; where "boom-then" does, when both are written.
type pair struct {
	Path    string `arg:"path,key,required"`
	Content string `arg:"content,required"`
}

func (p *pair) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	plan := modules.Plan{Atomic: true}
	for _, end := range []string{".a", ".b"} {
		now, err := host.Read(v, host.Key{Space: "pair", Name: p.Path + end}, func() (*string, error) {
			data, err := os.ReadFile(p.Path + end)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			s := string(data)
			return &s, err
		})
		if err != nil {
			return plan, err
		}
		before := ""
		if now != nil {
			before = *now
		}
		if before != p.Content {
			plan.Changes = append(plan.Changes, &half{Path: p.Path + end, Before: before, After: p.Content})
		}
	}
	if written, _ := os.ReadFile(p.Path + ".b"); len(plan.Changes) == 0 && string(written) == p.Content && os.Remove(filepath.Join(filepath.Dir(p.Path), "boom-then")) == nil {
		panic("boom")
	}
	return plan, nil
}

// half writes one of the files.
type half struct{ Path, Before, After string }

func (*half) Type() string { return "test.half/1" }
func (c *half) Describe() host.Description {
	return host.Description{Action: host.Update, Target: c.Path, Diff: c.Before + " → " + c.After}
}
func (c *half) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: "pair", Name: c.Path}, c.After)}
}
func (c *half) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	now, err := os.ReadFile(c.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Result{}, err
	}
	if string(now) != c.Before {
		return host.Result{}, host.ErrMoved
	}
	boom := filepath.Join(filepath.Dir(c.Path), "boom")
	if strings.HasSuffix(c.Path, ".b") && os.Remove(boom) == nil {
		panic("boom")
	}
	if err := h.Begin(host.Undo{Changes: []host.Change{&half{Path: c.Path, Before: c.After, After: c.Before}}}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, os.WriteFile(c.Path, []byte(c.After), 0o600)
}

// cutOff is a fleet on which a run has died in the middle of an atomic task.
func cutOff(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t)
	f.kinds = modules.NewRegistry(append(kindsOf(f.kinds), modules.Kind{Name: "pair", Undoes: []host.Change{&half{}}, New: func() modules.Module { return &pair{} }})...)
	f.write(t, "x.a", "old")
	f.write(t, "x.b", "old")
	f.write(t, "boom", "")
	r := f.run(fmt.Sprintf(pairs, "new"), "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeFailed {
		t.Fatalf("the run came to %s: %s", s.Outcome, f.failures())
	}
	r.Close()
	if a, b := f.read(t, "x.a"), f.read(t, "x.b"); a != "new" || b != "old" {
		t.Fatalf("the files are %q and %q", a, b)
	}
	f.forget()
	return f
}

func kindsOf(r *modules.Registry) (list []modules.Kind) {
	for _, k := range r.Kinds() {
		list = append(list, *k)
	}
	return list
}

func (f *fleet) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const pairs = `
play "p" {
  hosts = ["all"]
  task "pair" "x" {
    path    = "DIR/x"
    content = %q
  }
}
`

// told are the changes of a task, as the events tell them.
func (f *fleet) told(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && strings.HasPrefix(e.Name, name) {
			for _, d := range e.Changes {
				list = append(list, fmt.Sprintf("%s %s %s (%s)", e.Status, filepath.Base(d.Target), d.Diff, d.Impact))
			}
		}
	}
	return list
}

func (f *fleet) kept() []string {
	list, _ := filepath.Glob(filepath.Join(f.dir, "records-*", "*"))
	return list
}

// What a run that was cut off in an atomic task has left stands in the next plan, which
// takes nothing back; an apply takes it back first of all.
func TestWhatACutOffAtomicTaskLeftIsTakenBack(t *testing.T) {
	f := cutOff(t)
	r := f.runWith(func(o *engine.Options) { o.ReadOnly = true }, fmt.Sprintf(pairs, "old"), "web1")
	if s := r.Plan(t.Context()); s.Hosts["web1"].Pending != 1 || s.Hosts["web1"].Unchanged != 1 {
		t.Errorf("it plans %+v: %s", s.Hosts["web1"], f.failures())
	}
	r.Close()
	if got := f.told("run "); len(got) != 1 || got[0] != "pending x.a new → old (takes back what task.pair.x left, which was cut off)" {
		t.Errorf("it shows %q", got)
	}
	if f.read(t, "x.a") != "new" {
		t.Error("planning took it back")
	}

	f.forget()
	r = f.run(fmt.Sprintf(pairs, "newer"), "web1")
	r.Plan(t.Context())
	if got := f.told("task.pair"); len(got) != 2 || !strings.Contains(got[0], "old → newer") {
		t.Errorf("the task is planned as %q", got)
	}
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged || s.Hosts["web1"].Changed != 2 {
		t.Errorf("it came to %s: %+v, %s", s.Outcome, s.Hosts["web1"], f.failures())
	}
	r.Close()
	if a, b := f.read(t, "x.a"), f.read(t, "x.b"); a != "newer" || b != "newer" {
		t.Errorf("the files are %q and %q", a, b)
	}
	if kept := f.kept(); len(kept) > 0 {
		t.Errorf("the host keeps %v", kept)
	}
}

// An atomic task that was cut off when all of it was made is whole: nobody takes it back.
func TestAtomicTaskThatIsWholeIsNotTakenBack(t *testing.T) {
	f := newFleet(t)
	f.kinds = modules.NewRegistry(append(kindsOf(f.kinds), modules.Kind{Name: "pair", Undoes: []host.Change{&half{}}, New: func() modules.Module { return &pair{} }})...)
	f.write(t, "x.a", "old")
	f.write(t, "x.b", "old")
	f.write(t, "boom-then", "")
	r := f.run(fmt.Sprintf(pairs, "new"), "web1")
	r.Plan(t.Context())
	r.Apply(t.Context())
	r.Close()
	if _, err := os.Lstat(filepath.Join(f.dir, "boom-then")); err == nil {
		t.Fatal("the remote didn't die")
	}
	f.forget()
	r = f.run(fmt.Sprintf(pairs, "new"), "web1")
	if s := r.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged || len(f.told("run ")) > 0 {
		t.Errorf("it plans %+v, %q: %s", s.Hosts["web1"], f.told("run "), f.failures())
	}
	r.Close()
	if a, b := f.read(t, "x.a"), f.read(t, "x.b"); a != "new" || b != "new" {
		t.Errorf("the files are %q and %q", a, b)
	}
}

// What somebody has altered since is left, and that is said.
func TestWhatWasAlteredSinceItWasCutOffIsLeft(t *testing.T) {
	f := cutOff(t)
	f.write(t, "x.a", "by hand")
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "command" "c" {
    argv    = ["true"]
    creates = "DIR/x.b"
  }
}
`, "web1")
	r.Plan(t.Context())
	f.forget()
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
		t.Errorf("it came to %s: %s", s.Outcome, f.failures())
	}
	r.Close()
	if got := f.told("run "); len(got) != 1 || !strings.Contains(got[0], "left as it is: it was altered since") {
		t.Errorf("it shows %q", got)
	}
	if got := f.read(t, "x.a"); got != "by hand" {
		t.Errorf("the file is %q", got)
	}
	if kept := f.kept(); len(kept) > 0 {
		t.Errorf("the host keeps %v", kept)
	}
}
