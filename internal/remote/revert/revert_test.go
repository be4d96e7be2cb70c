package revert

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/tests/await"
)

// armsIn is the variable that makes this program one that arms a revert and is killed.
const armsIn = "MUSTER_TEST_ARM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(armsIn); dir != "" {
		if _, err := Arm(context.Background(), options(dir, 100*time.Millisecond)); err != nil {
			fmt.Println(err)
		}
		_ = exec.Command("kill", "-9", fmt.Sprint(os.Getpid())).Run()
	}
	os.Exit(m.Run())
}

// options are those of a revert that appends its input to a file, whose name has
// all that a shell would take for something else.
func options(dir string, after time.Duration) Options {
	return Options{Dir: filepath.Join(dir, "run"), Plain: true, After: after, Revert: host.Revert{Argv: []string{"sh", "-c", `cat >> "$1"`, "sh", filepath.Join(dir, `what's $(left)`)}, Input: []byte("back\n")}}
}

func arm(t *testing.T, dir string, after time.Duration) *Armed {
	t.Helper()
	a, err := Arm(t.Context(), options(dir, after))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ran is how often the revert was run.
func ran(dir string) int {
	data, _ := os.ReadFile(filepath.Join(dir, `what's $(left)`))
	return strings.Count(string(data), "back\n")
}

func left(dir string) []string {
	list, _ := filepath.Glob(filepath.Join(dir, "run", "*"))
	return list
}

func TestRevertIsRunWhenWhoArmedItWasKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), armsIn+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || len(out) > 0 {
		t.Fatalf("it wasn't killed: %v\n%s", err, out)
	}
	waited := false
	if err := Await(t.Context(), filepath.Join(dir, "run"), func() { waited = true }); err != nil {
		t.Fatal(err)
	}
	if n := ran(dir); n != 1 || !waited {
		t.Errorf("it was run %d times, waited for: %v", n, waited)
	}
	// The next one that is armed removes what is left of it.
	a := arm(t, dir, time.Hour)
	if list := left(dir); len(list) != 1 {
		t.Errorf("%v is left", list)
	}
	if fired, err := a.Disarm(); fired || err != nil {
		t.Error(fired, err)
	}
}

func TestDisarmedRevertIsNotRun(t *testing.T) {
	dir := t.TempDir()
	a := arm(t, dir, time.Hour)
	for _, path := range left(dir) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
		if info, err := os.Stat(filepath.Join(path, "armed")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its input: %v", err)
		}
	}
	if fired, err := a.Disarm(); fired || err != nil {
		t.Error(fired, err)
	}
	select {
	case <-a.slept:
	case <-time.After(20 * time.Second):
		t.Error("what was to run it is still there")
	}
	if n := ran(dir); n != 0 || len(left(dir)) > 0 {
		t.Errorf("it was run %d times, and leaves %v", n, left(dir))
	}
}

func TestRevertIsRunAtOnce(t *testing.T) {
	dir := t.TempDir()
	a := arm(t, dir, time.Hour)
	if err := a.Fire(); err != nil {
		t.Error(err)
	}
	if n := ran(dir); n != 1 || len(left(dir)) > 0 {
		t.Errorf("it was run %d times, and leaves %v", n, left(dir))
	}
}

func TestRevertThatFailsSaysWhy(t *testing.T) {
	o := options(t.TempDir(), time.Hour)
	o.Revert.Argv = []string{"sh", "-c", "echo no rules here >&2; exit 3"}
	a, err := Arm(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fire(); err == nil || !strings.Contains(err.Error(), "exit code 3") || !strings.Contains(err.Error(), "no rules here") {
		t.Error(err)
	}
	a.stop()
}

// Whoever is first has it: it is either run or disarmed, and who asks is told which.
func TestRevertIsRunOrDisarmed(t *testing.T) {
	for i := range 20 {
		dir := t.TempDir()
		a := arm(t, dir, time.Duration(i/2)*time.Millisecond)
		late := i%2 == 1
		if late {
			await.Until(t, "it has begun", func() bool {
				_, err := os.Lstat(a.path("armed"))
				return err != nil
			})
		}
		fired, err := a.Disarm()
		if err != nil {
			t.Fatal(err)
		}
		if n := ran(dir); n == 1 != fired || n > 1 || late && !fired {
			t.Errorf("fired %v, and it was run %d times", fired, n)
		}
		await.Until(t, "its process has ended", func() bool {
			select {
			case <-a.slept:
				return true
			default:
				return false
			}
		})
		if n := ran(dir); n == 1 != fired {
			t.Errorf("fired %v, and it was run %d times in the end", fired, n)
		}
	}
}

func TestRevertThatNobodyIsLeftToRunIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	a := arm(t, dir, time.Hour)
	a.stop()
	if err := host.Put(a.path("due"), []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Await(t.Context(), filepath.Join(dir, "run"), func() { t.Error("it waits") }); err != nil {
		t.Error(err)
	}
}
