package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const folder = "WATCH_TEST_FOLDER"

// child is what the watched program does.
func child(t *testing.T) {
	if err := Enter(); err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv(folder)
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	Mark("begin")
	must(os.WriteFile(dir+"/a", []byte("x"), 0o600))
	must(os.Rename(dir+"/a", dir+"/link/b"))
	must(exec.Command("sh", "-c", `echo y > "$1/c"; chmod 0600 "$1/b"`, "sh", dir).Run())
	_, err := os.ReadFile(dir + "/b")
	must(err)
	must(os.Mkdir(dir+"/d", 0o700))
	if err := os.Mkdir(dir+"/d", 0o700); err == nil {
		t.Error("a directory is made twice")
	}
	var all sync.WaitGroup
	for _, n := range []string{"p", "q"} { // other threads
		all.Go(func() { must(os.WriteFile(dir+"/d/"+n, nil, 0o600)) })
	}
	all.Wait()
	Mark("end")
}

func start(t *testing.T, o Options) (string, error) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestEditsAreSeenInTheirOrder$")
	cmd.Env = append(os.Environ(), folder+"="+dir)
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	err = Run(cmd, o)
	if err != nil {
		t.Log(out)
	}
	return dir, err
}

func TestEditsAreSeenInTheirOrder(t *testing.T) {
	if Watched() {
		child(t)
		return
	}
	var got, marks, words []string
	looked := map[string]bool{}
	dir, err := start(t, Options{See: func(c Call) Verdict {
		if c.Name == "mark" {
			marks = append(marks, c.Looks...)
		}
		if c.Direct && len(c.Words) > 0 {
			words = c.Words
		}
		if len(c.Alters) > 0 {
			got = append(got, map[bool]string{true: "own ", false: ""}[c.Own]+strings.Join(c.Alters, " "))
		}
		for _, p := range c.Looks {
			looked[p] = true
		}
		return Verdict{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := len(got)
	slices.Sort(got[max(0, n-2):]) // two threads
	want := strings.ReplaceAll("own $/a,own $/a,own $/a $/b,$/c,$/c,$/b,own $/d,own $/d/p,own $/d/q", "$", dir)
	if all := strings.Join(got, ","); all != want {
		t.Errorf("altered are\n%s\nwant\n%s", all, want)
	}
	if !slices.Equal(marks, []string{"begin", "end"}) {
		t.Errorf("marks are %q", marks)
	}
	if len(words) < 5 || words[4] != dir || !slices.Contains(words, folder+"="+dir) {
		t.Errorf("the program was started with %q", words)
	}
	if !looked[dir+"/b"] {
		t.Error("that a file is read isn't seen")
	}
}

func TestACallCanBeCutAndFailed(t *testing.T) {
	dir, err := start(t, Options{Edits: true, See: func(c Call) Verdict {
		return Verdict{Kill: c.Own && strings.HasPrefix(c.Name, "rename")}
	}})
	var ended *exec.ExitError
	if e, ok := err.(interface{ Unwrap() []error }); ok {
		ended, _ = e.Unwrap()[0].(*exec.ExitError)
	}
	if ended == nil || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("cut, it ends with %v", err)
	}
	if _, err := os.Stat(dir + "/a"); err != nil {
		t.Errorf("cut before the rename: %v", err)
	}
	dir, err = start(t, Options{Edits: true, See: func(c Call) Verdict {
		if c.Own && strings.HasPrefix(c.Name, "rename") {
			return Verdict{Fail: unix.ENOSPC}
		}
		return Verdict{}
	}})
	if err == nil {
		t.Error("a failed call isn't told")
	}
	if _, err := os.Stat(dir + "/c"); err != nil {
		t.Errorf("what follows a failed call isn't made: %v", err)
	}
}

func TestTheDiskIsNotWaitedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	if os.Getenv(folder) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestTheDiskIsNotWaitedFor$", "-test.v")
		cmd.Env = append(os.Environ(), folder+"=x")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := NoSync(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	// A pipe can't be synced: that it seems so shows that the kernel isn't asked.
	if err := unix.Fsync(int(w.Fd())); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("sh", "-c", "sync -d /proc/self/status").CombinedOutput(); err != nil {
		t.Errorf("a program that is started waits: %v, %s", err, out)
	}
}
