package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/await"
	"muster/tests/lab"
	"muster/tests/operator"
)

// A machine that takes only a password: its key is pinned after a look, the user's key is
// proved, and passwords are turned off only then. Where no new login succeeds they come back.
func TestMachineThatTakesOnlyAPassword(t *testing.T) {
	command(t.Context(), t)
	bare(t, newHire)
	host := theLab.Host(newHire)
	on(t, newHire, `rm -f /home/asks/.ssh/authorized_keys; echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud.conf; systemctl reload ssh`)
	project, home := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(project, "muster.hcl"), "inventory = \"hosts.hcl\"\n")
	write(filepath.Join(project, "hosts.hcl"), `
bastion "nat" {
  address  = "`+lab.BastionAddress+`"
  user     = "ops"
  identity = "`+filepath.Join(theLab.Home(), ".ssh/id_ed25519")+`"
}
group "dev" {
  host "mine" {
    address = "`+host.Address()+`"
    user    = "asks"
    via     = "nat"
  }
  host "theirs" {
    address  = "`+host.Address()+`"
    user     = "limited"
    via      = "nat"
    identity = "`+filepath.Join(theLab.Home(), ".ssh/id_ed25519")+`"
  }
}
`)
	write(filepath.Join(project, "playbooks/dev_vm.hcl"), `play "machine" {
  hosts  = ["dev"]
  become = true
  task "file" "/etc/motd" { content = "bootstrapped\n" }
}
`)
	known, err := os.ReadFile(filepath.Join(theLab.Home(), ".ssh/known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	var bastion []string
	for line := range strings.Lines(string(known)) {
		if strings.Contains(line, lab.BastionAddress) {
			bastion = append(bastion, line)
		}
	}
	write(filepath.Join(home, ".ssh/known_hosts"), strings.Join(bastion, ""))
	machine := "mine"
	run := func(code int, password string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := theLab.Lab.Command(ctx, binary(t), append([]string{"bootstrap", machine, "--yes", "--no-color"}, args...)...)
		cmd.Dir, cmd.Stdin = project, strings.NewReader(password)
		cmd.Env = append(cmd.Env, "HOME="+home)
		r := operator.Run(t, cmd)
		if r.Code != code {
			t.Fatalf("exit code %d, not %d\n%s%s", r.Code, code, r.Out, r.Err)
		}
		if strings.Contains(r.Out+r.Err, lab.AsksPassword) {
			t.Errorf("it shows the password:\n%s%s", r.Out, r.Err)
		}
		return r.Out + r.Err
	}
	fingerprint := strings.Fields(on(t, newHire, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	// Who can't become root is told so before anything is changed.
	machine = "theirs"
	if said := run(4, "", "--fingerprint", fingerprint); !strings.Contains(said, "NO  sudo") || !strings.Contains(said, "Nothing was changed") {
		t.Errorf("without sudo:\n%s", said)
	}
	on(t, newHire, "! grep -q bootstrapped /etc/motd")
	machine = "mine"

	if said := run(1, ""); !strings.Contains(said, fingerprint) {
		t.Errorf("it doesn't show %s:\n%s", fingerprint, said)
	}
	run(1, "", "--fingerprint", "SHA256:another")
	on(t, newHire, "test ! -e /home/asks/.ssh/authorized_keys")
	if said := run(5, "wrong\n", "--fingerprint", fingerprint); !strings.Contains(said, "refuses the password") {
		t.Errorf("with a wrong password:\n%s", said)
	}

	// A machine on which no key would log in once passwords are off: they stay on.
	on(t, newHire, `printf 'Match User asks\n\tAuthorizedKeysFile none\n' >/etc/ssh/sshd_config.d/40-nothing.conf; systemctl reload ssh`)
	if said := run(1, lab.AsksPassword+"\n"); !strings.Contains(said, "passwords were left on") {
		t.Errorf("where keys don't count:\n%s", said)
	}
	on(t, newHire, `set -e; test ! -e /etc/ssh/sshd_config.d/00-muster-passwords.conf; sshd -T | grep -qx 'passwordauthentication yes'
		rm /etc/ssh/sshd_config.d/40-nothing.conf; systemctl reload ssh`)

	// One whose sshd takes no new login once it was told so: they come back.
	on(t, newHire, `rm /home/asks/.ssh/authorized_keys; mkdir -p /etc/systemd/system/ssh.service.d
		printf '[Service]\nExecReload=\nExecReload=/bin/kill -STOP $MAINPID\n' >/etc/systemd/system/ssh.service.d/hang.conf; systemctl daemon-reload`)
	if said := run(1, lab.AsksPassword+"\n"); !strings.Contains(said, "they were turned on again") {
		t.Errorf("where no new login succeeds:\n%s", said)
	}
	on(t, newHire, `set -e; test ! -e /etc/ssh/sshd_config.d/00-muster-passwords.conf; ! systemctl is-active -q muster-passwords.timer
		rm /etc/systemd/system/ssh.service.d/hang.conf; systemctl daemon-reload; kill -CONT $(systemctl show -P MainPID ssh); systemctl reload ssh`)

	// The key is installed by now: taken away, the whole way is gone. This sshd takes its
	// time to listen again.
	on(t, newHire, `set -e; rm /home/asks/.ssh/authorized_keys; mkdir -p /etc/systemd/system/ssh.service.d
		printf 'table inet away {\n chain in {\n  type filter hook input priority 0\n  tcp dport 22 tcp flags & (syn|ack) == syn reject with tcp reset\n }\n}\n' >/etc/away.nft
		printf '[Service]\nExecReload=\nExecReload=/bin/sh -c "nft -f /etc/away.nft && systemd-run --quiet --on-active=2 --timer-property=AccuracySec=0.1 nft delete table inet away"\nExecReload=/bin/kill -HUP $MAINPID\n' >/etc/systemd/system/ssh.service.d/away.conf
		systemctl daemon-reload`)
	said := run(0, lab.AsksPassword+"\n")
	for _, want := range []string{"a new login with it works", "takes no passwords any more", "mine was made. Nothing proves that it works"} {
		if !strings.Contains(said, want) {
			t.Errorf("it doesn't say %q:\n%s", want, said)
		}
	}
	on(t, newHire, `rm /etc/systemd/system/ssh.service.d/away.conf && systemctl daemon-reload`)
	on(t, newHire, `set -e; sshd -T | grep -qx 'passwordauthentication no'; grep -qx bootstrapped /etc/motd
		! systemctl is-active -q muster-passwords.timer; ! grep -rqs `+lab.AsksPassword+` /var/log /home/asks /root`)

	// Killed between the key and the end of passwords, and in the middle of turning them
	// off, it is gone on with by the next run, which needs the password for sudo alone.
	killed := func(when func(said string) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := theLab.Lab.Command(ctx, binary(t), "bootstrap", machine, "--yes", "--no-color")
		cmd.Dir, cmd.Stdin = project, strings.NewReader(lab.AsksPassword+"\n")
		cmd.Env = append(cmd.Env, "HOME="+home)
		log, err := os.Create(filepath.Join(t.TempDir(), "said"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		said := func() string {
			text, _ := os.ReadFile(log.Name())
			return string(text)
		}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await.Until(t, "muster has come to where it is killed", func() bool { return when(said()) })
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if strings.Contains(said(), "takes no passwords any more") {
			t.Fatalf("it was killed too late:\n%s", said())
		}
	}
	on(t, newHire, `set -e; rm /home/asks/.ssh/authorized_keys /etc/ssh/sshd_config.d/00-muster-passwords.conf; systemctl reload ssh
		printf '[Service]\nExecReload=\nExecReload=/bin/sh -c "while test -e /run/hold-reload; do sleep 0.1; done"\nExecReload=/bin/kill -HUP $MAINPID\n' >/etc/systemd/system/ssh.service.d/hold.conf
		systemctl daemon-reload; touch /run/hold-reload`)
	killed(func(said string) bool { return strings.Contains(said, "a new login with it works") })
	on(t, newHire, "test -e /home/asks/.ssh/muster-bootstrap")
	killed(func(string) bool {
		return on(t, newHire, "test -e /etc/ssh/sshd_config.d/00-muster-passwords.conf && echo there || true") != ""
	})
	on(t, newHire, "rm /run/hold-reload")
	if said := run(0, lab.AsksPassword+"\n"); !strings.Contains(said, "left passwords on") || !strings.Contains(said, "takes no passwords any more") {
		t.Errorf("after it was killed:\n%s", said)
	}
	on(t, newHire, `set -e; sshd -T | grep -qx 'passwordauthentication no'; ! systemctl is-active -q muster-passwords.timer; test ! -e /home/asks/.ssh/muster-bootstrap`)
	// There is nothing of that to go on with: the password that nobody gives is sudo's.
	if said := run(4, ""); strings.Contains(said, "left passwords on") || !strings.Contains(said, "NO  sudo") {
		t.Errorf("once it has come to its end:\n%s", said)
	}
}
