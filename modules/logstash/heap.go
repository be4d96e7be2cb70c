package logstash

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"muster/host"
)

// The heap stands in jvm.options: Logstash reads that file alone, and no folder of others
// beside it (JvmOptionsParser.java).

var (
	heapText = regexp.MustCompile(`^([0-9]+)([kKmMgG])$`)
	heapLine = regexp.MustCompile(`^-(Xms|Xmx)(\S+)\s*$`)
)

// heapBytes reads a size as Java takes it: "4g", "512m".
func heapBytes(text string) (int64, bool) {
	m := heapText.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	shift := map[string]int{"k": 10, "m": 20, "g": 30}[strings.ToLower(m[2])]
	return n << shift, err == nil && n > 0
}

// withHeap is a jvm.options in which -Xms and -Xmx are this size, both.
func withHeap(text, size string) string {
	want, _ := heapBytes(size)
	var out []string
	has := map[string]bool{}
	for line := range strings.Lines(text) {
		m := heapLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			out = append(out, line)
			continue
		}
		if has[m[1]] {
			continue // the last would win
		}
		has[m[1]] = true
		if n, ok := heapBytes(m[2]); !ok || n != want {
			line = "-" + m[1] + size + "\n"
		}
		out = append(out, line)
	}
	if last := len(out) - 1; last >= 0 && !strings.HasSuffix(out[last], "\n") {
		out[last] += "\n"
	}
	for _, name := range []string{"Xms", "Xmx"} {
		if !has[name] {
			out = append(out, "-"+name+size+"\n")
		}
	}
	return strings.Join(out, "")
}

// memory is how much memory the host has, in bytes.
func memory(ctx context.Context, v *host.View) (int64, error) {
	data, err := v.ReadFile(ctx, "/proc/meminfo", 1<<20)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo doesn't say how much memory there is")
}

// tooMuch says so where a heap is more than half of the host's memory; "" where it isn't.
func tooMuch(heap string, memory int64) string {
	n, ok := heapBytes(heap)
	if !ok || memory <= 0 || n <= memory/2 {
		return ""
	}
	return fmt.Sprintf("A heap of %s is more than half of this host's memory, %d MB: Logstash takes memory beside its heap, for its threads, inputs and persisted queues, and the host needs some for its file cache.", heap, memory>>20)
}
