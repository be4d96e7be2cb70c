package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/lab"
)

// withRoles writes a playbook that can use the roles of this project.
func withRoles(t *testing.T, text string) string {
	t.Helper()
	project := t.TempDir() // a role is found in the project of its playbook
	roles, err := filepath.Abs("../../roles")
	if err == nil {
		err = os.Symlink(roles, filepath.Join(project, "roles"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(project, "muster.hcl"), nil, 0o600)
	}
	file := filepath.Join(project, "site.hcl")
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// natRole is a playbook that has a host masquerade a network.
func natRole(t *testing.T, host, inside, inputs string) string {
	t.Helper()
	return withRoles(t, `
play "nat" {
  hosts  = ["`+host+`"]
  become = true
  role "nat" {
    inside  = ["`+inside+`"]
    outside = "eth0"
    `+inputs+`
  }
}
`)
}

// withoutNAT leaves a host without what the role makes, before a test and after it.
func withoutNAT(t *testing.T, host string) {
	t.Helper()
	clean := func() {
		_, _ = theLab.Host(host).Exec(context.Background(), "sh", "-c", `nft 'add table ip muster_nat; delete table ip muster_nat'
			rm -rf /etc/nftables.d /var/lib/muster/nftables
			sed -i /muster_nat/d /etc/nftables.conf; sed -i /ip_forward/d /etc/sysctl.d/99-muster.conf; systemctl -q disable nftables`)
	}
	clean()
	t.Cleanup(clean)
}

// The workstation has no way back to the private network: what comes from there is
// answered only where the bastion gives it its own address.
func TestTheBastionMasqueradesItsNetworkAndIsStillReachedThrough(t *testing.T) {
	command(t.Context(), t)
	const bastion = lab.Bastion
	withoutNAT(t, bastion)
	rules := on(t, bastion, "nft -s list table ip lab")
	t.Cleanup(func() {
		_, _ = theLab.Host(bastion).Exec(context.Background(), "sh", "-c", "nft -f - <<'EOF'\nadd table ip lab\ndelete table ip lab\n"+rules+"\nEOF")
	})
	on(t, bastion, `nft delete rule ip lab postrouting handle $(nft -a list chain ip lab postrouting | sed -n 's/.*oifname "eth0".*# handle //p')`)
	others := func() string { return on(t, bastion, "nft -s list table ip lab") }
	before := others()
	reaches := func() bool {
		_, err := theLab.Host("app1").Exec(t.Context(), "ping", "-c1", "-W2", lab.WorkstationAddress)
		return err == nil
	}
	if reaches() {
		t.Fatal("app1 reaches the workstation without a rule: this test would prove nothing")
	}

	file := natRole(t, bastion, "10.0.1.0/24", "")
	if r := muster(t, "plan", file); !strings.Contains(r.Out, "create table ip muster_nat") || !strings.Contains(r.Out, "proven by a new login") {
		t.Errorf("the plan: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", file, "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if !reaches() {
		t.Error("app1 doesn't reach the workstation: " + on(t, bastion, "nft list table ip muster_nat; sysctl net.ipv4.ip_forward"))
	}
	if r := muster(t, "apply", file, "--yes"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if now := others(); now != before {
		t.Errorf("somebody else's table was altered:\n%s\nwas\n%s", now, before)
	}

	// Nobody outside gets in, though a route leads there.
	workstation := func(script string) error {
		return theLab.Lab.Command(t.Context(), "sh", "-c", script).Run()
	}
	if err := workstation("ip route add 10.0.1.0/24 via " + lab.BastionAddress); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = theLab.Lab.Command(context.Background(), "ip", "route", "del", "10.0.1.0/24").Run()
	})
	const enters = "timeout 3 bash -c '</dev/tcp/10.0.1.21/22'"
	if workstation(enters) == nil {
		t.Error("the workstation gets in to app1 past the bastion's sshd")
	}
	if r := muster(t, "apply", natRole(t, bastion, "10.0.1.0/24", "closed = false"), "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if err := workstation(enters); err != nil {
		t.Errorf("with closed = false it doesn't get in: %v", err)
	}
}

func TestDockersRulesAreTheSameAfterNAT(t *testing.T) {
	command(t.Context(), t)
	const host = "app1"
	withoutNAT(t, host)
	on(t, host, "apt-get install -yqq docker.io >/dev/null && systemctl start docker")
	rules := func() string {
		return on(t, host, "nft 'add table ip muster_nat; delete table ip muster_nat'; nft -s list ruleset")
	}
	before := rules()
	if !strings.Contains(before, "chain DOCKER") {
		t.Fatalf("Docker has no chains: this test would prove nothing\n%s", before)
	}
	if r := muster(t, "apply", natRole(t, host, "10.8.0.0/24", ""), "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, host, "nft list table ip muster_nat | grep -q masquerade")
	if after := rules(); after != before {
		t.Errorf("the rules besides are\n%s\nwere\n%s", after, before)
	}
}
