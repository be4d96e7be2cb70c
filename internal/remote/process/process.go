// Package process tells of this host's processes whether they are those that were seen
// before: their numbers are used again.
package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ID is one process, for all times.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks after the host's start
	Boot  string `json:"boot"`  // of which there are many
}

// Of returns the process that has a number.
func Of(pid int) (ID, error) {
	s, err := stat(pid)
	if err != nil {
		return ID{}, err
	}
	boot, err := Boot()
	return ID{PID: pid, Start: s.start, Boot: boot}, err
}

// String names the process as people look for it.
func (p ID) String() string {
	s := fmt.Sprintf("process %d", p.PID)
	if since := p.since(); !since.IsZero() {
		s += " since " + since.Format(time.DateTime)
	}
	return s
}

// Runs reports whether the process hasn't ended. One that has ended and that nobody
// has asked for its end does nothing more.
func (p ID) Runs() bool {
	s, err := stat(p.PID)
	if err != nil || s.start != p.Start || s.state == 'Z' || s.state == 'X' {
		return false
	}
	boot, err := Boot()
	return err == nil && boot == p.Boot
}

// KillGroup ends the process, where it leads a group, with all that are in that.
func (p ID) KillGroup() error {
	if !p.Runs() {
		return nil
	}
	if group, err := unix.Getpgid(p.PID); err != nil || group != p.PID {
		return err
	}
	return unix.Kill(-p.PID, unix.SIGKILL)
}

// Kill ends the process with SIGKILL, and no other that has got its number since.
func (p ID) Kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	} else if !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if !p.Runs() {
		return nil
	}
	if err != nil { // a kernel before 5.3
		return unix.Kill(p.PID, unix.SIGKILL)
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// User returns the number of the user whose process it is: the real one, also where the
// program was given another's rights.
func User(pid int) (uid string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "Uid:"); ok {
			if list := strings.Fields(value); len(list) > 0 {
				return list[0], nil
			}
		}
	}
	return "", cmp.Or(err, os.ErrNotExist)
}

// turns returns how often threads of the process have been given a processor and given
// it back. One that isn't given any stays at its number: it is stopped, frozen, or hangs.
func (p ID) turns() (uint64, error) {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.PID))
	if err != nil || len(list) == 0 {
		return 0, errors.Join(os.ErrNotExist, err)
	}
	sum := uint64(0)
	for _, path := range list {
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(data)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "_ctxt_switches") {
				n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
				if err != nil {
					return 0, err
				}
				sum += n
			}
		}
	}
	return sum, nil
}

// status is what is needed of /proc/PID/stat; see proc_pid_stat(5).
type status struct {
	state byte
	start uint64
}

func stat(pid int) (status, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return status{}, err
	}
	// The second field is the program's name in brackets, which may hold any.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return status{}, fmt.Errorf("/proc/%d/stat has no start", pid)
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return status{state: fields[0][0], start: start}, err
}

// Boot is the id of the boot that the host is in.
func Boot() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}

// ticks is how many of the clock's there are in a second: USER_HZ, the same on all
// that Go runs on.
const ticks = 100

// since is when the process was started; the zero time where that can't be told.
func (p ID) since() time.Time {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
				return time.Unix(n+int64(p.Start/ticks), 0)
			}
		}
	}
	return time.Time{}
}
