package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process names a process so that another one of the same number isn't taken
// for it: proc(5), /proc/PID/stat and /proc/sys/kernel/random/boot_id.
type process struct {
	pid     int
	started int64  // ticks since boot; 0 where there is no /proc
	boot    string // "" where there is no /proc
}

// thisProcess is the one that runs.
func thisProcess() process {
	p := process{pid: os.Getpid(), boot: bootID()}
	if st, err := readStat(p.pid); err == nil {
		p.started = st.started
	}
	return p
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// alive reports whether the process still runs on this machine, as far as it
// can be seen. A process in another container counts as one with its number here.
func (p process) alive() bool {
	if p.boot != bootID() {
		return false
	}
	st, err := readStat(p.pid)
	if err == nil {
		return st.state != 'Z' && st.state != 'X' && (p.started == 0 || st.started == p.started)
	}
	// No /proc, or one that hides the processes of others.
	err = syscall.Kill(p.pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

type stat struct {
	state   byte
	started int64
}

// readStat reads /proc/PID/stat: the state is the field behind the program's
// name, which stands in brackets and may hold anything; the start is the 22nd.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("reading /proc/%d/stat: %d fields", pid, len(fields))
	}
	started, err := strconv.ParseInt(string(fields[19]), 10, 64)
	return stat{fields[0][0], started}, err
}
