package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/lab"
)

// vpnSite has the bastion and db1 be the ends of a tunnel. Each end's key is made there; the
// other is told the public one, in the same run.
const vpnSite = `
variable "shared" {
  type      = string
  sensitive = true
}

play "vpn" {
  hosts  = ["db1"]
  become = true

  task "package" "wireguard" {
    on         = ["nat"]
    name       = ["wireguard-tools", "wireguard-go"]
    recommends = false
  }
  task "package" "here" {
    name       = ["wireguard-tools", "wireguard-go"]
    recommends = false
  }

  task "wireguard" "hub" {
    on      = ["nat"]
    name    = "wg0"
    address = "10.9.0.1/24"
    listen  = 51820
  }
  task "wireguard" "here" {
    name    = "wg0"
    address = "10.9.0.2/24"
  }

  task "wireguard_peer" "db1" {
    on            = ["nat"]
    public_key    = task.wireguard.here.output.public_key
    allowed_ips   = "10.9.0.2"
    preshared_key = var.shared
  }
  task "wireguard_peer" "hub" {
    public_key    = task.wireguard.hub.output.public_key
    allowed_ips   = "10.9.0.0/24"
    endpoint      = "10.0.1.1:51820"
    keepalive     = 5
    preshared_key = var.shared
  }
}
`

// withoutVPN leaves the ends without a tunnel, before a test and after it.
func withoutVPN(t *testing.T) {
	t.Helper()
	clean := func() {
		for _, host := range []string{lab.Bastion, "db1"} {
			_, _ = theLab.Host(host).Exec(context.Background(), "sh", "-c", `nft 'add table inet shut; delete table inet shut'
				systemctl disable -q --now wg-quick@wg0 2>/dev/null; rm -rf /etc/wireguard/*`)
		}
	}
	clean()
	t.Cleanup(clean)
}

// knows has the workstation know a host by another address.
func knows(t *testing.T, address, key string) {
	t.Helper()
	path := filepath.Join(theLab.Home(), ".ssh", "known_hosts")
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(old, address+" "+key+"\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(path, old, 0o600) })
}

func TestAHostIsReachedThroughATunnelThatMusterHasMade(t *testing.T) {
	command(t.Context(), t)
	withoutVPN(t)
	const shared = "Z2VoZWltIGdlaGVpbSBnZWhlaW0gZ2VoZWltIGdlaGU="
	secrets := filepath.Join(t.TempDir(), "shared.hcl")
	if err := os.WriteFile(secrets, []byte("shared = \""+shared+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	site := playbook(t, vpnSite)
	told := func(r result) result {
		t.Helper()
		if strings.Contains(r.Out+r.Err, shared) {
			t.Error("the key that both share is shown")
		}
		return r
	}
	if r := told(muster(t, "apply", site, "--yes", "--var-file", secrets)); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := told(muster(t, "apply", site, "--yes", "--var-file", secrets)); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, lab.Bastion, "timeout 20 sh -c 'until ping -c1 -W1 10.9.0.2 >/dev/null; do :; done'")

	// The role finds the same.
	end := on(t, "db1", "wg show wg0 public-key")
	role := withRoles(t, `
variable "shared" {
  type      = string
  sensitive = true
}
play "role" {
  hosts  = ["nat"]
  become = true
  role "vpn" {
    address        = ["10.9.0.1/24"]
    userspace      = true
    forward        = true
    peers          = { db1 = { public_key = "`+end+`", allowed_ips = ["10.9.0.2/32"] } }
    preshared_keys = { db1 = var.shared }
  }
}
`)
	if r := told(muster(t, "apply", role, "--yes", "--var-file", secrets)); r.Code != 0 || strings.Contains(r.Out, "wg0") {
		t.Errorf("the role finds something else: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}

	// From here on the host lets nobody in but through the tunnel.
	through := filepath.Join(t.TempDir(), "tunnel.hcl")
	if err := os.WriteFile(through, []byte(`
bastion "nat" {
  address = "203.0.113.10"
  user    = "ops"
}
host "db1" {
  address = "10.9.0.2"
  user    = "ops"
  via     = "nat"
}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	knows(t, "10.9.0.2", on(t, "db1", "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"))
	shut := func() {
		on(t, "db1", "nft 'add table inet shut; add chain inet shut in { type filter hook input priority 0; }; add rule inet shut in iifname eth0 tcp dport 22 drop'")
	}
	shut()
	managed := func(name string) {
		t.Helper()
		book := playbook(t, `
play "managed" {
  hosts  = ["db1"]
  become = true
  task "file" "/etc/`+name+`" { content = "through the tunnel\n" }
}
`)
		cmd := theLab.Lab.Command(t.Context(), binary(t), "apply", book, "--yes", "-i", through)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		on(t, "db1", "grep -q tunnel /etc/"+name+" && rm /etc/"+name)
	}
	managed("tunnel-first")

	// Other peers come and go while packets go through: none is lost.
	pinging := make(chan string, 1)
	go func() {
		out, err := theLab.Host(lab.Bastion).Exec(t.Context(), "ping", "-i", "0.05", "-c", "200", "-W", "2", "10.9.0.2")
		if err != nil {
			out = append(out, err.Error()...)
		}
		pinging <- string(out)
	}()
	peers := func(state string) {
		t.Helper()
		given := "state = \"absent\""
		if state == "present" {
			given = "public_key  = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n allowed_ips = [\"10.9.0.7/32\", \"192.168.77.0/24\"]"
		}
		r := muster(t, "apply", playbook(t, "play \"peers\" {\n  hosts  = [\"nat\"]\n  become = true\n  task \"wireguard_peer\" \"other\" {\n"+given+"\n  }\n}\n"), "--yes")
		if r.Code != 0 || !strings.Contains(r.Out, "peer other") {
			t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
		}
	}
	peers("present")
	on(t, lab.Bastion, "wg show wg0 allowed-ips | grep -q 10.9.0.7/32")
	peers("absent")
	on(t, lab.Bastion, "! wg show wg0 allowed-ips | grep -q 10.9.0.7/32")
	if out := <-pinging; !strings.Contains(out, " 0% packet loss") {
		t.Errorf("packets were lost while another peer came and went:\n%s", out)
	}

	// After a power cut the tunnel is back by itself.
	if err := theLab.Host("db1").Kill(); err != nil {
		t.Fatal(err)
	}
	if err := theLab.Host("db1").Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	shut()
	on(t, lab.Bastion, "timeout 60 sh -c 'until ping -c1 -W1 10.9.0.2 >/dev/null; do :; done'")
	managed("tunnel-again")

	// An address that would cut the host off, for whoever comes through the tunnel.
	cmd := theLab.Lab.Command(t.Context(), binary(t), "apply", playbook(t, "play \"wrong\" {\n  hosts  = [\"db1\"]\n  become = true\n  task \"wireguard\" \"wg0\" { address = \"10.8.0.2/24\" }\n}\n"), "--yes", "-i", through)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("an address that nobody reaches is kept:\n%s", out)
	}
	on(t, lab.Bastion, "timeout 60 sh -c 'until ping -c1 -W1 10.9.0.2 >/dev/null; do :; done'")
	managed("tunnel-still")
	private := on(t, "db1", "cat /etc/wireguard/wg0.key")
	on(t, "db1", "! grep -rqF '"+private+"' /var/lib/muster /run/muster /var/cache 2>/dev/null")
}
