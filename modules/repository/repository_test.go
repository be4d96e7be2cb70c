package repository

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"muster/host"
	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/modulestest/watch"
	"muster/modules/packages"
)

// repositories gives a lab host signed repositories, and serves them on its loopback.
func repositories(t *testing.T) {
	t.Helper()
	if os.Getenv(modulestest.LabHost) == "" || watch.Watched() { // that one serves the cases
		return
	}
	if out, err := exec.Command("sh", "testdata/repos.sh").CombinedOutput(); err != nil {
		t.Fatalf("making the repositories: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:8091")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir("/srv/mr"))}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestConformance(t *testing.T) {
	repositories(t)
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds(), packages.Kinds())...)
}

// On a lab host: tasks that change nothing ask no program, and each takes less than a
// millisecond.
func TestUnchangedTasksAskNothing(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" || watch.Watched() {
		t.Skip("looks at a lab host's sources")
	}
	r := &AptRepository{
		Name: "unchanged", URIs: []string{"https://deb.example.org"}, Suites: []string{"stable"}, Components: []string{"main"},
		SignedBy: testKey(t, "good"), Fingerprint: []string{goodFingerprint},
	}
	_, text := r.desired(r.SignedBy)
	if err := os.WriteFile(r.path(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(r.path()) })
	h := host.New()
	asked := &modulestest.Counting{Runner: h.Runner}
	h.Runner = asked
	v := host.NewView(h, nil)
	least := time.Hour // of a hundred: the machine may be busy
	for range 100 {
		start := time.Now()
		got, err := r.Plan(t.Context(), v)
		if err != nil || len(got.Changes) > 0 {
			t.Fatal(got, err)
		}
		least = min(least, time.Since(start))
	}
	t.Logf("%s a task", least)
	if asked.Runs > 0 || least > time.Millisecond {
		t.Errorf("%d programs, %s a task", asked.Runs, least)
	}
}
