package redis

import (
	"os"
	"slices"
	"strings"

	"muster/host"
)

// logSize is how long Redis's log is.
func logSize(c *conf) int64 {
	path, _ := c.value("logfile")
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// withLog adds to an error what Redis has complained of since its log had that size.
func withLog(h *host.Host, c *conf, size int64, err error) error {
	path, _ := c.value("logfile")
	b, n := make([]byte, 64<<10), 0
	if f, ferr := os.Open(path); ferr == nil {
		n, _ = f.ReadAt(b, size)
		f.Close()
	}
	var wrong []string
	for line := range strings.Lines(string(b[:n])) {
		// PID:ROLE DATE # text, "#" for a warning, "*" for a notice.
		if _, text, ok := strings.Cut(line, " # "); ok && !slices.Contains(wrong, strings.TrimSpace(text)) && !strings.HasPrefix(text, "WARNING") {
			wrong = append(wrong, strings.TrimSpace(text))
		}
	}
	if len(wrong) == 0 {
		return err
	}
	said := strings.Join(wrong[max(0, len(wrong)-6):], "\n")
	if h.Redact != nil {
		said = h.Redact(said)
	}
	return &host.SaidError{Err: err, Said: "the last lines of its log:\n" + said}
}
