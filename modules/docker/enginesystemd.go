package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"muster/host"
)

// reloadTime is how long the daemon may take to load its file anew. It answers the
// signal with an event; where it refuses the file, with nothing but a line in its log.
const reloadTime = 10 * time.Second

// reloadEngine sends the signal, and waits until the daemon says that it has loaded its file.
func reloadEngine(ctx context.Context, h *host.Host) error {
	c, err := acting(h)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	now := time.Now()
	events := c.Events(ctx, client.EventsListOptions{
		Since:   fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
		Filters: make(client.Filters).Add("type", "daemon").Add("event", "reload"),
	})
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "reload", "--", unit}}); err != nil {
		return withEngineLog(ctx, h, err)
	}
	select {
	case <-events.Messages:
		return h.At("reloaded")
	case err := <-events.Err:
		if ctx.Err() != nil {
			err = fmt.Errorf("it hasn't said so after %s", reloadTime)
		}
		return withEngineLog(ctx, h, fmt.Errorf("Docker was told to load %s: %w", configFile, err))
	}
}

// restartEngine restarts the daemon, or starts it. Systemd refuses one that was started too
// often, by anybody, so that its count is begun anew.
func restartEngine(ctx context.Context, h *host.Host) error {
	resetFailed(ctx, h)
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "restart", "--", unit}}); err != nil {
		return withEngineLog(ctx, h, err)
	}
	return h.At("restarted")
}

func resetFailed(ctx context.Context, h *host.Host) {
	for _, u := range []string{unit, "docker.socket"} { // there may be no such socket
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", u}})
	}
}

// withEngineLog adds to an error what the daemon last complained of, or its last lines.
func withEngineLog(ctx context.Context, h *host.Host, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-b", "-n", "60", "-o", "cat", "--unit=" + unit}, OutputLimit: 64 << 10})
	if lerr != nil {
		return err
	}
	var last, wrong []string
	for line := range strings.Lines(string(out.Stdout)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = append(last, line)
		if isComplaint(line) && (len(wrong) == 0 || wrong[len(wrong)-1] != line) {
			wrong = append(wrong, line)
		}
	}
	const most = 6
	if wrong != nil {
		last = wrong
	}
	if len(last) == 0 {
		return err
	}
	text := strings.Join(last[max(0, len(last)-most):], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: "the last lines of its log:\n" + text}
}

// isComplaint reports whether a line of the daemon's log is about what went wrong.
func isComplaint(line string) bool {
	return strings.Contains(line, "level=error") || strings.Contains(line, "level=fatal") ||
		strings.HasPrefix(line, "failed to") || strings.HasPrefix(line, "unable to") || strings.Contains(line, "unknown flag")
}

// sumOfText is the sum of a file's text.
func sumOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
