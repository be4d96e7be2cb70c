package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
)

// lockWait is how long a run waits for another one on the same host.
const lockWait = time.Minute

// lock keeps two runs off one host: planning shares it while it lasts, making
// owns it until the remote ends. The kernel frees the lock of a dead process.
type lock struct {
	path  string // "": where lockPath says
	f     *os.File
	owned bool
	held  bool
}

func lockPath() (string, error) {
	if host.IsRoot() {
		return "/run/muster/lock", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "muster", "lock"), nil
}

func (l *lock) open() error {
	if l.f != nil {
		return nil
	}
	path, err := l.path, error(nil)
	if path == "" {
		path, err = lockPath()
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	l.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	return err
}

// share takes the lock for planning. A host on which no lock can be made
// (read-only, or no home) can be planned all the same.
func (l *lock) share(ctx context.Context) error {
	if l.held || l.owned {
		return nil
	}
	if err := l.open(); err != nil {
		return nil
	}
	l.held = true
	return l.take(ctx, unix.LOCK_SH)
}

// own takes the lock for making changes, for as long as this process lives.
func (l *lock) own(ctx context.Context) error {
	if l.owned {
		return nil
	}
	if err := l.open(); err != nil {
		return fmt.Errorf("making the lock of this host: %w", err)
	}
	if err := l.take(ctx, unix.LOCK_EX); err != nil {
		return err
	}
	l.owned = true
	_ = l.f.Truncate(0)
	_, _ = l.f.WriteAt(fmt.Appendf(nil, "process %d since %s\n", os.Getpid(), time.Now().Format(time.DateTime)), 0)
	return nil
}

func (l *lock) take(ctx context.Context, how int) error {
	deadline := time.Now().Add(lockWait)
	for {
		err := unix.Flock(int(l.f.Fd()), how|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(deadline) {
			who, _ := os.ReadFile(l.f.Name())
			return fmt.Errorf("another run has had this host for more than %s (%s): wait for it, or end it", lockWait, strings.TrimSpace(string(who)))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// idle frees a shared lock: nothing is being planned.
func (l *lock) idle() {
	if l.held && !l.owned {
		_ = unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
	}
	l.held = false
}

func (l *lock) release() {
	if l.f != nil {
		_ = l.f.Close()
	}
}
