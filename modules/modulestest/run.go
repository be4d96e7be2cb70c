package modulestest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
	"muster/modules/modulestest/watch"
)

// LabHost is the environment variable that is set on a disposable machine, so
// that cases which edit the machine itself are run.
const LabHost = "MUSTER_LAB_HOST"

// Run runs the cases in testdata, each of which may use the kinds.
func Run(t *testing.T, kinds ...modules.Kind) { RunFolder(t, "testdata", kinds...) }

// RunFolder is Run for the cases of another folder: those of a host that is set up otherwise.
// A package of kinds has one test that calls it in each process.
func RunFolder(t *testing.T, folder string, kinds ...modules.Kind) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", folder, err)
	}
	if err := watch.NoSync(); err != nil {
		t.Fatal(err)
	}
	reg := modules.NewRegistry(kinds...)
	find := func(file string) *conformance { return &conformance{testCase: readCase(t, file), kinds: reg} }
	if watch.Watched() { // this is the process that the test has started for them
		serve(t, find)
	}
	p := &processes{t: t, find: find}
	defer p.end()
	var ran []string
	for _, file := range files {
		c := readCase(t, file)
		t.Run(c.name, func(t *testing.T) {
			if c.option("system") && os.Getenv(LabHost) == "" {
				t.Skip("edits the machine itself: runs on the lab's hosts")
			}
			ran = append(ran, file)
			p.run(t, request{Case: file})
		})
	}
	t.Run("later", func(t *testing.T) {
		for _, file := range ran {
			p.run(t, request{Case: file, Later: true})
		}
	})
}

type conformance struct {
	*testCase
	kinds *modules.Registry
	// watcher asks what the process was seen to do; nil where nobody watches it.
	watcher *watcher
	asked   map[host.Key]bool // of views
	told    bool              // companions tell what they tell when the task is made

	// What was planned first, and when, and on what; see later.
	first   []wire.Planned
	planned time.Time
	laid    string
}

func (c *conformance) session() *remote.Session {
	h := host.New()
	h.Name = "here"
	h.Asked = func(key host.Key) { c.asked[key] = true }
	if c.noPrograms() {
		h.Runner = refusing{}
	}
	s := remote.NewSession(c.kinds, h, []byte("conformance"))
	s.User = c.user()
	s.Receive, s.Copies = c.receive, copies{c}
	return s
}

// noPrograms reports whether the kinds of all of the case's tasks say that they run none.
func (c *conformance) noPrograms() bool {
	for _, ct := range c.tasks(silent{}) {
		if k := c.kinds.Kind(ct.kind); k == nil || !k.NoPrograms {
			return false
		}
	}
	return true
}

// refusing is the runner of kinds that run no program. Names of users are looked up by one, for
// every kind.
type refusing struct{}

func (refusing) Run(ctx context.Context, c host.Command) (host.Output, error) {
	if len(c.Argv) > 0 && c.Argv[0] == "getent" {
		return host.System{}.Run(ctx, c)
	}
	return host.Output{}, fmt.Errorf("a fault of the kind: it has NoPrograms, and runs %q", c.Argv)
}

// content is what the controller makes of arguments that name files.
func (c *conformance) task(t testing.TB, ct caseTask) wire.Task {
	t.Helper()
	schema := c.kinds.Schema(ct.kind)
	if schema == nil {
		t.Fatalf("the kind %s isn't among those that Run was given", ct.kind)
	}
	args := map[string]any{}
	for name, value := range ct.args {
		args[name] = value
		a := schema.Arg(name)
		if a == nil {
			continue
		}
		if s, ok := value.(string); ok && (a.Type.Base == modules.File || a.Type.Base == modules.Template) {
			data, ok := c.sections["source/"+s]
			if !ok {
				t.Fatalf("there is no section source/%s", s)
			}
			args[name] = host.ContentOf([]byte(data), false)
		}
	}
	return wire.Task{ID: ct.id, Kind: ct.kind, Args: args, Secrets: hiddenLines(c.text("hidden")), Companions: c.companions(t, ct.kind, args, c.told)}
}

func hiddenLines(s string) []string {
	var list []string
	for _, l := range strings.Split(s, "\n") {
		if l != "" {
			list = append(list, l)
		}
	}
	return list
}

func (c *conformance) plan(t testing.TB, s *remote.Session) []wire.Planned {
	t.Helper()
	var list []wire.Planned
	as(t, c.user(), func() {
		for _, ct := range c.tasks(t) {
			wt := c.task(t, ct)
			if wt.Secrets != nil {
				wt.Args = sensitive(wt.Args)
			}
			p, _ := s.Plan(context.Background(), wt)
			list = append(list, p)
		}
		c.review(t, s, list)
	})
	return list
}

// review plans every task once more on the preview of all: two that are in each
// other's way fail, and a kind that isn't settled by its own effects is at fault.
func (c *conformance) review(t testing.TB, s *remote.Session, list []wire.Planned) {
	t.Helper()
	for _, found := range s.Conflicts(s.Review(context.Background(), false, nil), false) {
		if found.Alone {
			t.Errorf("%s: %s: its effects don't tell all that its changes leave", found.ID, found.Text)
			continue
		}
		for i := range list {
			if list[i].ID == found.ID {
				list[i].Status, list[i].Error = wire.Failed, found.Text
			}
		}
	}
}

// sensitive marks all content, as the language does for what a secret is in.
func sensitive(args map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range args {
		if s, ok := value.(string); ok && name == "content" {
			value = host.ContentOf([]byte(s), true)
		}
		out[name] = value
	}
	return out
}

func (c *conformance) run(t testing.TB) {
	c.lay(t, false)
	if c.has("request") {
		c.sends(t)
		return
	}
	before, laid := c.snapshot(t, true), c.snapshot(t, false)
	s := c.session()
	c.planned = time.Now()
	c.asked = map[host.Key]bool{}
	var planned []wire.Planned
	c.holdPlanning(t, c.watch(func() { planned = c.plan(t, s) }), planned)
	c.stable(t, planned)
	if after := c.snapshot(t, true); after != before {
		t.Fatalf("planning has touched the host:\nbefore\n%s\nafter\n%s", before, after)
	}
	if c.has("hidden") {
		for _, secret := range hiddenLines(c.text("hidden")) {
			for _, p := range planned {
				if form := shows(fmt.Sprintf("%+v %s", p, p.Output), secret); form != "" {
					t.Errorf("the plan shows %q%s", secret, form)
				}
			}
		}
	}
	if c.comparePlan(t, planned); t.Failed() || c.has("error") {
		return
	}
	for _, p := range planned {
		if keys := s.Exceeds(p.ID); len(keys) > 0 {
			t.Errorf("%s would alter %v, beyond what it says it may alter", p.ID, keys)
		}
	}
	in := c.inspect(t, s)
	made, failure := in.apply(t, s, planned)
	c.compareFailure(t, failure)
	if failure == "" {
		c.compareMade(t, planned, made)
	}
	c.compareEnd(t)
	if t.Failed() {
		return
	}
	if failure == "" {
		c.told = true
		again := c.plan(t, c.session())
		c.stable(t, again)
		c.told = false
		for _, p := range again {
			if p.Status != wire.Unchanged && p.Status != wire.Skipped && !c.option("always") {
				t.Errorf("planned again, %s isn't unchanged: %s", p.ID, show(p))
			}
		}
	}
	if t.Failed() || c.option("nocut") || c.option("always") || c.option("system") && !c.has("reset") {
		return
	}
	end := c.snapshot(t, false)
	if failure == "" {
		c.cuts(t, end)
		c.undone(t, in.made)
		c.moved(t, in.made)
	}
	c.failures(t)
	c.first, c.laid = planned, laid
}

// comparePlan holds what was planned against the sections error and changes.
func (c *conformance) comparePlan(t testing.TB, planned []wire.Planned) {
	t.Helper()
	var shown, diffs, errs []string
	for _, p := range planned {
		if p.Error != "" {
			errs = append(errs, p.Error)
		}
		shown = append(shown, show(p)...)
		for _, d := range p.Changes {
			diffs = append(diffs, d.Diff, d.Impact)
		}
		diffs = append(diffs, p.Notes...)
	}
	got := strings.Join(errs, "\n")
	if want := strings.TrimSpace(c.text("error")); c.has("error") && (got == "" || !strings.Contains(got, want)) {
		t.Errorf("the plan's error is %q, want %q", got, want)
	} else if !c.has("error") && got != "" {
		t.Errorf("the plan fails: %s", got)
	}
	if want := strings.TrimSpace(c.text("changes")); strings.Join(shown, "\n") != want && !c.has("error") {
		t.Errorf("the plan shows\n%s\nwant\n%s", strings.Join(shown, "\n"), want)
	}
	all := strings.Join(diffs, "\n")
	for _, line := range strings.Split(strings.TrimSpace(c.text("diff")), "\n") {
		if !strings.Contains(all, line) {
			t.Errorf("the diffs lack %q:\n%s", line, all)
		}
	}
}

// show lists a plan's changes as the section does.
func show(p wire.Planned) []string {
	var list []string
	mark := ""
	if p.Certainty != wire.Known {
		mark = " " + string(p.Certainty)
	}
	for _, d := range p.Changes {
		list = append(list, string(d.Action)+" "+d.Target+mark)
	}
	for _, d := range p.Then {
		list = append(list, string(d.Action)+" "+d.Target+" "+string(wire.Deferred))
	}
	return list
}

// apply makes what is pending, in order, until something fails.
func (c *conformance) apply(t testing.TB, s *remote.Session, planned []wire.Planned) (made []wire.Done, failure string) {
	t.Helper()
	return (&inspector{conformance: c}).apply(t, s, planned)
}

func (i *inspector) apply(t testing.TB, s *remote.Session, planned []wire.Planned) (made []wire.Done, failure string) {
	t.Helper()
	as(t, i.user(), func() { made, failure = i.make(s, planned) })
	return made, failure
}

func (i *inspector) make(s *remote.Session, planned []wire.Planned) (made []wire.Done, failure string) {
	begun := false
	for n, p := range planned {
		i.task = n
		begun = begun || p.Status == wire.Pending
		if !begun {
			continue
		}
		if told := i.companionsMade(p.ID); told != nil {
			s.Accompany(p.ID, told)
		}
		d := s.Apply(context.Background(), p.ID)
		made = append(made, d)
		if d.Status == wire.Failed {
			return made, d.Error
		}
	}
	return made, ""
}

func (c *conformance) compareFailure(t testing.TB, failure string) {
	t.Helper()
	want := strings.TrimSpace(c.text("failure"))
	switch {
	case c.has("failure") && (failure == "" || !strings.Contains(failure, want)):
		t.Errorf("making it fails with %q, want %q", failure, want)
	case !c.has("failure") && failure != "":
		t.Errorf("making it fails: %s", failure)
	}
}

// compareMade holds the changes made against those shown, or where the case has
// them, those in the section "made".
func (c *conformance) compareMade(t testing.TB, planned []wire.Planned, made []wire.Done) {
	t.Helper()
	done := map[string]wire.Done{}
	var list []string
	for _, d := range made {
		done[d.ID] = d
		for _, made := range d.Changes {
			list = append(list, string(made.Action)+" "+made.Target)
		}
	}
	if c.has("made") {
		if got, want := strings.Join(list, "\n"), strings.TrimSpace(c.text("made")); got != want {
			t.Errorf("made is\n%s\nwant\n%s", got, want)
		}
		return
	}
	for _, p := range planned {
		d, ok := done[p.ID]
		if !ok || p.Certainty != wire.Known || len(p.Then) > 0 {
			continue
		}
		if len(d.Changes) != len(p.Changes) {
			t.Errorf("%s: shown %+v, made %+v", p.ID, p.Changes, d.Changes)
			continue
		}
		for i := range p.Changes {
			same := d.Changes[i] == p.Changes[i]
			refined := p.Changes[i].Action == host.Create && d.Changes[i].Action == host.Update && p.Changes[i].Target == d.Changes[i].Target
			if !same && !refined {
				t.Errorf("%s: shown %+v, made %+v", p.ID, p.Changes[i], d.Changes[i])
			}
		}
	}
}

// failures fails every step, or some as cuts does: an atomic plan must then be as it
// was before, and nothing temporary may be left behind.
func (c *conformance) failures(t testing.TB) {
	steps := upTo(200)
	if c.fewer() {
		steps = someSystemCuts
	}
	for _, n := range steps {
		c.lay(t, true)
		s := c.session()
		first := digests(c.plan(t, s))
		where := ""
		hook(s, n, func(at string) error { where = at; return fmt.Errorf("failed by the test, %s", at) })
		planned := c.plan(t, s)
		made, failure := c.apply(t, s, planned)
		if where == "" {
			return
		}
		if strings.Contains(c.snapshot(t, false), ".muster-") {
			t.Errorf("failed %q (step %d), something temporary is left:\n%s", where, n, c.snapshot(t, false))
		}
		if failure == "" || !made[len(made)-1].Undone {
			continue
		}
		if again := digests(c.plan(t, c.session())); len(planned) == 1 && again != first {
			t.Errorf("failed %q (step %d) and undone, the plan isn't what it was", where, n)
		}
	}
	if !c.fewer() {
		t.Fatal("more than 200 steps")
	}
}

func digests(planned []wire.Planned) string {
	var list []string
	for _, p := range planned {
		list = append(list, p.ID+" "+p.Digest)
	}
	return strings.Join(list, "\n")
}

// hook calls f at the n-th step and returns the counter of steps. A step also
// lies before and after each program that a change runs.
func hook(s *remote.Session, n int, f func(where string) error) *int {
	count := new(int)
	step := func(where string) error {
		if *count++; *count == n {
			return f(where)
		}
		return nil
	}
	s.Host.Step = step
	return count
}
