package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/remote/revert"
)

// How long a run waits for another one on the same host, and how long of that
// without a word.
const (
	lockWait     = time.Minute
	lockPatience = 2 * time.Second
)

// lock keeps two runs off one host: planning shares it while it lasts, making
// owns it until the remote ends. The kernel frees the lock of a dead process.
type lock struct {
	path  string       // "": where lockPath says
	tell  func(string) // is told once what is waited for; may be nil
	f     *os.File
	owned bool
	held  bool
	err   error // it wasn't to be had: once is enough
	// seen is when an owner last wrote its name, and moved that there was another
	// since this run had the lock: what was read before may have changed.
	seen  time.Time
	moved bool

	wait, patience time.Duration // 0: lockWait, lockPatience
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
	l.f, err = host.OpenLock(path)
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

// look notes whether another run has owned the lock meanwhile.
func (l *lock) look() {
	info, err := l.f.Stat()
	if err != nil {
		return
	}
	l.moved = l.moved || !l.seen.IsZero() && !info.ModTime().Equal(l.seen)
	l.seen = info.ModTime()
}

// others reports, once, whether another run has changed things since this one had
// the lock.
func (l *lock) others() bool {
	moved := l.moved
	l.moved = false
	return moved
}

func (l *lock) take(ctx context.Context, how int) error {
	if l.err != nil {
		return l.err
	}
	wait := cmp.Or(l.wait, lockWait)
	deadline, quiet := time.Now().Add(wait), time.Now().Add(cmp.Or(l.patience, lockPatience))
	for {
		err := unix.Flock(int(l.f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			l.look()
			return l.settle(ctx)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		now := time.Now()
		if now.After(deadline) {
			l.err = fmt.Errorf("another run has had this host for more than %s (%s): wait for it, or end it", wait, l.who())
			return l.err
		}
		if l.tell != nil && now.After(quiet) {
			l.tell(fmt.Sprintf("waiting for another run on this host (%s)", l.who()))
			quiet = deadline
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settle waits for what a run that was cut off has left to be taken back: no owner of
// the lock is there to prove it.
func (l *lock) settle(ctx context.Context) error {
	return revert.Await(ctx, filepath.Dir(l.f.Name()), func() {
		if l.tell != nil {
			l.tell("waiting until the host has taken back what a run that was cut off had on probation")
		}
	})
}

// who is what the owner of the lock says of itself.
func (l *lock) who() string {
	text, _ := os.ReadFile(l.f.Name())
	return strings.TrimSpace(string(text))
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
