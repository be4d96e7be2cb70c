// Package cli tests the command line with the real binary, by scripts.
package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar. Each script has a folder of its own, a
// home in it, and muster in its PATH.
func TestScripts(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"ec2": cmdEC2},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("USER", "root")
			server := &running{}
			e.Values[serverKey{}] = server
			e.Defer(server.close)
			return os.MkdirAll(home, 0o700)
		},
	})
}

// build builds muster with the remote for this machine's own kind, as `make
// build` does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "muster"), "./cmd/muster")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building muster: %v\n%s", err, out)
	}
	return dir
}
