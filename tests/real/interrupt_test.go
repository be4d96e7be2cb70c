package real

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hold keeps a server's web server from starting, so that a run stands in the
// middle of its restart.
type hold struct {
	t      *testing.T
	server string
}

func newHold(t *testing.T, server string) *hold {
	t.Helper()
	h := &hold{t, server}
	on(t, server, `mkdir -p /run/systemd/system/web.service.d && touch /run/hold &&
		printf '[Service]\nExecStartPre=+/bin/sh -c "while [ -e /run/hold ]; do sleep 0.05; done"\n' > /run/systemd/system/web.service.d/hold.conf && systemctl daemon-reload`)
	t.Cleanup(func() {
		_, _ = theLab.Host(server).Exec(context.Background(), "sh", "-c", "rm -rf /run/hold /run/systemd/system/web.service.d && systemctl daemon-reload")
	})
	return h
}

// reached waits until the run stands there.
func (h *hold) reached() {
	h.t.Helper()
	on(h.t, h.server, "for i in $(seq 600); do [ $(systemctl is-active web) = activating ] && exit; sleep 0.05; done; exit 1")
}

// release lets the web server start, and waits for it.
func (h *hold) release() {
	h.t.Helper()
	on(h.t, h.server, "rm -f /run/hold; for i in $(seq 600); do [ $(systemctl is-active web) = active ] && exit; sleep 0.05; done; exit 1")
}

func TestRolloutThatIsKilledAndResumedPutsTheServerBack(t *testing.T) {
	s := newRollout(t, "1")
	h := newHold(t, "app1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, "apply", rollout, "--yes", "--var", "release=killed")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.reached()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The host finishes the change in hand by itself, and does nothing more: all
	// of app1's changes are made, and it is drained.
	h.release()
	before := all("1")
	before["app1"] = "killed"
	serve(t, before, "app1")
	if r := s.muster(0, "history"); !strings.Contains(r.Out, "cut off") {
		t.Errorf("the run isn't listed as cut off:\n%s", r.Out)
	}

	// app1 is put back before another is taken out.
	list, _ := events(t, s.muster(0, "apply", rollout, "--resume", "--yes", "--var", "release=killed", "--output", "json"))
	made := slices.DeleteFunc(list, func(e event) bool { return e.Status != "changed" })
	if len(made) == 0 || made[0].Task != "left" || made[0].Key != "app1" {
		t.Errorf("resumed, the run made %+v", made)
	}
	serve(t, all("killed"))
	s.muster(0, "plan", rollout, "--var", "release=killed", "--detailed-exitcode")
}

func TestRolloutIsInterrupted(t *testing.T) {
	for _, test := range []struct {
		name, release string
		twice         bool
		history       string // of the change in hand
	}{
		{"once, which finishes the change in hand", "once", false, "service.web  changed"},
		{"twice, which doesn't wait for it", "twice", true, "service.web  whether it was made isn't known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newRollout(t, "1")
			h := newHold(t, "app1")
			run := newTerminal(t, s, "apply", rollout, "--yes", "--var", "release="+test.release)
			h.reached()
			run.types("\x03")
			run.shows("Stopping once the changes in hand are finished")
			if test.twice {
				run.types("\x03")
				run.ends(130)
				h.release()
			} else {
				h.release()
				run.ends(130)
			}
			run.shows("Interrupted")

			// The change in hand is whole, nothing after it is begun.
			before := all("1")
			before["app1"] = test.release
			serve(t, before, "app1")
			history := s.muster(0, "history", "last").Out
			of := map[string]string{}
			for _, part := range strings.Split(history, "\n\n")[1:] {
				name, _, _ := strings.Cut(part, ":")
				of[name] = part
			}
			if !strings.Contains(history, ": interrupted\n") || !strings.Contains(of["app1"], test.history) || strings.Contains(of["app1"], "haproxy_server.ready") {
				t.Errorf("history says\n%s", history)
			}
			for _, name := range servers[1:] {
				if strings.Contains(of[name], "role.release") || strings.Contains(of[name], ": done") {
					t.Errorf("history says of %s\n%s", name, of[name])
				}
			}

			s.muster(0, "apply", rollout, "--resume", "--yes", "--var", "release="+test.release)
			serve(t, all(test.release))
		})
	}
}

// terminal is a muster on a terminal of its own.
type terminal struct {
	*screen
	t    *testing.T
	ctx  context.Context
	keys io.Writer
	cmd  *exec.Cmd
}

func newTerminal(t *testing.T, s *site, args ...string) *terminal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	line := "exec '" + strings.Join(append([]string{binary(t)}, args...), "' '") + "'"
	cmd := theLab.Lab.Command(ctx, "script", "-qec", line, "/dev/null")
	cmd.Dir = s.dir
	run := &terminal{screen: &screen{more: make(chan struct{}, 1)}, t: t, ctx: ctx, cmd: cmd}
	cmd.Stdout, cmd.Stderr = run, run
	keys, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	run.keys = keys
	return run
}

func (r *terminal) types(keys string) {
	r.t.Helper()
	if _, err := io.WriteString(r.keys, keys); err != nil {
		r.t.Fatal(err)
	}
}

// shows waits for a text.
func (r *terminal) shows(text string) {
	r.t.Helper()
	if err := r.screen.shows(r.ctx, text); err != nil {
		r.t.Errorf("%v:\n%s", err, r)
	}
}

// ends waits for its end.
func (r *terminal) ends(code int) {
	r.t.Helper()
	var exit *exec.ExitError
	if err := r.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Errorf("exit code %d, want %d:\n%s", got, code, r)
	}
}
