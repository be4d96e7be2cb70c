package real

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestServiceIsRestartedOnceForItsChangedFile(t *testing.T) {
	text := `
variable "level" { type = string }
play "restart" {
  hosts  = ["log1"]
  become = true
  task "file" "/etc/cron-level" { content = var.level }
  task "service" "cron" { restart_on = ["/etc/cron-level"] }
}
`
	file := playbook(t, text)
	pid := func() string { return on(t, "log1", "systemctl show -P MainPID cron") }
	muster(t, "apply", file, "--yes", "--var", "level=1")
	first := pid()
	if r := muster(t, "apply", file, "--yes", "--var", "level=1"); !strings.Contains(r.Out, "Nothing to change") || pid() != first {
		t.Errorf("it was restarted for nothing: %s", r.Out)
	}
	if r := muster(t, "apply", file, "--yes", "--var", "level=2"); r.Code != 0 || pid() == first {
		t.Errorf("it wasn't restarted for its changed file: %s%s", r.Out, r.Err)
	}
	// A run that dies between the file and the restart: the next one restarts.
	second := pid()
	on(t, "log1", "printf 3 > /etc/cron-level")
	if r := muster(t, "apply", file, "--yes", "--var", "level=3"); r.Code != 0 || pid() == second {
		t.Errorf("a file that was changed before the run is forgotten: %s%s", r.Out, r.Err)
	}
}

// touch is a playbook that writes a file of its own on the hosts.
func touch(hosts, name string) string {
	return fmt.Sprintf(`
play "touch" {
  hosts  = [%q]
  become = true
  task "file" "f" {
    path    = "/etc/%s"
    content = "from the test on ${host.name}\n"
  }
}
`, hosts, name)
}

func TestHostThatIsCutOffLeavesTheOthers(t *testing.T) {
	command(t.Context(), t)
	if err := theLab.Host("db3").Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer theLab.Host("db3").Mend(t.Context())
	r := muster(t, "apply", playbook(t, touch("db", "cut")), "--yes", "--output", "json")
	_, sum := events(t, r)
	if r.Code != 5 || !sum.Hosts["db3"].Unreachable || sum.Hosts["db1"].Changed != 1 || sum.Hosts["db2"].Changed != 1 {
		t.Errorf("exit code %d, %+v\n%s", r.Code, sum.Hosts, r.Out)
	}
}

func TestChangedHostKeyIsRefusedAndBothAreShown(t *testing.T) {
	command(t.Context(), t)
	on(t, "db2", "mkdir /etc/ssh/old && mv /etc/ssh/ssh_host_* /etc/ssh/old/ && ssh-keygen -A && systemctl restart ssh")
	defer on(t, "db2", "rm /etc/ssh/ssh_host_* && mv /etc/ssh/old/* /etc/ssh/ && rmdir /etc/ssh/old && systemctl restart ssh")
	shown := strings.Fields(on(t, "db2", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	known := strings.Fields(on(t, "db2", "ssh-keygen -lf /etc/ssh/old/ssh_host_ed25519_key.pub"))[1]
	r := muster(t, "apply", playbook(t, touch("db1,db2", "key")), "--yes")
	if r.Code == 1 { // patterns are list elements, not comma lists, in a playbook
		r = muster(t, "apply", playbook(t, strings.Replace(touch("db1", "key"), `["db1"]`, `["db1", "db2"]`, 1)), "--yes")
	}
	if r.Code != 5 || !strings.Contains(r.Err, shown) || !strings.Contains(r.Err, known) || !strings.Contains(r.Err, "muster trust db2") {
		t.Errorf("exit code %d, want 5 and the fingerprints %s and %s\n%s%s", r.Code, shown, known, r.Out, r.Err)
	}
	if on(t, "db1", "cat /etc/key") == "" {
		t.Error("db1 wasn't finished")
	}
}

func TestRefusedKeyIsUnreachable(t *testing.T) {
	command(t.Context(), t)
	on(t, "log1", "mv ~ops/.ssh/authorized_keys ~ops/.ssh/away")
	defer on(t, "log1", "mv ~ops/.ssh/away ~ops/.ssh/authorized_keys")
	r := muster(t, "plan", playbook(t, touch("log", "refused")))
	if r.Code != 5 || !strings.Contains(r.Err, "log1") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

func TestSudoThatIsNotAllowedIsAFailure(t *testing.T) {
	command(t.Context(), t)
	dir := t.TempDir()
	inv := dir + "/hosts.hcl"
	text := `
bastion "nat" {
  address = "203.0.113.10"
  user    = "ops"
}
host "log1" {
  address = "10.0.1.51"
  user    = "limited"
  via     = "nat"
}
`
	if err := os.WriteFile(inv, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := theLab.Lab.Command(t.Context(), binary(t), "plan", playbook(t, touch("log1", "x")), "-i", inv)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 4 || !strings.Contains(string(out), "sudo") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}

func TestFailingTaskShowsTheProgramsLastWords(t *testing.T) {
	r := muster(t, "apply", playbook(t, `
play "fails on one" {
  hosts  = ["app"]
  become = true
  task "command" "c" {
    shell = host.name == "app1" ? "echo the disk is on fire >&2; exit 7" : "true"
  }
  task "file" "f" {
    path    = "/etc/after-failure"
    content = "x"
  }
}
`), "--yes", "--output", "json")
	list, sum := events(t, r)
	if r.Code != 4 || sum.Hosts["app1"].Failed != 1 || sum.Hosts["app2"].Changed != 2 {
		t.Errorf("exit code %d, %+v", r.Code, sum.Hosts)
	}
	said := false
	for _, e := range list {
		said = said || e.Host == "app1" && e.Status == "failed" && strings.Contains(e.Error, "the disk is on fire")
	}
	if !said {
		t.Errorf("the last words are missing:\n%s", r.Out)
	}
	if got := on(t, "app1", "ls /etc/after-failure 2>&1 || true"); !strings.Contains(got, "No such file") {
		t.Errorf("app1 went on after its failure: %s", got)
	}
}

func TestTasksRunAsWhomTheySay(t *testing.T) {
	r := muster(t, "apply", playbook(t, `
play "users" {
  hosts  = ["app1"]
  become = true
  task "user" "worker" { home = "/var/lib/worker" }
  task "command" "as-worker" {
    argv   = ["sh", "-c", "id -un > /tmp/as-worker"]
    become = "worker"
  }
  task "command" "as-login" {
    argv   = ["sh", "-c", "id -un > /tmp/as-login"]
    become = false
  }
  task "command" "as-root" {
    argv = ["sh", "-c", "id -un > /tmp/as-root"]
  }
}
`), "--yes")
	if r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if got := on(t, "app1", "cat /tmp/as-worker /tmp/as-login /tmp/as-root"); got != "worker\nops\nroot" {
		t.Errorf("the tasks ran as %q", got)
	}
}

func TestUserIsMadeAndActsInOneRun(t *testing.T) {
	file := playbook(t, `
play "one run" {
  hosts  = ["app1"]
  become = true
  task "user" "newcomer" { system = true }
  task "command" "who" {
    argv      = ["id", "-un"]
    become    = "newcomer"
    read_only = true
  }
  task "file" "/tmp/by-newcomer" {
    content = "${task.command.who.output.stdout}"
    become  = "newcomer"
  }
}
play "then" {
  hosts  = ["app1"]
  become = true
  task "file" "/etc/home-of-login" { content = "${host.facts.homes["ops"]}\n" }
}
`)
	if r := muster(t, "apply", file, "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if got := on(t, "app1", "stat -c %U /tmp/by-newcomer; cat /tmp/by-newcomer"); got != "newcomer\nnewcomer" {
		t.Errorf("the file is %q", got)
	}
	if r := muster(t, "plan", file, "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("planned again: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

func TestAdHocCommandsAndFacts(t *testing.T) {
	r := muster(t, "facts", "app1")
	if r.Code != 0 || !strings.Contains(r.Out, `"codename": "bookworm"`) {
		t.Errorf("facts: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

func TestFirstContactSendsLessThanSixMebibytes(t *testing.T) {
	command(t.Context(), t) // make build has been run
	for _, arch := range []string{"amd64", "arm64"} {
		info, err := os.Stat("../../cmd/muster/remotes/linux-" + arch + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 6<<20 {
			t.Errorf("the remote for %s has %d bytes packed", arch, info.Size())
		}
	}
}
