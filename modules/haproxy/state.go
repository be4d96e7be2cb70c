package haproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// What HAProxy has loaded is found out in two ways. What muster had it load is noted, for
// as long as that worker serves. And a worker that was started after the files were last
// changed has loaded them. What neither tells counts as not loaded.

// loadedKey is the key of what HAProxy has loaded.
var loadedKey = host.Key{Space: "haproxy", Name: "loaded"}

// loaded is HAProxy, as far as its files go.
type loaded struct {
	Running bool   `json:"running"`
	Sum     string `json:"sum"` // of its files; "" where nobody can tell, or they are others

	// Text is the configuration that it has loaded; "" where that isn't known.
	text  string
	files map[string]string // their sums
	noted bool              // muster has noted it, so that the files' times needn't tell
}

// The files that muster keeps.
const (
	folder    = "/var/lib/muster/haproxy"
	goodPath  = folder + "/good.cfg" // the configuration that was last confirmed
	keptPath  = folder + "/server-state"
	stampPath = "/run/muster/stamps/haproxy"
)

// stamp is what a worker has loaded, or was told since.
type stamp struct {
	Worker string `json:"worker"`
	// Files are the sums of its files; of the configuration's that without others' marks.
	Files map[string]string `json:"files"`
	// Good is the sum of the file at goodPath.
	Good string `json:"good"`
}

func readStamp() *stamp {
	data, err := os.ReadFile(stampPath)
	s := &stamp{}
	if err != nil || host.Unmarshal(data, s) != nil {
		return nil
	}
	return s
}

// confirmed keeps what the worker has loaded.
func confirmed(worker process, files map[string]string, config []byte) error {
	if err := putState(goodPath, config); err != nil {
		return err
	}
	data, err := host.Marshal(stamp{Worker: worker.id(), Files: files, Good: sumOf(config)})
	if err != nil {
		return err
	}
	return putState(stampPath, data)
}

func putState(path string, data []byte) error {
	d, err := host.MakeDirs(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	if err := host.Put(path, data, 0o600); err != nil {
		return fmt.Errorf("noting what HAProxy has loaded: %w", err)
	}
	return nil
}

// loadedBy returns what the daemon has loaded of its configuration and the other files.
func loadedBy(d *daemon, config string, files []string) *loaded {
	now := &loaded{Running: d.running()}
	if !now.Running {
		return now
	}
	worker, ok := newestWorker(d.PID)
	if !ok {
		return now
	}
	if s := readStamp(); s != nil && s.Worker == worker.id() {
		now.files, now.Sum, now.noted, now.text = s.Files, sumFiles(s.Files), true, loadedText(d)
		return now
	}
	sums := map[string]string{}
	for _, path := range files {
		t, err := changed(path)
		data, rerr := os.ReadFile(path)
		if err != nil || rerr != nil || !t.Add(clockLag).Before(worker.started) {
			return now
		}
		if sums[path] = sumOf(data); path == config {
			now.text, sums[path] = string(data), sumOf([]byte(withoutMarks(string(data))))
		}
	}
	now.files, now.Sum = sums, sumFiles(sums)
	return now
}

// loadedText is the configuration that muster has noted to be loaded, "" where none is.
func loadedText(d *daemon) string {
	worker, ok := newestWorker(d.PID)
	s := readStamp()
	if !ok || s == nil || s.Worker != worker.id() {
		return ""
	}
	good, err := os.ReadFile(goodPath)
	if err != nil || sumOf(good) != s.Good {
		return ""
	}
	return string(good)
}

// clockLag is how far a file's change time may lie before the moment at which it was
// changed: the kernel's coarse clock.
const clockLag = 10 * time.Millisecond

func changed(path string) (time.Time, error) {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return host.StatusChanged(st), nil
}

// newestWorker is the worker of a master that was started last: it serves.
func newestWorker(master int) (newest process, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if err != nil {
		return process{}, false
	}
	for _, f := range strings.Fields(string(data)) {
		pid, _ := strconv.Atoi(f)
		p, err := lookProcess(pid)
		if err == nil && p.Type == "haproxy" && (!ok || p.ticks > newest.ticks) {
			newest, ok = p, true
		}
	}
	return newest, ok
}

// lookProcess reads a process; its Type is the program's name.
func lookProcess(pid int) (process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	open, end := strings.Index(string(data), "("), strings.LastIndex(string(data), ")")
	if open < 0 || end < open {
		return process{}, errors.New("a process without a name")
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 20 {
		return process{}, errors.New("a process without a start")
	}
	p := process{PID: pid, Type: string(data[open+1 : end])}
	p.ticks, err = strconv.ParseUint(f[19], 10, 64)
	p.started = bootTime().Add(time.Duration(p.ticks) * time.Second / ticksPerSecond)
	return p, err
}

// ticksPerSecond is the unit of a process's start time: proc(5), sysconf(_SC_CLK_TCK),
// which is 100 on all that Linux runs on.
const ticksPerSecond = 100

// id tells a process from another one of its number.
func (p process) id() string { return fmt.Sprintf("%d %d", p.PID, p.ticks) }

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sumFiles is the sum of files, given by the sum of each.
func sumFiles(files map[string]string) string {
	hash := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(hash, "%q %s\n", path, files[path])
	}
	return hex.EncodeToString(hash.Sum(nil))
}
