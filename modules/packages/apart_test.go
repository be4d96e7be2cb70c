package packages

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/host/hosttest"
)

// Lists of which one can't be fetched fail the task, as apt alone doesn't, and are fetched
// the next time, when the repository may be there.
func TestListsOfARepositoryThatIsNotThereFailTheTask(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("there is no apt here")
	}
	if hosttest.Apart(t, "/etc/apt", "/var/lib/apt/", "/var/cache/apt/", "/run/") {
		return
	}
	dir := t.TempDir()
	for _, at := range []string{dir, filepath.Dir(dir)} { // apt fetches as a user of its own
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	source := "deb [trusted=yes] file:" + dir + "/there ./\ndeb [trusted=yes] http://127.0.0.1:1/ ./\n" // where nobody listens: apt alone makes do with that
	for _, err := range []error{
		os.RemoveAll("/etc/apt/sources.list.d"), os.Mkdir("/etc/apt/sources.list.d", 0o755), os.MkdirAll(listsDir+"/partial", 0o755), os.MkdirAll("/var/cache/apt/archives/partial", 0o755),
		os.WriteFile("/etc/apt/sources.list", []byte(source), 0o644),
		os.Mkdir(dir+"/there", 0o755), os.WriteFile(dir+"/there/Packages", nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	stale := func() bool {
		s, err := readLists(host.NewView(host.New(), nil))
		if err != nil {
			t.Fatal(err)
		}
		return s.stale
	}
	if _, err := (&Refresh{}).Apply(t.Context(), host.New()); err == nil {
		t.Error("lists of a repository that isn't there were fetched")
	}
	if !stale() {
		t.Error("lists that couldn't be fetched are taken for new ones")
	}
	there, _, _ := strings.Cut(source, "\n")
	if err := os.WriteFile("/etc/apt/sources.list", []byte(there+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Refresh{}).Apply(t.Context(), host.New()); err != nil {
		t.Error(err)
	}
	if stale() {
		t.Error("lists that were fetched are taken for old ones")
	}
}

// idleRunner runs nothing, and counts what it was to run.
type idleRunner struct{ asked [][]string }

func (r *idleRunner) Run(_ context.Context, c host.Command) (host.Output, error) {
	r.asked = append(r.asked, c.Argv)
	return host.Output{}, nil
}

// A package that somebody has installed, removed or brought to another version since the
// plan stays as it is.
func TestAPackageThatSomebodyChangedSinceThePlanIsLeft(t *testing.T) {
	db, err := loadDatabase(admin)
	if err != nil {
		t.Skip(err)
	}
	there := db.packages["dpkg"]
	if there == nil {
		t.Fatal("dpkg isn't installed")
	}
	for name, c := range map[string]struct {
		step
		moved bool
	}{
		"another version stands there": {step{Name: "dpkg", Old: "0.1", New: "0.2"}, true},
		"it was to be installed":       {step{Name: "dpkg", New: "0.2"}, true},
		"another was to be removed":    {step{Name: "dpkg", Old: "0.1"}, true},
		"it is gone":                   {step{Name: "mt-is-not-there", Old: "0.1", New: "0.2"}, true},
		"as it was planned":            {step{Name: "dpkg", Old: there.version, New: "0.2"}, false},
		"a run that was cut off has":   {step{Name: "dpkg", Old: "0.1", New: there.version}, false},
	} {
		r := &idleRunner{}
		h := host.New()
		h.Runner = r
		h.Step = func(string) error { return errors.New("not in a test") }
		a := &AptRun{Steps: []step{c.step}, Args: []string{c.Name}, Start: true}
		if _, err := a.Apply(t.Context(), h); errors.Is(err, host.ErrMoved) != c.moved || len(r.asked) > 0 {
			t.Errorf("%s: %v, and it was to run %q", name, err, r.asked)
		}
	}
}

// What several tasks come to together is asked of apt once, whichever of them asks: behind
// the last one each is planned once more on what all of them leave.
func TestAllTasksTogetherAreSimulatedOnce(t *testing.T) {
	r := &idleRunner{}
	h := host.New()
	h.Runner = r
	p := &host.Preview{}
	v := host.NewView(h, p)
	ask := func(args ...string) {
		if _, err := simulate(t.Context(), v, nil, args); err != nil {
			t.Fatal(err)
		}
	}
	lay := func(args ...string) {
		p.Lay([]host.Effect{host.Is(transactionKey(), transaction{Args: args})})
	}
	ask("b+")
	lay("b+")
	ask("a=1.0+", "c-")
	if len(r.asked) != 2 {
		t.Fatalf("apt was asked %d times, not once for each task", len(r.asked))
	}
	lay("b+", "a=1.0+", "c-")
	ask("b+")
	ask("a=1.0+", "c-")
	if len(r.asked) != 2 {
		t.Errorf("apt was asked once more: %q", r.asked[2:])
	}
}
