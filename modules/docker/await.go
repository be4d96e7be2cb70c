package docker

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// settling is how long a container without a health check has to run, until it counts
// as one that runs.
const settling = 2 * time.Second

// awaitRunning waits until a container is healthy, or, where it has no health check, has
// run for a while. One that is unhealthy, ends, or starts over and over fails at once.
func awaitRunning(ctx context.Context, c *client.Client, id string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(wait, settling+time.Second))
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	restarts := -1
	for {
		now, err := inspect(ctx, c, id)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			if restarts < 0 {
				restarts = now.RestartCount
			}
			ready, err := ready(now, restarts)
			if err != nil {
				return fmt.Errorf("%w%s", err, lastWords(c, id, now))
			}
			if ready {
				return nil
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			if now, err := inspect(context.WithoutCancel(ctx), c, id); err == nil {
				return fmt.Errorf("it isn't healthy after %s, but %s%s", wait, stateOf(now), lastWords(c, id, now))
			}
			return context.Cause(ctx)
		}
	}
}

// ready reports whether a container is as it should be, and why it will never be.
func ready(c container.InspectResponse, restarts int) (bool, error) {
	s := c.State
	switch {
	case c.RestartCount > restarts || s.Restarting:
		return false, fmt.Errorf("it ends right after it is started (exit code %d)%s", s.ExitCode, oom(s))
	case !s.Running:
		why := ""
		if s.Error != "" {
			why = ": " + s.Error
		}
		return false, fmt.Errorf("it has ended with exit code %d%s%s", s.ExitCode, oom(s), why)
	case s.Health != nil && s.Health.Status == container.Unhealthy:
		return false, fmt.Errorf("it is unhealthy")
	case s.Health != nil && s.Health.Status != container.NoHealthcheck:
		return s.Health.Status == container.Healthy, nil
	}
	return time.Since(started(c)) >= settling, nil
}

func oom(s *container.State) string {
	if s.OOMKilled {
		return ", since its memory was used up"
	}
	return ""
}

// stateOf is what a container does, in a word.
func stateOf(c container.InspectResponse) string {
	if c.State.Health != nil && c.State.Running {
		return string(c.State.Health.Status)
	}
	return string(c.State.Status)
}

// lastWords are what a container said last, and its health check.
func lastWords(c *client.Client, id string, now container.InspectResponse) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var words strings.Builder
	if h := now.State.Health; h != nil && len(h.Log) > 0 {
		if last := h.Log[len(h.Log)-1]; last.ExitCode != 0 {
			fmt.Fprintf(&words, "; its health check (exit code %d) says: %s", last.ExitCode, clip(last.Output))
		}
	}
	logs, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "20"})
	if err != nil {
		return words.String()
	}
	defer logs.Close()
	var out bytes.Buffer
	if now.Config.Tty {
		_, _ = out.ReadFrom(logs)
	} else {
		_, _ = stdcopy.StdCopy(&out, &out, logs)
	}
	if text := clip(out.String()); text != "" {
		fmt.Fprintf(&words, "; its last words:\n%s", text)
	}
	return words.String()
}

// clip is the end of a text, trimmed.
func clip(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-2000):]
}

// healthOf is the health of a listed container: its status ends in "(healthy)".
func healthOf(c container.Summary) string {
	switch {
	case strings.Contains(c.Status, "(healthy)"):
		return string(container.Healthy)
	case strings.Contains(c.Status, "(unhealthy)"):
		return string(container.Unhealthy)
	case strings.Contains(c.Status, "(health: starting)"):
		return string(container.Starting)
	}
	return ""
}
