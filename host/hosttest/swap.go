// Package hosttest has what tests of edits need of a host: an adversary.
package hosttest

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"muster/host/linux"

	"golang.org/x/sys/unix"
)

// Nobody is the number of a user without rights, and of a group.
const Nobody = 65534

// Swap exchanges what stands at two paths, over and over, as Nobody would from
// another process, until the test ends or stop is called. A test needs root
// for it. The count of exchanges tells whether there was a race at all.
func Swap(t testing.TB, a, b string) (count *atomic.Int64, stop func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("acts as another user: needs root")
	}
	count = new(atomic.Int64)
	end, ended, begun := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		// The numbers are set for this thread alone, by system calls that package
		// syscall doesn't repeat on the others. Locked until the goroutine's end,
		// the thread ends with it.
		runtime.LockOSThread()
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS, 0, 0, 0},
			{syscall.SYS_SETRESGID, Nobody, Nobody, Nobody},
			{syscall.SYS_SETRESUID, Nobody, Nobody, Nobody},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				begun <- errno
				return
			}
		}
		err := linux.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, linux.RENAME_EXCHANGE)
		begun <- err
		for err == nil {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			count.Add(1)
			err = linux.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, linux.RENAME_EXCHANGE)
		}
		ended <- err
	}()
	if err := <-begun; err != nil {
		t.Fatalf("exchanging %s and %s as a user: %v", a, b, err)
	}
	var once atomic.Bool
	stop = func() {
		if once.Swap(true) {
			return
		}
		close(end)
		if err := <-ended; err != nil {
			t.Errorf("exchanging %s and %s as a user: %v", a, b, err)
		}
	}
	t.Cleanup(stop)
	return count, stop
}
