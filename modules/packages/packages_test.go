package packages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"muster/host"
	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/systemd"
)

// repository gives a lab host a repository of small packages.
func repository(t *testing.T) {
	t.Helper()
	if os.Getenv(modulestest.LabHost) == "" {
		return
	}
	if out, err := exec.Command("sh", "testdata/repo.sh").CombinedOutput(); err != nil {
		t.Fatalf("making the repository: %v\n%s", err, out)
	}
}

func TestConformance(t *testing.T) {
	repository(t)
	kinds := append(Kinds(), file.Kinds()...)
	modulestest.Run(t, append(kinds, systemd.Kinds()...)...)
}

// On a lab host: a hundred tasks that change nothing read apt's lists once, and
// run no more programs than one does.
func TestUnchangedTasksReadTheListsOnce(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("looks at a lab host's packages")
	}
	h := host.New()
	asked := &modulestest.Counting{Runner: h.Runner}
	h.Runner = asked
	v := host.NewView(h, nil)
	p := &Package{Name: []string{"systemd"}}
	first := 0
	for i := range 100 {
		got, err := p.Plan(t.Context(), v)
		if err != nil || len(got.Changes) > 0 {
			t.Fatal(got, err)
		}
		if i == 0 {
			first = asked.Runs
		}
	}
	if asked.Runs != first {
		t.Errorf("one task runs %d programs, a hundred %d", first, asked.Runs)
	}
}

// On a lab host: planning writes no cache, list, log or database of apt's.
func TestPlanningTouchesNothingOfApts(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("looks at a lab host's packages")
	}
	repository(t)
	if out, err := exec.Command("sh", "-c", "apt-mark unhold mt-app; dpkg --purge mt-app; apt-get install -y mt-app=1.0-1; dpkg --purge mt-user mt-other mt-rival; rm -f /var/cache/apt/*.bin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	look := func() string {
		var b strings.Builder
		for _, dir := range []string{"/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/log/apt", "/etc/apt", "/usr/sbin"} {
			err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				if err != nil {
					return err
				}
				st := info.Sys().(*syscall.Stat_t)
				fmt.Fprintln(&b, path, st.Ino, st.Size, st.Mode, st.Mtim, st.Ctim)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return b.String()
	}
	for _, p := range []*Package{
		{Name: []string{"mt-user"}},
		{Name: []string{"mt-app"}, State: "latest"},
		{Name: []string{"mt-app"}, State: "absent", Purge: true},
	} {
		before := look()
		plan, err := p.Plan(context.Background(), host.NewView(host.New(), nil))
		if err != nil || len(plan.Changes) == 0 {
			t.Fatalf("%+v: %+v, %v", p, plan, err)
		}
		if look() != before {
			t.Errorf("planning %v %s has touched the host", p.Name, p.State)
		}
	}
}

// On a lab host: lists that couldn't be fetched are fetched the next time, though no
// source has changed since: the repository is there by then, or its key.
func TestListsThatCouldNotBeFetchedAreFetchedTheNextTime(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("fetches a lab host's package lists")
	}
	repository(t)
	const source = "/etc/apt/sources.list.d/late.list"
	t.Cleanup(func() { _ = os.Remove(source); _ = os.Remove("/srv/late"); _ = host.Drop(unfetched) })
	if err := os.WriteFile(source, []byte("deb [trusted=yes] file:/srv/late ./\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Refresh{}).Apply(t.Context(), host.New()); err == nil {
		t.Fatal("lists of a repository that isn't there were fetched")
	}
	if err := os.Symlink("/srv/repo", "/srv/late"); err != nil {
		t.Fatal(err)
	}
	stale := func() bool {
		s, err := readLists(host.NewView(host.New(), nil))
		if err != nil {
			t.Fatal(err)
		}
		return s.stale
	}
	if !stale() {
		t.Error("lists that couldn't be fetched are taken for new ones")
	}
	if _, err := (&Refresh{}).Apply(t.Context(), host.New()); err != nil {
		t.Fatal(err)
	}
	if stale() {
		t.Error("lists that were fetched are taken for old ones")
	}
}
