package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// usage is what a program took.
type usage struct {
	wall, processors time.Duration
	peak             int64 // the most memory that was resident, in bytes
}

// run runs a program in a folder, which must exit with one of the codes.
func run(dir string, codes []int, argv ...string) (usage, error) {
	var said bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start)}
	if cmd.ProcessState == nil {
		return u, err
	}
	if !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		tail := said.Bytes()
		return u, fmt.Errorf("%s: %w\n%s", cmd, err, tail[max(0, len(tail)-2000):])
	}
	r := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	u.processors = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.peak = r.Maxrss << 10 // getrusage(2) has it in KiB
	return u, nil
}

// rounds runs a program some times and returns the middle of each number.
func rounds(n int, measure func() (usage, error)) (usage, error) {
	var walls, processors []time.Duration
	var peaks []int64
	for range n {
		u, err := measure()
		if err != nil {
			return u, err
		}
		walls, processors, peaks = append(walls, u.wall), append(processors, u.processors), append(peaks, u.peak)
	}
	slices.Sort(walls)
	slices.Sort(processors)
	slices.Sort(peaks)
	return usage{walls[n/2], processors[n/2], peaks[n/2]}, nil
}
