package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// exclusive is a program that needs locks which other programs may hold.
type exclusive struct {
	locks []string
	wait  time.Duration
}

// lookAgain is how often a lock is looked at.
const lookAgain = 250 * time.Millisecond

// run waits for the locks, runs the program, and tries again where somebody
// was faster. Whoever holds a lock for longer than wait is named in the error.
func (e exclusive) run(ctx context.Context, h *host.Host, c host.Command) error {
	deadline := time.Now().Add(e.wait)
	for {
		if err := e.await(ctx, h, deadline); err != nil {
			return err
		}
		_, err := h.Run(ctx, c)
		var exit *host.ExitError
		if err == nil || !errors.As(err, &exit) || !strings.Contains(string(exit.Output.Stderr), "lock") || e.holder() == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w\n%s holds the lock", err, e.holder())
		}
	}
}

func (e exclusive) await(ctx context.Context, h *host.Host, deadline time.Time) error {
	told := ""
	for {
		who := e.holder()
		if who == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is installing packages and has held the lock for %s: wait for it to end, or allow more with lock_timeout", who, e.wait)
		}
		if who != told && h.Report != nil {
			h.Report("waiting for " + who + ", which is installing packages")
			told = who
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookAgain):
		}
	}
}

// holder names the process that holds one of the locks; "" if none does.
func (e exclusive) holder() string {
	for _, path := range e.locks {
		if pid, held := lockHolder(path); held {
			return processName(pid)
		}
	}
	return ""
}

// lockHolder asks who holds a lock of the kind that dpkg and apt take (POSIX
// record locks, fcntl(2)). A process in another PID namespace is 0 or less.
func lockHolder(path string) (pid int, held bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		return 0, false
	}
	return int(lock.Pid), true
}

func processName(pid int) string {
	if pid <= 0 {
		return "another program"
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(comm)), pid)
}
