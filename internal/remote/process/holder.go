package process

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"muster/internal/wire"
)

// Holders returns who has a lock on an open file, by flock(2), shared or not. It asks
// the kernel: whoever holds a lock needn't have written down anything. Those of other
// users are left out where this process may not look at them.
func Holders(f *os.File) []ID {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	data, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	var list []ID
	for line := range strings.Lines(string(data)) {
		// 1: FLOCK  ADVISORY  WRITE 1234 00:17:5678 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" || !strings.HasSuffix(fields[5], ":"+strconv.FormatUint(st.Ino, 10)) {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		if err != nil || !has(pid, info) {
			continue // the same number on another device
		}
		if id, err := Of(pid); err == nil && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// has reports whether a process has a file open.
func has(pid int, file os.FileInfo) bool {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && os.SameFile(info, file)
	})
}

// Vigil watches those who hold a lock that somebody waits for.
type Vigil struct {
	// Silence is how long a holder may do nothing at all; 0: wire.Silence. A remote that
	// lives does something all the time: it says so to its controller.
	Silence time.Duration
	// Every is how often to look; 0: once a second.
	Every time.Duration

	looked time.Time
	seen   map[ID]sight
}

// sight is what a process was last seen to do.
type sight struct {
	turns uint64
	since time.Time
}

// Watch looks at the holders of a lock, where it is time to, and ends those that have
// done nothing for too long. It returns whom it ended. It never ends this process.
func (v *Vigil) Watch(f *os.File) []ID {
	now, every := time.Now(), v.Every
	if every == 0 {
		every = time.Second
	}
	if now.Sub(v.looked) < every {
		return nil
	}
	v.looked = now
	seen := map[ID]sight{}
	var ended []ID
	for _, id := range Holders(f) {
		turns, err := id.turns()
		if err != nil || id.PID == os.Getpid() {
			continue
		}
		s, known := v.seen[id]
		if !known || s.turns != turns {
			s = sight{turns, now}
		}
		seen[id] = s
		if now.Sub(s.since) > cmp.Or(v.Silence, wire.Silence) && id.Kill() == nil {
			ended = append(ended, id)
			delete(seen, id)
		}
	}
	v.seen = seen
	return ended
}
