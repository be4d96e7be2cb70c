package remote

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules/all"
)

// What is in a task's way is an error of the plan, unless something pending may
// remove it.
func TestWhatMayLiftAnObstacle(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes a file immutable")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("the file system has no such flag: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("chattr", "-i", path).Run() })
	info := host.FileInfo{Type: host.Directory, Mode: 0o755, Owner: "root", Group: "root"}
	for name, test := range map[string]struct {
		pending []host.Effect
		lifts   bool
	}{
		"nothing":                 {},
		"a file elsewhere":        {pending: []host.Effect{host.Gone(host.File(dir + "/b"))}},
		"a new user":              {pending: []host.Effect{host.Open(host.Users, "app")}},
		"what is above it":        {pending: []host.Effect{host.Is(host.File(dir), info)}, lifts: true},
		"the file itself":         {pending: []host.Effect{host.Is(host.File(path), host.FileInfo{Type: host.Regular, Mode: 0o600, Owner: "root", Group: "root", Size: 4})}, lifts: true},
		"a service that is begun": {pending: []host.Effect{host.Open(host.Units, "x.service")}, lifts: true},
		"a package":               {pending: []host.Effect{host.May(host.Files), host.Open(host.Packages, "x")}, lifts: true},
		"an unguarded command":    {pending: []host.Effect{host.Open(host.All, host.All)}, lifts: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSession(all.Registry(), host.New(), []byte("key"))
			s.Lay(test.pending)
			p, _ := s.Plan(context.Background(), doing("file", "f", "", map[string]any{"path": path, "content": host.ContentOf([]byte("new\n"), false)}))
			switch {
			case test.lifts && (p.Status != wire.Pending || p.Certainty != wire.Tentative || len(p.Changes) != 1):
				t.Errorf("it is planned as %+v", p)
			case !test.lifts && p.Status != wire.Failed:
				t.Errorf("it is planned as %+v", p)
			}
		})
	}
}
