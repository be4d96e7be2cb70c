package openssh

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
	"muster/modules/systemd"
)

// ReloadServer has sshd read its settings anew, and waits until it listens with them: the login that
// proves them must not be one to the old.
type ReloadServer struct{ *systemd.Act }

// Type is "sshd.reload/1".
func (*ReloadServer) Type() string { return "sshd.reload/1" }

const (
	listenWait = 10 * time.Second
	listenLook = 5 * time.Millisecond
)

// Apply reloads the unit.
func (r *ReloadServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	pid, err := mainProcess(ctx, h, r.Unit)
	if err != nil {
		return host.Result{}, err
	}
	old := listening(pid)
	result, err := r.Act.Apply(ctx, h)
	if err != nil {
		return result, err
	}
	for end := time.Now().Add(listenWait); !anew(old, listening(pid)); {
		if time.Now().After(end) {
			return result, fmt.Errorf("%s was told to reload and doesn't listen with its new settings after %s: journalctl -u %s says why", r.Unit, listenWait, r.Unit)
		}
		select {
		case <-ctx.Done():
			return result, context.Cause(ctx)
		case <-time.After(listenLook):
		}
	}
	return result, nil
}

func mainProcess(ctx context.Context, h *host.Host, unit string) (string, error) {
	out, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "show", "-p", "MainPID", "--value", unit}})
	return strings.TrimSpace(string(out.Stdout)), err
}

// anew reports whether all sockets were opened since, and there are any: sshd closes its own
// when it is told to read its settings.
func anew(old, now map[string]bool) bool {
	for socket := range now {
		if old[socket] {
			return false
		}
	}
	return len(now) > 0
}

// listening are the sockets on which a process listens, by their inodes: proc(5).
func listening(pid string) map[string]bool {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		data, _ := os.ReadFile(filepath.Join("/proc", pid, "net", table))
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	found := map[string]bool{}
	dir := filepath.Join("/proc", pid, "fd")
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && inodes[to] {
			found[to] = true
		}
	}
	return found
}
