package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/task"
	"muster/internal/wire"
	"muster/tests/await"
)

func TestMain(m *testing.M) {
	if what := os.Getenv("JOURNAL_CHILD"); what != "" {
		os.Exit(child(what, os.Getenv("JOURNAL_PATH")))
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, path string, o journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func begin(t testing.TB, j *journal.Journal, info journal.RunInfo, hosts ...string) *journal.Run {
	t.Helper()
	r, err := j.Begin(info, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func grant(t testing.TB, r *journal.Run, host string, tasks ...engine.Granted) {
	t.Helper()
	if err := r.Grant(t.Context(), host, tasks); err != nil {
		t.Fatal(err)
	}
}

func fileTask(id string, changes ...host.Description) engine.Granted {
	return engine.Granted{Place: task.Place{Ref: task.Ref{Play: "web", Kind: "file"}, ID: "0/task.file." + id, Name: "task.file." + id}, Changes: changes}
}

func find(t testing.TB, j *journal.Journal, id string) *journal.Detail {
	t.Helper()
	d, err := j.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var times = cmp.Options{
	cmpopts.IgnoreTypes(time.Time{}), cmpopts.IgnoreUnexported(journal.Summary{}, journal.Host{}),
}

func TestARunIsReadAsItWasRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20", "deep", "journal.db")
	j := open(t, path, journal.Options{})
	from := time.Now().UTC().Truncate(time.Millisecond)
	info := journal.RunInfo{
		Playbook: "playbooks/site.hcl", Inventory: "inventory", PlanFile: "site.plan", Resumes: "20260102-0304-0506",
		Limit: []string{"web"}, Tags: []string{"a"}, SkipTags: []string{"b"}, Muster: "0.1.0", By: "ann@laptop",
	}
	r := begin(t, j, info, "web1", "web2", "web3", "web4")
	write := host.Description{Action: host.Update, Target: "/etc/motd", Diff: "-a\n+b\n", Impact: "none"}
	on := fileTask("c", write)
	on.On = "lb1"
	grant(t, r, "web1", fileTask("a", write), fileTask("b"))
	grant(t, r, "web2", fileTask("a", write))
	r.Before("web1", "0/task.file.a", &wire.Undo{Target: "/etc/motd", Steps: []wire.UndoStep{{Type: "file.remove/1", Change: []byte(`{}`)}}})
	r.Done("web1", "0/task.file.a", &wire.Done{Status: wire.Changed, Changes: []host.Description{write}, Seconds: 0.5})
	r.Done("web1", "0/task.file.b", &wire.Done{Status: wire.Unchanged})
	grant(t, r, "web1", on)
	r.Before("web1", on.ID, &wire.Undo{Target: "/etc/motd", Missing: "the task is sensitive"})
	r.Before("web1", on.ID, &wire.Undo{Target: "/etc/x", Steps: []wire.UndoStep{{Type: "file.remove/1"}}})
	fewer := host.Description{Action: host.Update, Target: "/etc/x"}
	r.Done("web1", on.ID, &wire.Done{Status: wire.Failed, Changes: []host.Description{fewer}, Error: "exit code 3", Undone: true})
	r.HostEnd("web1", engine.HostFailed, "task.file.c: exit code 3")
	r.HostEnd("web3", engine.HostUnreachable, "no route")
	r.HostEnd("web4", engine.HostDone, "")
	if err := r.End("failed"); err != nil {
		t.Fatal(err)
	}
	granted := func(g engine.Granted) journal.Task {
		g.Ref.Task = strings.TrimPrefix(g.Name, "task.file.")
		return journal.Task{Granted: g}
	}
	a, b, c, a2 := granted(fileTask("a", write)), granted(fileTask("b")), granted(on), granted(fileTask("a", write))
	a.Status, a.Made, a.Seconds, a.Edits, a.Undoable = wire.Changed, []host.Description{write}, 0.5, 1, true
	b.Status = wire.Unchanged
	c.Status, c.Made, c.Error, c.Undone, c.Edits, c.NotUndoable = wire.Failed, []host.Description{fewer}, "exit code 3", true, 2, "the task is sensitive"
	a.Host, b.Host, c.Host, a2.Host = "web1", "web1", "web1", "web2"
	want := &journal.Detail{
		Summary: journal.Summary{ID: r.ID(), RunInfo: info, State: "failed", Hosts: 4, Done: 1},
		PerHost: []journal.Host{
			{Name: "web1", Status: engine.HostFailed, Error: "task.file.c: exit code 3", Tasks: []journal.Task{a, b, c}},
			{Name: "web2", Status: journal.Unfinished, Tasks: []journal.Task{a2}},
			{Name: "web3", Status: engine.HostUnreachable, Error: "no route"},
			{Name: "web4", Status: engine.HostDone},
		},
	}
	for _, o := range []journal.Options{{}, {ReadOnly: true}} {
		got := find(t, open(t, path, o), "last")
		if diff := cmp.Diff(want, got, times); diff != "" {
			t.Errorf("read only %v: %s", o.ReadOnly, diff)
		}
		for name, at := range map[string]time.Time{
			"begin": got.Began, "end": got.Ended, "end of web1": got.PerHost[0].Ended, "grant": got.PerHost[0].Tasks[0].GrantedAt, "end of a": got.PerHost[0].Tasks[0].Ended,
		} {
			if at.Before(from) || at.After(time.Now()) || at.Location() != time.UTC {
				t.Errorf("the time of the %s is %s", name, at)
			}
		}
		if !got.PerHost[1].Ended.IsZero() || !got.PerHost[1].Tasks[0].Ended.IsZero() {
			t.Error("what hasn't ended has an end")
		}
	}
	for p, mode := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v (%v)", p, info.Mode().Perm(), mode, err)
		}
	}
}

func TestARunBeganBeforeItWasKept(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"), journal.Options{})
	began := time.Now().Add(-15 * time.Second)
	r := begin(t, j, journal.RunInfo{Playbook: "site.hcl", Began: began}, "web1")
	if err := r.End("unreachable"); err != nil {
		t.Fatal(err)
	}
	got, err := j.Latest("site.hcl", "")
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	if got.Began.UnixMilli() != began.UnixMilli() {
		t.Errorf("it began at %s, want %s", got.Began, began)
	}
}

func TestOfSeveralEndsOfATaskTheLastStays(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	r := begin(t, j, journal.RunInfo{}, "h")
	grant(t, r, "h", fileTask("a"))
	r.Done("h", fileTask("a").ID, &wire.Done{Status: wire.Failed, Error: "not yet"})
	r.Done("h", fileTask("a").ID, &wire.Done{Status: wire.Changed})
	grant(t, r, "h", fileTask("b"))
	d := find(t, j, "last")
	if a := d.PerHost[0].Tasks[0]; a.Status != wire.Changed || a.Error != "" {
		t.Errorf("%+v", a)
	}
	grant(t, r, "h", fileTask("a"))
	if a := find(t, j, "last").PerHost[0].Tasks[0]; a.Status != "" || !a.Ended.IsZero() {
		t.Errorf("granted again, and: %+v", a)
	}
}

func TestTheEndOfWhatWasNotGrantedBreaksTheRun(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	for name, act := range map[string]func(r *journal.Run){
		"done":   func(r *journal.Run) { r.Done("h", "nothing", &wire.Done{}) },
		"before": func(r *journal.Run) { r.Before("h", "nothing", &wire.Undo{Missing: "x"}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t, j, journal.RunInfo{}, "h")
			other := begin(t, j, journal.RunInfo{}, "h")
			grant(t, r, "h", fileTask("a"))
			release := other.Hold()
			act(r)
			r.Done("h", fileTask("a").ID, &wire.Done{Status: wire.Changed})
			release()
			if err := r.End("changed"); err == nil || !strings.Contains(err.Error(), "nothing on h was never granted") {
				t.Error(err)
			}
			d := find(t, j, r.ID())
			if d.State != "changed" || d.PerHost[0].Tasks[0].Status != wire.Changed {
				t.Errorf("what shared the commit is lost: %+v", d)
			}
			grant(t, other, "h", fileTask("a"))
			if err := other.End("changed"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGrantsOfManyHostsShareACommit(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	var hosts []string
	for i := range 100 {
		hosts = append(hosts, fmt.Sprint("h", i))
	}
	r := begin(t, j, journal.RunInfo{}, hosts...)
	release := r.Hold()
	before := j.Commits()
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Go(func() {
			if err := r.Grant(t.Context(), h, []engine.Granted{fileTask("a"), fileTask("b")}); err != nil {
				t.Error(err)
			}
		})
	}
	await.Until(t, "all are queued", func() bool { return j.Queued() >= 100 })
	release()
	wg.Wait()
	if n := j.Commits() - before; n != 2 { // Hold's own, and theirs
		t.Errorf("%d commits", n)
	}
	for _, h := range find(t, j, "last").PerHost {
		if len(h.Tasks) != 2 {
			t.Errorf("%s has %d tasks", h.Name, len(h.Tasks))
		}
	}
}

func TestAGrantThatIsNoLongerWaitedForIsNotWritten(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	r := begin(t, j, journal.RunInfo{}, "h")
	release := r.Hold()
	ctx, cancel := context.WithCancelCause(t.Context())
	given := make(chan error)
	go func() { given <- r.Grant(ctx, "h", []engine.Granted{fileTask("a")}) }()
	await.Until(t, "it is queued", func() bool { return j.Queued() > 0 })
	why := errors.New("enough")
	cancel(why)
	if err := <-given; !errors.Is(err, why) {
		t.Error(err)
	}
	release()
	if err := r.End("interrupted"); err != nil {
		t.Error(err)
	}
	if d := find(t, j, "last"); len(d.PerHost[0].Tasks) != 0 {
		t.Errorf("%+v", d.PerHost[0].Tasks)
	}
}

func TestRunsAreFoundByTheBeginOfTheirID(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	if list, err := j.Runs(0); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if d, err := j.Latest("a", ""); d != nil || err != nil {
		t.Error(d, err)
	}
	var none *journal.NotFoundError
	if _, err := j.Find("last"); !errors.As(err, &none) {
		t.Error(err)
	}
	var ids []string
	for i := range 30 {
		r := begin(t, j, journal.RunInfo{Playbook: fmt.Sprint("p", i%3), Inventory: fmt.Sprint("i", i%2)}, "h")
		if err := r.End("changed"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID())
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 30 {
		t.Errorf("the ids aren't sorted and unique: %q", ids)
	}
	list, err := j.Runs(7)
	if err != nil || len(list) != 7 || list[0].ID != ids[29] || list[6].ID != ids[23] {
		t.Error(list, err)
	}
	if d := find(t, j, "last"); d.ID != ids[29] {
		t.Error(d.ID)
	}
	if d := find(t, j, ids[3]); d.ID != ids[3] {
		t.Error(d.ID)
	}
	var several *journal.SeveralError
	if _, err := j.Find(ids[0][:2]); !errors.As(err, &several) || len(several.IDs) != 30 || several.IDs[0] != ids[29] {
		t.Error(err)
	}
	for _, id := range []string{"", "x", "%", "_", "*", ids[0] + "0", "' OR 1"} {
		if _, err := j.Find(id); !errors.As(err, &none) || none.ID != id {
			t.Errorf("%q: %v", id, err)
		}
	}
	if d, err := j.Latest("p1", "i0"); err != nil || d.ID != ids[28] {
		t.Error(d, err)
	}
	if d, err := j.Latest("p1", "i2"); err != nil || d != nil {
		t.Error(d, err)
	}
}

func TestReadingMakesNoFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".muster", "journal.db")
	if _, err := journal.Open(path, journal.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made", err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(empty, journal.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	j := open(t, empty, journal.Options{})
	begin(t, j, journal.RunInfo{}, "h")
	reader := open(t, empty, journal.Options{ReadOnly: true})
	if d := find(t, reader, "last"); d.State != journal.Running {
		t.Error(d.State)
	}
	if _, err := reader.Begin(journal.RunInfo{}, nil); err == nil {
		t.Error("a journal that was opened to be read was written")
	}
}

// A power cut can't be tried here; that each commit is synced is SQLite's to do.
func TestCommitsAreSynced(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "j"), journal.Options{})
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "30000"} {
		if got, err := j.Setting(name); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", name, got, want, err)
		}
	}
}

func TestAJournalOfSomeoneElseIsAPlainError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	if err := os.WriteFile(path, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // whom no mode stops
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join("/proc", "1", "journal.db")
	}
	_, err := journal.Open(path, journal.Options{})
	var p *fs.PathError
	if !errors.As(err, &p) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestAClosedJournalTakesNothing(t *testing.T) {
	j, err := journal.Open(filepath.Join(t.TempDir(), "j"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	over, cut := begin(t, j, journal.RunInfo{}, "h"), begin(t, j, journal.RunInfo{}, "h")
	if err := over.End("unchanged"); err != nil {
		t.Fatal(err)
	}
	if err := over.Grant(t.Context(), "h", nil); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Error(err)
	}
	if err := cut.Grant(t.Context(), "h", nil); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
	if _, err := j.Begin(journal.RunInfo{}, nil); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
	cut.HostEnd("h", engine.HostDone, "")
	if err := cut.Err(); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
}
