package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"muster/host"
)

// reloadTime is how long the daemon may take to load its file anew. It answers the
// signal with an event; where it refuses the file, with nothing but a line in its log.
const reloadTime = 10 * time.Second

// reloadLook is how often its log is looked at meanwhile.
const reloadLook = 300 * time.Millisecond

// reloadEngine sends the signal, and waits until the daemon says that it has loaded its file.
func reloadEngine(ctx context.Context, h *host.Host) error {
	c, err := acting(h)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	now := time.Now()
	events := c.Events(ctx, client.EventsListOptions{Since: eventTime(now), Filters: reloadEvents()})
	if _, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "reload", "--", unit}}); err != nil {
		return withEngineLog(ctx, h, err)
	}
	look := time.NewTicker(reloadLook)
	defer look.Stop()
	for {
		select {
		case <-events.Messages:
			return h.At("reloaded")
		case <-look.C:
			lines, err := engineLog(ctx, h, "--since=@"+strconv.FormatInt(now.Unix(), 10))
			if err == nil && slices.ContainsFunc(lines, refusesReload) {
				return withEngineLog(ctx, h, fmt.Errorf("dockerd was told to load %s, and refuses it", configFile))
			}
		case err := <-events.Err:
			if ctx.Err() != nil {
				err = fmt.Errorf("it hasn't said so after %s", reloadTime)
			}
			return withEngineLog(ctx, h, fmt.Errorf("dockerd was told to load %s: %w", configFile, err))
		}
	}
}

func reloadEvents() client.Filters {
	return make(client.Filters).Add("type", "daemon").Add("event", "reload")
}

func eventTime(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// loadedSince reports whether the daemon has loaded its file since then, or a part of it.
func loadedSince(ctx context.Context, h *host.Host, since string) bool {
	t, err := time.Parse(time.RFC3339Nano, since)
	if err != nil {
		return true
	}
	lines, err := engineLog(ctx, h, "--since=@"+strconv.FormatInt(t.Unix(), 10))
	if err != nil || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "Error reconfiguring the daemon") }) {
		return true
	}
	c, err := acting(h)
	if err != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	events := c.Events(ctx, client.EventsListOptions{Since: eventTime(t), Until: eventTime(time.Now()), Filters: reloadEvents()})
	select {
	case <-events.Messages:
		return true
	case err := <-events.Err:
		return !errors.Is(err, io.EOF)
	}
}

// refusesReload reports whether a line of the daemon's log is about a reload that failed.
func refusesReload(line string) bool {
	return slices.ContainsFunc([]string{"Error reconfiguring the daemon", "Error reloading configuration", "unable to configure the Docker daemon", "configuration validation failed"}, func(words string) bool {
		return strings.Contains(line, words)
	})
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
	last, lerr := engineLog(ctx, h, "-b", "-n", "60")
	if lerr != nil || len(last) == 0 {
		return err
	}
	var wrong []string
	for _, line := range last {
		if isComplaint(line) && (len(wrong) == 0 || wrong[len(wrong)-1] != line) {
			wrong = append(wrong, line)
		}
	}
	const most = 6
	if wrong != nil {
		last = wrong
	}
	text := strings.Join(last[max(0, len(last)-most):], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: "the last lines of its log:\n" + text}
}

// engineLog returns lines of the daemon's log.
func engineLog(ctx context.Context, h *host.Host, which ...string) (lines []string, err error) {
	argv := append([]string{"journalctl", "--no-pager", "--quiet", "-o", "cat", "--unit=" + unit}, which...)
	out, err := h.Runner.Run(ctx, host.Command{Argv: argv, OutputLimit: 64 << 10})
	for line := range strings.Lines(string(out.Stdout)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, err
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
