package process

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"muster/tests/await"

	"golang.org/x/sys/unix"
)

// TestMain is also a holder of the lock named in MUSTER_TEST_LOCK, which does something
// all the time.
func TestMain(m *testing.M) {
	path := os.Getenv("MUSTER_TEST_LOCK")
	if path == "" {
		os.Exit(m.Run())
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH)
	}
	if err != nil {
		panic(err)
	}
	go func() { // no longer than who started it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for range time.Tick(10 * time.Millisecond) { // it lives: now and then it does something
	}
}

// holder starts a process that shares a lock.
func holder(t *testing.T, f *os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "MUSTER_TEST_LOCK="+f.Name())
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	await.Until(t, "the process shares the lock", func() bool {
		return slices.ContainsFunc(Holders(f), func(id ID) bool { return id.PID == cmd.Process.Pid })
	})
	return cmd
}

func lockFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A holder that is stopped is ended; one that merely holds the lock is not.
func TestOnlyAHolderThatDoesNothingIsEnded(t *testing.T) {
	f := lockFile(t)
	stopped, busy := holder(t, f), holder(t, f)
	if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	v := Vigil{Silence: 300 * time.Millisecond, Every: 20 * time.Millisecond}
	var ended []ID
	await.Until(t, "the holder is ended", func() bool { ended = append(ended, v.Watch(f)...); return len(ended) > 0 })
	if len(ended) != 1 || ended[0].PID != stopped.Process.Pid {
		t.Errorf("ended are %v, not process %d", ended, stopped.Process.Pid)
	}
	await.Until(t, "the holder is gone", func() bool { return !ended[0].Runs() })
	left := Holders(f)
	if len(left) != 1 || left[0].PID != busy.Process.Pid {
		t.Errorf("holders are %v, not process %d", left, busy.Process.Pid)
	}
}

func TestThisProcessIsNeverEnded(t *testing.T) {
	f := lockFile(t)
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if list := Holders(f); len(list) != 1 || list[0].PID != os.Getpid() {
		t.Errorf("holders are %v", list)
	}
	v := Vigil{Every: time.Nanosecond}
	for range 3 {
		if ended := v.Watch(f); len(ended) > 0 {
			t.Errorf("ended are %v", ended)
		}
	}
}

// A process that has ended doesn't run, whether or not somebody has asked for its end,
// nor does another that has got its number.
func TestProcessThatHasEndedDoesNotRun(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Of(cmd.Process.Pid)
	if err != nil || !id.Runs() {
		t.Errorf("%v runs: %t, %v", id, id.Runs(), err)
	}
	for _, other := range []ID{{id.PID, id.Start - 1, id.Boot}, {id.PID, id.Start, "another"}} {
		if other.Runs() {
			t.Errorf("%+v runs", other)
		}
		if err := other.Kill(); err != nil || !id.Runs() {
			t.Errorf("ended in its place: %v", err)
		}
	}
	if err := id.Kill(); err != nil {
		t.Error(err)
	}
	await.Until(t, "it has come to that", func() bool { return !id.Runs() })
	_ = cmd.Wait()
	if id.Runs() {
		t.Errorf("%v runs", id)
	}
}
