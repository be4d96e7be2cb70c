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
	"muster/internal/remote/process"
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
	tell  func(string) // is told once, after a while, what is waited for; may be nil
	waits func(string) // is told at once what is waited for, and "" when that is over; may be nil
	f     *os.File
	owned bool
	held  bool
	err   error // it wasn't to be had: once is enough
	// seen is when an owner last wrote its name, and moved that there was another
	// since this run had the lock: what was read before may have changed.
	seen  time.Time
	moved bool

	wait, patience time.Duration // 0: lockWait, lockPatience
	vigil          process.Vigil // of who has it; the zero value is as patient as can be
	// run is the run that this belongs to, and name what it calls this host: a machine that
	// it has under another name, too, is in its own way for as long as it lasts.
	run, name string
	// running returns what still acts on this host for runs whose remotes have ended;
	// nil: nothing.
	running func() []process.ID
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
	text := fmt.Appendf(nil, "process %d since %s\n", os.Getpid(), time.Now().Format(time.DateTime))
	if l.run != "" {
		text = fmt.Appendf(text, "%s%s %s\n", ofRun, l.run, l.name)
	}
	_, _ = l.f.WriteAt(text, 0)
	return nil
}

// ofRun begins the line of a lock's file that says whose it is: a run, and its name of the host.
const ofRun = "run "

// twin is the other name under which this run has this machine already; "" for none.
func (l *lock) twin() string {
	text := make([]byte, 4096)
	n, _ := l.f.ReadAt(text, 0)
	for line := range strings.Lines(string(text[:n])) {
		words, found := strings.CutPrefix(line, ofRun)
		if run, name, _ := strings.Cut(strings.TrimSpace(words), " "); found && run == l.run && l.run != "" && name != l.name {
			return name
		}
	}
	return ""
}

// disown gives the lock back that was taken for a time.
func (l *lock) disown() {
	if !l.owned {
		return
	}
	l.owned, l.held = false, false
	l.look() // what it has written there itself
	l.moved = false
	_ = unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
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

// take takes the lock, and waits for who has it: for another run, for what it had on
// probation, and for its programs that have outlived it.
func (l *lock) take(ctx context.Context, how int) error {
	if l.err != nil {
		return l.err
	}
	w := l.waiting()
	defer w.over()
	for {
		err := unix.Flock(int(l.f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if twin := l.twin(); twin != "" {
			l.err = fmt.Errorf("%s and %s are one machine, which a run can make changes on under one name alone: leave one of them out (--limit '!%s')", twin, l.name, l.name)
			return l.err
		}
		for _, id := range l.vigil.Watch(l.f) {
			w.say(fmt.Sprintf("ended another run's remote on this host (%s): it was stopped, or hung", id))
		}
		if err := w.turn(ctx, "another run", l.who); err != nil {
			return err
		}
	}
	first := l.seen.IsZero()
	l.look()
	err := l.settle(ctx)
	for err == nil && l.running != nil && (first || l.moved) { // only an owner starts any
		list := l.running()
		if len(list) == 0 {
			break
		}
		err = w.turn(ctx, "a program of a run that was cut off", func() string { return named(list) })
	}
	if err != nil {
		_ = unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
	}
	return err
}

// patient waits for others on this host: aloud, and not for ever.
type patient struct {
	l               *lock
	wait            time.Duration
	deadline, quiet time.Time
	told            string // what it waits for
}

func (l *lock) waiting() *patient {
	wait := cmp.Or(l.wait, lockWait)
	return &patient{l: l, wait: wait, deadline: time.Now().Add(wait), quiet: time.Now().Add(cmp.Or(l.patience, lockPatience))}
}

// turn waits a moment for what has the host, which who names.
func (p *patient) turn(ctx context.Context, what string, who func() string) error {
	now := time.Now()
	if now.After(p.deadline) {
		p.l.err = fmt.Errorf("%s has had this host for more than %s (%s): wait for it, or end it", what, p.wait, who())
		return p.l.err
	}
	if p.told != what && p.l.waits != nil {
		p.told = what
		p.l.waits(fmt.Sprintf("%s on this host (%s)", what, who()))
	}
	if now.After(p.quiet) {
		p.say(fmt.Sprintf("waiting for %s on this host (%s)", what, who()))
		p.quiet = p.deadline
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// over says that nothing is waited for any more.
func (p *patient) over() {
	if p.told != "" {
		p.l.waits("")
	}
}

func (p *patient) say(text string) {
	if p.l.tell != nil {
		p.l.tell(text)
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

// who names those who have the lock.
func (l *lock) who() string {
	list := process.Holders(l.f)
	if len(list) == 0 {
		return "its process can't be seen from here"
	}
	return named(list)
}

func named(list []process.ID) string {
	texts := make([]string, len(list))
	for i, id := range list {
		texts[i] = id.String()
	}
	return strings.Join(texts, ", ")
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
