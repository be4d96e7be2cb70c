package real

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/tests/operator"
)

// site is a project of its own, for tests of what a project keeps.
type site struct {
	t   *testing.T
	dir string
}

func newSite(t *testing.T, playbook string) *site {
	t.Helper()
	if theLab == nil {
		t.Skip("real hosts: run tests/real.sh")
	}
	hosts, err := os.ReadFile("../../inventory/lab.hcl")
	s := &site{t: t, dir: t.TempDir()}
	err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, "hosts.hcl"), hosts, 0o600),
		os.WriteFile(filepath.Join(s.dir, "muster.hcl"), []byte("inventory = \"hosts.hcl\"\n"), 0o600),
		os.WriteFile(filepath.Join(s.dir, "site.hcl"), []byte(playbook), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := theLab.Lab.Command(ctx, binary(s.t), args...)
	cmd.Dir = s.dir
	return cmd
}

// muster runs muster in the project, and checks its exit code.
func (s *site) muster(code int, args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	r := operator.Run(s.t, cmd)
	if r.Code != code {
		s.t.Errorf("muster %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return r
}

func TestSavedPlanLeavesTheHostAloneThatHasMoved(t *testing.T) {
	s := newSite(t, `
play "saved" {
  hosts  = ["app", "db1"]
  become = true
  task "file" "demo" {
    path    = "/etc/saved-demo"
    content = "planned for ${host.name}\n"
  }
}
`)
	s.muster(0, "plan", "site.hcl", "--save", "site.plan")
	on(t, "app2", "echo by hand >/etc/saved-demo")
	if err := os.Remove(filepath.Join(s.dir, "site.hcl")); err != nil {
		t.Fatal(err)
	}
	r := s.muster(4, "apply", "site.plan", "--yes")
	for _, want := range []string{"app2: failed: it isn't as the plan found it", "was create /etc/saved-demo, is now update /etc/saved-demo"} {
		if !strings.Contains(r.Out+r.Err, want) {
			t.Errorf("it isn't said that %q:\n%s%s", want, r.Out, r.Err)
		}
	}
	for host, want := range map[string]string{"app1": "planned for app1", "app2": "by hand", "db1": "planned for db1"} {
		if got := on(t, host, "cat /etc/saved-demo"); got != want {
			t.Errorf("%s has %q, want %q", host, got, want)
		}
	}
}

func TestRunThatWasCutOffIsResumed(t *testing.T) {
	s := newSite(t, `
variable "slow" {
  type    = string
  default = "true"
}
play "cut" {
  hosts  = ["app", "db1"]
  become = true
  task "file" "first" {
    path    = "/etc/cut-first"
    content = "x\n"
  }
  task "command" "slow" {
    shell = host.name == "app1" ? "true" : var.slow
  }
  task "file" "last" {
    path    = "/etc/cut-last"
    content = "x\n"
  }
}
`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, "apply", "site.hcl", "--yes", "--var", "slow=sleep 8")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Killed when app1 is done and the others are in the middle.
	for {
		out, err := s.command(ctx, "history", "last").CombinedOutput()
		if ctx.Err() != nil {
			t.Fatalf("app1 was never done: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "app1: done") {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	if r := s.muster(0, "history"); !strings.Contains(r.Out, "cut off") {
		t.Errorf("the run isn't listed as cut off:\n%s", r.Out)
	}
	r := s.muster(0, "history", "last")
	for _, want := range []string{"app1", "app2", "unfinished", "/etc/cut-first"} {
		if !strings.Contains(r.Out, want) {
			t.Errorf("history last doesn't show %q:\n%s", want, r.Out)
		}
	}
	s.muster(1, "apply", "site.hcl", "--resume", "--limit", "app1", "--yes")
	r = s.muster(0, "apply", "site.hcl", "--resume", "--yes", "--output", "json")
	_, summary := events(t, r)
	if len(summary.Hosts) != 2 || summary.Hosts["app2"].Changed != 2 || summary.Hosts["db1"].Changed != 2 {
		t.Errorf("resumed, the run did %+v", summary.Hosts)
	}
	r = s.muster(1, "apply", "site.hcl", "--resume", "--yes")
	if !strings.Contains(r.Err, "nothing to resume") {
		t.Errorf("resumed twice it says\n%s", r.Err)
	}
	s.muster(0, "plan", "site.hcl", "--detailed-exitcode")
}
