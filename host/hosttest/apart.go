package hosttest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// apart is the variable that is set for the process in which a test runs apart.
const apart = "MUSTER_TEST_APART"

// Apart runs the test that calls it in a process of its own, for which folders of this
// machine are copies: what the test edits there is gone with it. One whose name ends in a
// slash is empty instead. It returns true where that has been done, and the caller returns
// then; false in that process.
//
//	if hosttest.Apart(t, "/etc", "/run") {
//		return
//	}
//
// A test needs root for it, and is skipped elsewhere.
func Apart(t *testing.T, folders ...string) bool {
	t.Helper()
	if os.Getenv(apart) == t.Name() {
		for _, folder := range folders {
			copied(t, folder)
		}
		return false
	}
	if os.Geteuid() != 0 {
		t.Skip("edits copies of this machine's folders: needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.count=1", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(os.Environ(), apart+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // which keeps mounts to itself
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("apart: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name())):
		t.Skipf("apart: %s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Errorf("apart it wasn't run:\n%s", out)
	}
	return true
}

// copied puts a copy in the place of a folder, for this process and those that it starts.
func copied(t *testing.T, folder string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "copy")
	script := `mkdir "$2"; mount -t tmpfs -o mode=755 none "$2"; case $1 in */) ;; *) cp -a "$1/." "$2" 2>/dev/null || true ;; esac; mount --bind "$2" "$1"; umount "$2"`
	if out, err := exec.Command("sh", "-euc", script, "sh", folder, at).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v\n%s", folder, err, out)
	}
}
