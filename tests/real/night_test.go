package real

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster/internal/wire"
	"muster/tests/lab"
	"muster/tests/operator"
)

// nightly is a project whose schedule runs on db1 and checks app1 and db1.
type nightly struct {
	t   *testing.T
	dir string
	key string // the private key's file
}

const nightlySite = `
play "site" {
  hosts  = ["all"]
  become = true
  task "command" "asks" {
    argv      = ["id", "-un"]
    read_only = true
  }
  task "file" "/etc/nightly-user" { content = "${task.command.asks.output.stdout}" }
  task "file" "/etc/nightly" { content = "as it should be\n" }
}

play "as who logs in" {
  hosts = ["all"]
  task "file" "/home/ops/nightly" { content = "of the login\n" }
}
`

func newNightly(t *testing.T) *nightly {
	t.Helper()
	theLab.Need(t)
	n := &nightly{t: t, dir: filepath.Join(t.TempDir(), "shop")}
	n.key = filepath.Join(n.dir, ".muster/schedules/drift-db1.key")
	n.write("muster.hcl", "inventory = \"inventory/hosts.hcl\"\n")
	n.write("inventory/hosts.hcl", `
defaults {
  user = "ops"
  via  = "nat"
}
bastion "nat" {
  address = "203.0.113.10"
  user    = "ops"
  via     = ""
}
host "app1" { address = "10.0.1.21" }
host "db1" { address = "10.0.1.31" }
`)
	n.write("playbooks/site.hcl", nightlySite)
	known, err := os.ReadFile(theLab.Home() + "/.ssh/known_hosts")
	if err != nil {
		t.Fatal(err)
	}
	n.write("inventory/known_hosts", strings.NewReplacer("203.0.113.10 ", "nat ", "10.0.1.21 ", "app1 ", "10.0.1.31 ", "db1 ").Replace(string(known)))
	return n
}

func (n *nightly) write(name, text string) {
	n.t.Helper()
	at := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// muster runs muster in the project, on the workstation, and must end with a code.
func (n *nightly) muster(code int, args ...string) result {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := theLab.Lab.Command(ctx, binary(n.t), args...)
	cmd.Dir = n.dir
	r := operator.Run(n.t, cmd)
	if r.Code != code {
		n.t.Fatalf("muster %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.Code, code, r.Out, r.Err)
	}
	return r
}

func (n *nightly) install() {
	n.t.Helper()
	n.muster(0, "apply", "playbooks/site.hcl", "--yes")
	n.muster(0, "schedule", "install", "drift", "--at", "03:00 Europe/Berlin", "--on", "db1", "--yes")
}

// thief is OpenSSH on the workstation with the key, and with nothing else.
func (n *nightly) thief(ctx context.Context, program string, args ...string) *exec.Cmd {
	known := theLab.Home() + "/.ssh/known_hosts"
	options := []string{"-F", "none", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-i", n.key}
	if !strings.Contains(args[len(args)-1]+args[max(0, len(args)-2)], bastionLogin) {
		options = append(options, "-o", "ProxyCommand=ssh "+strings.Join(options, " ")+" -W %h:%p "+bastionLogin)
	}
	return theLab.Lab.Command(ctx, program, append(options, args...)...)
}

const (
	victimHost   = "muster-plan@10.0.1.21"
	bastionLogin = "muster-plan@203.0.113.10"
)

// steal runs a program of OpenSSH's for at most some seconds, and returns what it said.
func (n *nightly) steal(in io.Reader, program string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	cmd := n.thief(ctx, program, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &out
	cmd.WaitDelay = time.Second
	_ = cmd.Run()
	return out.String()
}

// changed are the files of app1 that were changed since the mark was made, without those
// that logins leave.
func changedSince(t *testing.T, host string) string {
	t.Helper()
	return on(t, host, `find / -xdev -newer /root/mark ! -type d ! -path '/proc/*' ! -path '/sys/*' ! -path '/run/*' ! -path '/var/log/*' ! -path '/tmp/.*' 2>/dev/null | sort; find /run /dev/shm /tmp -xdev -newer /root/mark -name '*stolen*'`)
}

// ranID is what id(1) prints.
var ranID = regexp.MustCompile(`uid=\d+\(`)

func TestNightsKeyCanOnlyPlan(t *testing.T) {
	n := newNightly(t)
	n.install()
	on(t, "app1", "systemctl stop man-db.timer apt-daily.timer 2>/dev/null; touch /root/mark; until touch /root/next && [ /root/next -nt /root/mark ]; do :; done; rm /root/next")

	t.Run("a shell", func(t *testing.T) {
		for _, args := range [][]string{{victimHost, "id; touch /tmp/stolen"}, {"-tt", victimHost}, {victimHost, "sudo -n id; sudo -n touch /root/stolen"}, {victimHost, "sudo -n /usr/local/lib/muster/remote"}} {
			said := n.steal(strings.NewReader("id; touch /tmp/stolen\nexit\n"), "ssh", args...)
			if ranID.MatchString(said) || !strings.Contains(said, "muster-in-place") && !strings.Contains(said, "PTY allocation request failed") {
				t.Errorf("ssh %q says %q", args, said)
			}
		}
	})
	t.Run("files", func(t *testing.T) {
		loot := filepath.Join(t.TempDir(), "stolen")
		if err := os.WriteFile(loot, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.steal(nil, "scp", loot, victimHost+":/tmp/stolen")
		n.steal(nil, "scp", "-O", loot, victimHost+":/tmp/stolen")
		n.steal(strings.NewReader("put "+loot+" /tmp/stolen\n"), "sftp", "-b", "-", victimHost)
		n.steal(nil, "scp", victimHost+":/etc/passwd", loot+"2")
		if data, err := os.ReadFile(loot + "2"); err == nil && len(data) > 0 {
			t.Errorf("it got %q", data)
		}
	})
	t.Run("forwarding", func(t *testing.T) {
		for _, args := range [][]string{
			{"-W", "127.0.0.1:22", victimHost},
			{"-N", "-o", "ExitOnForwardFailure=yes", "-R", "10022:127.0.0.1:22", victimHost},
			{"-N", "-o", "ExitOnForwardFailure=yes", "-R", "/tmp/stolen.sock:127.0.0.1:22", victimHost},
		} {
			said := n.steal(strings.NewReader(""), "ssh", args...)
			if strings.Contains(said, "SSH-2.0") || !strings.Contains(said, "prohibited") && !strings.Contains(said, "forwarding failed") {
				t.Errorf("ssh %q says %q", args, said)
			}
		}
		bastion := func(to string) string {
			return n.steal(strings.NewReader(""), "ssh", "-W", to, bastionLogin)
		}
		if said := bastion("10.0.1.21:22"); !strings.Contains(said, "SSH-2.0") {
			t.Errorf("the way to a host is closed: %q", said)
		}
		for _, to := range []string{"127.0.0.1:22", "10.0.1.22:22", "10.0.1.21:111"} {
			if said := bastion(to); strings.Contains(said, "SSH-2.0") || !strings.Contains(said, "prohibited") {
				t.Errorf("the bastion leads to %s: %q", to, said)
			}
		}
		for _, listens := range []string{"10022:127.0.0.1:22", "/tmp/stolen.sock:127.0.0.1:22"} {
			if said := n.steal(strings.NewReader(""), "ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-R", listens, bastionLogin); !strings.Contains(said, "forwarding failed") {
				t.Errorf("it may listen on the bastion, at %s: %q", listens, said)
			}
		}
		if left := on(t, lab.Bastion, "ls /tmp/stolen.sock 2>/dev/null || true"); left != "" {
			t.Errorf("it has made %s on the bastion", left)
		}
		if said := n.steal(strings.NewReader("id\n"), "ssh", bastionLogin, "id"); ranID.MatchString(said) {
			t.Errorf("the bastion runs it: %q", said)
		}
	})
	t.Run("muster", func(t *testing.T) {
		n.write("stolen.hcl", strings.NewReplacer(`"ops"`, `"muster-plan"`, `defaults {`, "defaults {\n  identity = \""+n.key+"\"", `bastion "nat" {`, "bastion \"nat\" {\n  identity = \""+n.key+"\"").Replace(string(must(os.ReadFile(filepath.Join(n.dir, "inventory/hosts.hcl"))))))
		n.write("evil.hcl", "play \"evil\" {\n  hosts  = [\"app1\"]\n  become = true\n  task \"command\" \"x\" { argv = [\"touch\", \"/tmp/stolen\"] }\n  task \"file\" \"/etc/stolen\" { content = \"x\" }\n  task \"command\" \"y\" {\n    argv      = [\"touch\", \"/tmp/stolen\"]\n    read_only = true\n  }\n}\n")
		for _, args := range [][]string{{"apply", "evil.hcl", "--yes"}, {"apply", "playbooks/site.hcl", "--yes", "--limit", "app1"}, {"run", "app1", "--become", "--", "touch", "/tmp/stolen"}} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			cmd := theLab.Lab.Command(ctx, binary(t), append([]string{args[0], "-i", "stolen.hcl"}, args[1:]...)...)
			cmd.Dir = n.dir
			r := operator.Run(t, cmd)
			if r.Code != 4 && r.Code != 5 || !strings.Contains(r.Out+r.Err, "this login only plans") {
				t.Errorf("muster %q: exit code %d\n%s%s", args, r.Code, r.Out, r.Err)
			}
		}
		// It may be planned, which asks the host for nothing.
		r := n.muster(0, "plan", "evil.hcl", "-i", "stolen.hcl")
		if !strings.Contains(r.Out, "not looked at") {
			t.Errorf("%s%s", r.Out, r.Err)
		}
	})
	t.Run("frames", func(t *testing.T) {
		touch := wire.Task{ID: "0/task.command.x", Kind: "command", As: "root", Args: wire.Args{"argv": []any{"touch", "/tmp/stolen"}, "read_only": true}}
		file := wire.Task{ID: "0/task.file.x", Kind: "file", As: "root", Args: wire.Args{"path": "/etc/shadow", "content": ""}}
		for name, messages := range map[string][]*wire.Message{
			"a session that changes":    {{Open: &wire.Open{}}, {Task: &touch}, {Grant: &wire.Grant{IDs: []string{touch.ID}, Epoch: 1}}},
			"a grant without a session": {{Grant: &wire.Grant{IDs: []string{touch.ID}, Epoch: 1}}},
			"a grant in a plan":         {{Open: &wire.Open{ReadOnly: true}}, {Task: &touch}, {Task: &file}, {Grant: &wire.Grant{IDs: []string{touch.ID, file.ID}, Epoch: 1}}},
			"a second session":          {{Open: &wire.Open{ReadOnly: true}}, {Open: &wire.Open{}}, {Grant: &wire.Grant{IDs: []string{touch.ID}, Epoch: 1}}},
			"a worker's messages":       {{Open: &wire.Open{ReadOnly: true}}, {Hold: &wire.Hold{Task: touch}}, {Grant: &wire.Grant{IDs: []string{touch.ID}, Epoch: 1}}},
			"another run's end":         {{Open: &wire.Open{ReadOnly: true, Run: "00000000", Take: 3}}},
		} {
			answers := n.speak(messages)
			last := answers[len(answers)-1]
			if last.Fault == nil || !strings.Contains(last.Fault.Error, "this login only plans") {
				t.Errorf("%s: it ends with %+v", name, last)
			}
			for _, m := range answers {
				if m.Done != nil || m.Planned != nil && !strings.Contains(fmt.Sprint(m.Planned.Then), "not looked at") || strings.Contains(fmt.Sprintf("%+v", m), "root:") {
					t.Errorf("%s: it answers %+v", name, m)
				}
			}
		}
	})
	if list := changedSince(t, "app1"); list != "" {
		t.Errorf("changed on app1:\n%s", list)
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// speak sends messages to the remote that the key starts, and returns its answers.
func (n *nightly) speak(messages []*wire.Message) (answers []*wire.Message) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	cmd := n.thief(ctx, "ssh", victimHost, "anything")
	in, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer in.Close()
	for line := ""; !strings.HasPrefix(line, "muster-in-place "); { // a byte at a time: frames follow
		line = ""
		for b := make([]byte, 1); ; {
			if _, err := io.ReadFull(out, b); err != nil {
				n.t.Fatal(err)
			}
			if line += string(b); b[0] == '\n' {
				break
			}
		}
	}
	c := wire.NewConn(out, in)
	for _, m := range messages {
		_ = c.Queue(m)
	}
	_ = c.Flush()
	for {
		m, err := c.Receive()
		if err != nil {
			return answers
		}
		answers = append(answers, m)
	}
}

func TestNightsKeyFindsDrift(t *testing.T) {
	n := newNightly(t)
	n.install()
	check := func(code int, says ...string) {
		t.Helper()
		r := n.muster(code, "drift", "--scheduled", "--login", "muster-plan", "--login-key", n.key)
		for _, text := range says {
			if !strings.Contains(r.Out+r.Err, text) {
				t.Errorf("it doesn't say %q:\n%s%s", text, r.Out, r.Err)
			}
		}
	}
	check(0, "Drift: 0 new")
	on(t, "app1", "echo else >/etc/nightly")
	check(2, "new", `file["/etc/nightly"]`, "-else", "Drift: 1 new")
	on(t, "app1", "echo else >/home/ops/nightly")
	check(2, "Drift: 1 new, 1 still there")
	n.muster(0, "apply", "playbooks/site.hcl", "--yes")
	check(0, "2 gone", "put right")

	t.Run("edited and not applied", func(t *testing.T) {
		n.write("playbooks/site.hcl", strings.ReplaceAll(nightlySite, "as it should be", "edited"))
		check(2, "not looked at", "Drift: 2 new")
		n.muster(0, "apply", "playbooks/site.hcl", "--yes")
		check(0, "2 gone")
	})
	t.Run("by the timer", func(t *testing.T) {
		unit := "muster-drift-shop"
		if said := on(t, "db1", "systemctl is-enabled "+unit+".timer; systemctl show -p NextElapseUSecRealtime --value "+unit+".timer; systemd-analyze verify /etc/systemd/system/"+unit+".* 2>&1 | grep -i "+unit+" || true"); !strings.HasPrefix(said, "enabled\n") || strings.Count(said, "\n") != 1 {
			t.Errorf("systemd says %q", said)
		}
		on(t, "app1", "echo else >/etc/nightly")
		on(t, "db1", "systemctl start "+unit+".service || { journalctl -n 30 -u "+unit+"; exit 1; }")
		r := n.muster(0, "schedule", "list", "--on", "db1")
		for _, text := range []string{unit + "  03:00 Europe/Berlin", "as muster-night", "03:00 CE", "drift (exit code 2)", "new, "} {
			if !strings.Contains(r.Out, text) {
				t.Errorf("it doesn't say %q:\n%s%s", text, r.Out, r.Err)
			}
		}
		if n := strings.Count(r.Out, "  next  "); n != 3 {
			t.Errorf("%d elapses are shown:\n%s", n, r.Out)
		}
		t.Run("a full disk under the journal", func(t *testing.T) {
			state := "/var/lib/muster-night/" + unit + "/state"
			on(t, "db1", "mount -t tmpfs -o size=16k,mode=0700,uid=$(id -u muster-night) none "+state+" && head -c 1M /dev/zero >"+state+"/fill || true")
			defer on(t, "db1", "umount "+state)
			on(t, "db1", "! systemctl start "+unit+".service")
			if said := on(t, "db1", "journalctl -o cat -n 40 -u "+unit+".service"); !strings.Contains(said, "update /etc/nightly") {
				t.Errorf("the check's result is lost:\n%s", said)
			}
			r := n.muster(0, "schedule", "list", "--on", "db1")
			if !strings.Contains(r.Out, "an error (exit code 1)") || !strings.Contains(r.Out, "journalctl -u "+unit) {
				t.Errorf("list says\n%s", r.Out)
			}
		})
	})
	t.Run("on the machine itself", func(t *testing.T) {
		home := theLab.Home() + "/.ssh/"
		key, known := string(must(os.ReadFile(home+"id_ed25519"))), string(must(os.ReadFile(home+"known_hosts")))
		said := on(t, "db1", `set -e
			cat >/home/ops/id <<'END'
`+key+`END
			mkdir -p /home/ops/own/playbooks /home/ops/own/inventory
			cd /home/ops/own
			cat >inventory/known_hosts <<'END'
`+strings.ReplaceAll(known, "10.0.1.21 ", "app1 ")+`END
			cat >muster.hcl <<'END'
inventory = "hosts.hcl"
END
			cat >hosts.hcl <<'END'
host "here" { connection = "local" }
host "app1" {
  address  = "10.0.1.21"
  user     = "ops"
  identity = "/home/ops/id"
}
END
			cat >playbooks/p.hcl <<'END'
play "p" {
  hosts  = ["app1"]
  become = true
  task "file" "/etc/own" { content = "x" }
}
END
			chmod 600 /home/ops/id && chown -R ops: /home/ops/id /home/ops/own
			at() { su ops -c "cd ~/own && muster schedule $1" 2>&1; }
			! at 'install drift --at "04:00 UTC" --yes'
			at 'install drift --at "04:00 UTC" --limit app1 --yes'
			at list
			systemctl start muster-drift-own.service || journalctl -o cat -u muster-drift-own.service
			at list
			at 'remove drift --limit app1 --yes'
			test ! -e .muster/schedules/drift.key`)
		for _, text := range []string{"here has connection = \"local\"", "muster-drift-own  04:00 UTC\n  as ops in /home/ops/own\n", "it hasn't run yet", "drift (exit code 2)\n          1 new, 0 still there, 0 gone"} {
			if !strings.Contains(said, text) {
				t.Errorf("it doesn't say %q:\n%s", text, said)
			}
		}
		if left := on(t, "db1", "ls /etc/systemd/system | grep own || true"); left != "" {
			t.Errorf("left: %s", left)
		}
	})
	t.Run("another muster's remote", func(*testing.T) {
		on(t, "app1", "sed -i 's/muster-in-place ...../muster-in-place 00000/' /usr/local/lib/muster/muster-plan")
		check(4, "the remote of another muster in place", "muster schedule install")
		n.muster(0, "schedule", "install", "drift", "--at", "03:00 Europe/Berlin", "--on", "db1", "--yes")
		check(2, "Drift:")
	})
	t.Run("removed", func(t *testing.T) {
		key := string(must(os.ReadFile(n.key)))
		n.muster(0, "schedule", "remove", "drift", "--on", "db1", "--yes")
		n.write(".muster/schedules/drift-db1.key", key)
		if err := os.Chmod(n.key, 0o600); err != nil {
			t.Fatal(err)
		}
		check(5, "unreachable")
		if said := on(t, "db1", "ls /etc/systemd/system | grep muster-drift || true"); said != "" {
			t.Errorf("left on db1: %s", said)
		}
		if said := n.muster(0, "schedule", "list", "--on", "db1").Out; !strings.Contains(said, "no schedules") {
			t.Errorf("list says %s", said)
		}
	})
}
