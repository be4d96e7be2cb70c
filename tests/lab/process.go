package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one process of this machine for ever: a PID is given again, a PID
// with its start time (proc(5), field 22 of stat, in clock ticks since boot) isn't.
type process struct {
	PID   int
	Start uint64
}

// procStat is what the lab needs of /proc/PID/stat.
type procStat struct {
	state  byte // 'Z' and 'X' are dead
	parent int
	start  uint64
}

// parseStat reads the content of a stat file. The program's name, in brackets,
// may hold brackets and spaces itself: fields count from the last one.
func parseStat(b []byte) (procStat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, errors.New("no program name in it")
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return procStat{}, errors.New("too few fields in it")
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return procStat{}, err
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return procStat{}, err
	}
	return procStat{state: f[0][0], parent: parent, start: start}, nil
}

func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

// identify returns the process that has pid at this moment.
func identify(pid int) (process, error) {
	st, err := readStat(pid)
	return process{pid, st.start}, err
}

// alive reports whether p still runs; one that ended and wasn't waited for doesn't.
func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	st, err := readStat(p.PID)
	return err == nil && st.start == p.Start && st.state != 'Z' && st.state != 'X'
}

// signal sends sig to p and to nothing else. That p has ended is no error.
func (p process) signal(sig syscall.Signal) error {
	if p.PID <= 1 || p.PID == os.Getpid() {
		return nil
	}
	handle, err := os.FindProcess(p.PID) // a pidfd: it stays with the process we look at next
	if err != nil {
		return nil
	}
	defer handle.Release()
	if !p.alive() {
		return nil
	}
	err = handle.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling process %d: %w", p.PID, err)
	}
	return nil
}

// deathTakes is how long a process that was killed may take to end: one that syncs its
// files does that first, and on a busy machine a dozen of seconds go by.
const deathTakes = time.Minute

// killAll ends the processes at once and waits until they are gone.
func killAll(ps []process, limit time.Duration) error {
	for _, p := range ps {
		if err := p.signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, p := range ps {
			if p.PID != os.Getpid() && p.alive() {
				left = p.PID
			}
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d doesn't end, %s after SIGKILL", left, limit)
		}
	}
}

// processes returns every process for which keep, given its PID and status, is true.
func processes(keep func(pid int, st procStat) bool) []process {
	entries, _ := os.ReadDir("/proc")
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && keep(pid, st) {
			found = append(found, process{pid, st.start})
		}
	}
	return found
}

// children returns the processes whose parent is p.
func (p process) children() []process {
	if !p.alive() {
		return nil
	}
	// The kernel's own list, where it keeps one (CONFIG_PROC_CHILDREN), by the
	// thread that forked: to read every process's status costs a thousand times as much.
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID))
	if len(lists) > 0 {
		var found []process
		for _, name := range lists {
			b, _ := os.ReadFile(name)
			for _, f := range strings.Fields(string(b)) {
				pid, err := strconv.Atoi(f)
				if err != nil {
					continue
				}
				if child, err := identify(pid); err == nil {
					found = append(found, child)
				}
			}
		}
		return found
	}
	return processes(func(_ int, st procStat) bool { return st.parent == p.PID })
}

// family returns p, its children and theirs: of a boot script, systemd-nspawn
// and the host's PID 1, with which all of the host ends.
func (p process) family() []process {
	all := []process{p}
	for _, child := range p.children() {
		all = append(all, child)
		all = append(all, child.children()...)
	}
	return all
}

// readPIDFile reads a file that holds a PID and a start time. A file that
// doesn't exist or isn't whole names no process.
func readPIDFile(name string) (process, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return process{}, nil
	}
	if err != nil {
		return process{}, err
	}
	var p process
	if n, _ := fmt.Sscan(string(b), &p.PID, &p.Start); n != 2 {
		return process{}, nil
	}
	return p, nil
}

// WritePIDFile records the calling process in name, in the form that Down
// reads. For the program lab, whose package cache outlives the process that started it.
func WritePIDFile(name string) error {
	p, err := identify(os.Getpid())
	if err != nil {
		return fmt.Errorf("looking at this process: %w", err)
	}
	return writeFile(name, fmt.Sprintf("%d %d\n", p.PID, p.Start), 0o644)
}

// writeFile makes name hold content under its name all at once.
func writeFile(name, content string, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(content)
	if err = errors.Join(err, temp.Chmod(mode), temp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return os.Rename(temp.Name(), name)
}
