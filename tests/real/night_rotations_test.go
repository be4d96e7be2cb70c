package real

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/operator"
)

// The key of rotations makes changes, and has no shell either.
func TestNightsKeyOfRotations(t *testing.T) {
	n := newNightly(t)
	n.key = filepath.Join(n.dir, ".muster/schedules/rotations.key")
	n.write("muster.hcl", "inventory = \"inventory/hosts.hcl\"\nsecrets_commit = [\"true\"]\n")
	if out, err := exec.Command("chown", "-R", "nobody", n.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// As where there is no systemd: nothing is installed on this machine.
	install := theLab.Lab.Command(t.Context(), "unshare", "-m", "sh", "-c", `[ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd; exec "$0" "$@"`,
		binary(t), "schedule", "install", "rotations", "--at", "Sun 04:00 UTC", "--limit", "app1", "--yes")
	install.Dir = n.dir
	if r := operator.Run(t, install); r.Code != 0 || !strings.Contains(r.Out, "can change what muster can") || !strings.Contains(r.Out, "rotate --due --yes --scheduled --login muster-rotate") {
		t.Errorf("%s%s", r.Out, r.Err)
	}
	hosts := string(must(os.ReadFile(filepath.Join(n.dir, "inventory/hosts.hcl"))))
	n.write("with-key.hcl", strings.NewReplacer(`"ops"`, `"muster-rotate"`, `defaults {`, "defaults {\n  identity = \""+n.key+"\"", `bastion "nat" {`, "bastion \"nat\" {\n  identity = \""+n.key+"\"").Replace(hosts))
	n.write("change.hcl", "play \"change\" {\n  hosts  = [\"app1\"]\n  become = true\n  task \"file\" \"/etc/rotated\" { content = \"x\\n\" }\n}\n")
	n.muster(0, "apply", "-i", "with-key.hcl", "change.hcl", "--yes")
	if got := on(t, "app1", "cat /etc/rotated"); got != "x" {
		t.Errorf("it made %q", got)
	}
	proxy := strings.ReplaceAll(bastionLogin, "plan", "rotate")
	known := theLab.Home() + "/.ssh/known_hosts"
	options := []string{"-F", "none", "-o", "UserKnownHostsFile=" + known, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", n.key}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := theLab.Lab.Command(ctx, "ssh", append(options, "-o", "ProxyCommand=ssh "+strings.Join(options, " ")+" -W %h:%p "+proxy, strings.ReplaceAll(victimHost, "plan", "rotate"), "id; touch /tmp/stolen")...)
	cmd.Stdin = strings.NewReader("id\n")
	if said, _ := cmd.CombinedOutput(); ranID.Match(said) || !bytes.Contains(said, []byte("muster-in-place")) {
		t.Errorf("a shell says %q", said)
	}
	if left := on(t, "app1", "ls /tmp | grep stolen || true"); left != "" {
		t.Errorf("left: %s", left)
	}
}
