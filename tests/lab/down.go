package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Down takes the lab away and verifies that nothing of it is left. It can be
// called again, and by another process.
func (l *Lab) Down() error { return Down(l.p.id, io.Discard) }

// Down takes the lab of that ID away, whatever state it is in, and verifies
// that nothing of it is left. Where there is none it does nothing.
func Down(id string, log io.Writer) error {
	p, err := newPaths(id, "")
	if err != nil {
		return err
	}
	if err := supported(); err != nil {
		return err
	}
	release, err := acquire(p.lock(), exclusive, func() {
		fmt.Fprintf(log, "lab: waiting for another process that is at the lab %s\n", p.id)
	})
	if err != nil {
		return err
	}
	defer release()
	return clean(p, log)
}

// clean takes away all that has the lab's name, under the lab's lock. It goes
// by names, not by what a state says was made, so that it works after any crash.
func clean(p paths, log io.Writer) error {
	// A lab is where it was made, whatever the cache folder is today.
	if st, found, err := p.readState(); err == nil && found && st.Cache != "" {
		p.cache = st.Cache
	}
	if err := endProcesses(p, log); err != nil {
		return err
	}
	problems := []error{removeNamespaces(p), removeCgroups(p, "")}
	disks, _ := filepath.Glob(filepath.Join(p.disk(), "*"))
	for _, d := range disks {
		problems = append(problems, removeOverlay(p, filepath.Base(d)))
	}
	if err := errors.Join(append(problems, removeTree(p.disk()))...); err != nil {
		return err // the state stays, for the next try
	}
	if err := os.RemoveAll(p.run()); err != nil {
		return err
	}
	return verifyGone(p)
}

// endProcesses ends the lab's processes: first the boot scripts and the package
// cache, by the PID files, then what is in the lab's control groups and
// namespaces. A process can fork while one looks: it looks again until none is left.
func endProcesses(p paths, log io.Writer) error {
	pidFiles, _ := filepath.Glob(filepath.Join(p.run(), "hosts", "*", "pid"))
	var first []process
	for _, f := range append(pidFiles, p.proxyPID()) {
		if proc, err := readPIDFile(f); err == nil && proc.alive() {
			if err := proc.signal(syscall.SIGSTOP); err != nil { // it starts nothing more
				return err
			}
			first = append(first, proc.family()...)
		}
	}
	if len(first) > 0 {
		fmt.Fprintf(log, "lab: ending the lab %s\n", p.id)
	}
	if err := killAll(first, deathTakes); err != nil {
		return err
	}
	for range 20 {
		inside, err := namespaceProcesses(p)
		if err != nil {
			return err
		}
		left := slices.Concat(cgroupProcesses(p, ""), inside)
		left = slices.DeleteFunc(left, func(q process) bool { return !q.alive() || q.PID == os.Getpid() })
		if len(left) == 0 {
			return nil
		}
		if err := killAll(left, deathTakes); err != nil {
			return err
		}
	}
	return fmt.Errorf("the lab %s has processes that start others faster than they are ended", p.id)
}

// verifyGone reports what is left of a lab after clean.
func verifyGone(p paths) error {
	var problems []error
	if spaces, err := namespaces(p); err != nil || len(spaces) > 0 {
		problems = append(problems, fmt.Errorf("namespaces are left: %v %w", spaces, errOr(err)))
	}
	if mounts, err := mountsBelow(p.disk()); err != nil || len(mounts) > 0 {
		problems = append(problems, fmt.Errorf("mounts are left: %v %w", mounts, errOr(err)))
	}
	if left := cgroupProcesses(p, ""); len(left) > 0 {
		problems = append(problems, fmt.Errorf("processes are left: %v", left))
	}
	return errors.Join(problems...)
}

var errLeft = errors.New("after taking the lab down")

func errOr(err error) error {
	if err == nil {
		return errLeft
	}
	return err
}
