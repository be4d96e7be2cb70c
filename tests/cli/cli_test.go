// Package cli tests the command line with the real binary, by scripts.
package cli

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"muster/tests/program"
)

// TestScripts runs testdata/*.txtar. Each script has a folder of its own, a
// home in it, and muster in its PATH. Scripts run beside each other, and runs
// that change this machine wait for one another: a script makes no more of them
// than it shows.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(program.Muster(t))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"ec2": cmdEC2, "versions": cmdVersions, "receiver": cmdReceiver, "sshd": cmdSSHD},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("USER", "root")
			repo, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			e.Setenv("REPO", repo) // for what it ships: its roles
			server := &running{}
			e.Values[serverKey{}] = server
			e.Values[receiversKey{}] = map[string]*atomic.Int64{}
			e.Defer(server.close)
			return os.MkdirAll(home, 0o700)
		},
	})
}
