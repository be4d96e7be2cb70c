package real

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// filter is a playbook that loads a table into app1's kernel.
func filter(t *testing.T, rules string) string {
	return playbook(t, `
play "filter" {
  hosts  = ["app1"]
  become = true
  task "nftables" "inet probation" {
    content = <<-EOT
      chain input {
        type filter hook input priority -10; policy accept;
        `+rules+`
      }
    EOT
  }
}
`)
}

const (
	letsIn = "tcp dport 9 drop"
	// What is there already stays, whatever comes.
	keeps = "ct state established,related accept\n tcp dport 22 drop"
	// Nothing stays.
	dropsAll = "tcp dport 22 drop"

	isLoaded = "nft list table inet probation >/dev/null 2>&1"
	isKept   = "grep -q probation /etc/nftables.conf || test -e /etc/nftables.d/inet-probation.nft"
)

// unfiltered leaves app1 without the table, before a test and after it.
func unfiltered(t *testing.T) {
	t.Helper()
	clean := func() {
		_, _ = theLab.Host("app1").Exec(context.Background(), "sh", "-c", "nft 'add table inet probation; delete table inet probation'; rm -rf /etc/nftables.d /var/lib/muster/nftables; sed -i /probation/d /etc/nftables.conf; systemctl -q disable nftables")
	}
	clean()
	t.Cleanup(clean)
}

// untouched holds that the table is neither in the kernel nor loaded at boot, and that
// the host lets people in.
func untouched(t *testing.T) {
	t.Helper()
	on(t, "app1", "! { "+isLoaded+"; } && ! { "+isKept+"; }")
	if r := muster(t, "facts", "app1"); r.Code != 0 {
		t.Errorf("app1 can't be reached: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

func TestRulesThatLetLoginsInAreKept(t *testing.T) {
	command(t.Context(), t)
	unfiltered(t)
	file := filter(t, letsIn)
	if r := muster(t, "plan", file); !strings.Contains(r.Out, "proven by a new login, else taken back after 60s") {
		t.Errorf("the plan doesn't say it:\n%s%s", r.Out, r.Err)
	}
	if r := muster(t, "apply", file, "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, "app1", "ls /run/muster | grep revert && exit 1; systemctl list-units --all 'muster-revert-*' | grep muster-revert && exit 1; true")
	if err := theLab.Host("app1").Kill(); err != nil {
		t.Fatal(err)
	}
	if err := theLab.Host("app1").Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	on(t, "app1", isLoaded)
	if r := muster(t, "plan", file, "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("after a boot something is left to do: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

func TestRulesThatLetNoLoginInAreTakenBack(t *testing.T) {
	command(t.Context(), t)
	for name, rules := range map[string]string{"but keep connections": keeps, "and drop connections": dropsAll} {
		t.Run(name, func(t *testing.T) {
			unfiltered(t)
			r := muster(t, "apply", filter(t, rules), "--yes")
			if r.Code == 0 || !strings.Contains(r.Out+r.Err, "has been taken back") {
				t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
			untouched(t)
		})
	}
}

// The table that stood before stands again, and is no drift.
func TestTableThatIsTakenBackIsNoDrift(t *testing.T) {
	command(t.Context(), t)
	unfiltered(t)
	good := filter(t, letsIn)
	if r := muster(t, "apply", good, "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	gone := playbook(t, "play \"p\" {\n  hosts  = [\"app1\"]\n  become = true\n  task \"nftables\" \"inet probation\" { state = \"absent\" }\n}\n")
	if r := muster(t, "apply", filter(t, keeps), "--yes"); r.Code == 0 {
		t.Fatalf("rules that let nobody in are kept\n%s%s", r.Out, r.Err)
	}
	if r := muster(t, "plan", good, "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("something is left to do: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", gone, "--yes"); r.Code != 0 {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, "app1", "! { "+isLoaded+"; } && ! { "+isKept+"; }")
}

// halfway begins to load rules that let nobody in, and returns when they are in the
// kernel and aren't proven.
func halfway(t *testing.T) *exec.Cmd {
	t.Helper()
	unfiltered(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := command(ctx, t, "apply", filter(t, keeps), "--yes")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out.String())
		}
	})
	on(t, "app1", "timeout 60 sh -c 'until "+isLoaded+"; do sleep 0.02; done'")
	return cmd
}

func TestRulesAreTakenBackWhereMusterWasKilled(t *testing.T) {
	command(t.Context(), t)
	cmd := halfway(t)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	on(t, "app1", "timeout 20 sh -c 'while "+isLoaded+"; do sleep 0.05; done'")
	untouched(t)
}

func TestRulesAreTakenBackByTheHostWhereItsRemoteWasKilledToo(t *testing.T) {
	command(t.Context(), t)
	cmd := halfway(t)
	// Stopped, it can't take the host up again before it is killed.
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	on(t, "app1", `for e in /proc/[0-9]*/exe; do case $(readlink $e) in *muster*) p=${e%/exe}; kill -9 ${p#/proc/} ;; esac; done`)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	on(t, "app1", isLoaded)
	on(t, "app1", "timeout 75 sh -c 'while "+isLoaded+"; do sleep 0.1; done'")
	untouched(t)
}

func TestHostThatRestartsBeforeTheProofHasItsOldRules(t *testing.T) {
	command(t.Context(), t)
	cmd := halfway(t)
	if err := theLab.Host("app1").Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := theLab.Host("app1").Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	untouched(t)
}
