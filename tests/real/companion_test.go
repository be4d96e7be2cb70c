package real

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// A tree of 50 MB comes straight from another host. Its sender is killed in the middle:
// what has come stays, nothing half, and the next run brings the rest.
func TestTreeComesFromAnotherHostWhoseRemoteIsKilled(t *testing.T) {
	command(t.Context(), t)
	on(t, "app1", "rm -rf /srv/copied")
	on(t, "db1", `rm -rf /srv/tree && mkdir -p /srv/tree/deep/er && cd /srv/tree && head -c 24M /dev/urandom >big
		head -c 24M /dev/urandom | split -b 8k -a 4 -d - deep/er/part && ln -s deep/er here && chmod 0640 deep/er/part0007`)
	book := playbook(t, `
play "copy" {
  hosts  = ["app1"]
  become = true
  task "directory" "/srv/copied" {
    from_host = "db1"
    from_path = "/srv/tree"
    purge     = true
  }
}
`)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := command(ctx, t, "apply", book, "--yes")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	on(t, "app1", "timeout 120 sh -c 'while ! test -e /srv/copied/deep/er/part0010; do sleep 0.01; done'")
	killed := on(t, "db1", `for p in $(ps -eo pid,args | awk '$2 ~ /^\/.*\/[0-9a-f]+$/ {print $1}'); do kill -9 $p && echo $p; done`)
	_ = cmd.Wait()
	if killed == "" {
		t.Fatalf("no remote was found on db1\n%s\n%s", on(t, "db1", "ps -eo pid,args"), out.String())
	}
	had := on(t, "app1", "ls /srv/copied/deep/er | wc -l")
	if code := cmd.ProcessState.ExitCode(); code == 0 || !strings.Contains(out.String(), "db1") {
		t.Fatalf("%s were copied: exit code %d\n%s", had, code, out.String())
	}
	if left := on(t, "app1", "find /srv/copied -name '.muster-*'"); left != "" {
		t.Errorf("half a file is left: %s", left)
	}
	r := muster(t, "apply", book, "--yes")
	if r.Code != 0 {
		t.Fatalf("the next run: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	const sums = "find . -type f -exec sha256sum {} + | sort; find . -printf '%P %y %m %l\n' | sort"
	if want, got := on(t, "db1", "cd /srv/tree && "+sums), on(t, "app1", "cd /srv/copied && "+sums); want != got {
		t.Errorf("the copy differs:\n%.2000s\nwant\n%.2000s", got, want)
	}
	if r := muster(t, "plan", book); r.Code != 0 || !strings.Contains(r.Out, "unchanged") && !strings.Contains(r.Out, "Nothing") {
		t.Errorf("once more: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if left := on(t, "db1", `ss -Hltnp 2>/dev/null | grep -c muster || true`); left != "0" {
		t.Errorf("db1 still listens: %s", left)
	}
}

// Where a firewall is between two hosts the task says so, and what it says helps: the
// tree comes through the controller.
func TestTreeComesThroughTheControllerWhereAFirewallIsBetween(t *testing.T) {
	command(t.Context(), t)
	on(t, "app1", "rm -rf /srv/relayed")
	on(t, "db1", "rm -rf /srv/few && mkdir /srv/few && head -c 5M /dev/urandom >/srv/few/big && echo x >/srv/few/small")
	address := on(t, "app1", "hostname -I | cut -d' ' -f1")
	on(t, "db1", "nft 'add table inet between; add chain inet between in { type filter hook input priority 0; }; add rule inet between in ip saddr "+address+" drop'")
	defer on(t, "db1", "nft delete table inet between")
	with := func(more string) string {
		return playbook(t, `
play "copy" {
  hosts  = ["app1"]
  become = true
  task "directory" "/srv/relayed" {
    from_host = "db1"
    from_path = "/srv/few"
    `+more+`
  }
}
`)
	}
	r := muster(t, "apply", with(""), "--yes")
	for _, says := range []string{"app1 can't connect to db1, which listens on port", "nobody answers within", "firewall", "relay"} {
		if !strings.Contains(r.Out+r.Err, says) {
			t.Errorf("it doesn't say %q", says)
		}
	}
	if r.Code == 0 || t.Failed() {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", with("relay = true"), "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if want, got := on(t, "db1", "cd /srv/few && sha256sum *"), on(t, "app1", "cd /srv/relayed && sha256sum *"); want != got {
		t.Errorf("the copy differs:\n%s\nwant\n%s", got, want)
	}
}
