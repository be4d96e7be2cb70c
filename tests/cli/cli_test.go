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
// home in it, and muster in its PATH. Scripts run beside each other. Runs on this
// machine don't wait for those of other scripts, nor for anybody else's: see apart.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(program.Muster(t))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"ec2": cmdEC2, "versions": cmdVersions, "receiver": cmdReceiver, "sshd": cmdSSHD},
		Setup: func(e *testscript.Env) error {
			if err := apart(e, bin); err != nil {
				return err
			}
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

// apart puts muster into a script's PATH. To root's runs the script is a host of its own:
// what muster keeps on a host, its lock and its state, is the script's, in the folders
// $HELD and $STATE.
func apart(e *testscript.Env, bin string) error {
	path := bin + ":" + os.Getenv("PATH")
	held, state, own := filepath.Join(e.WorkDir, ".held"), filepath.Join(e.WorkDir, ".state"), filepath.Join(e.WorkDir, ".bin")
	e.Setenv("HELD", held)
	e.Setenv("STATE", state)
	e.Setenv("PATH", own+":"+path)
	for _, dir := range []string{held, state, own} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	muster := filepath.Join(bin, "muster")
	if os.Geteuid() != 0 {
		return os.Symlink(muster, filepath.Join(own, "muster"))
	}
	text := "#!/bin/sh\nexec unshare --mount sh -c 'mkdir -p /run/muster /var/lib/muster && mount --bind \"$0\" /run/muster && mount --bind \"$1\" /var/lib/muster && shift && exec \"$@\"' '" + held + "' '" + state + "' '" + muster + "' \"$@\"\n"
	return os.WriteFile(filepath.Join(own, "muster"), []byte(text), 0o755)
}
