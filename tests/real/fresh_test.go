package real

import (
	"strings"
	"testing"
	"time"

	"muster/tests/lab"
)

// How long the site may take from bare hosts, with the packages in the lab's cache.
const siteTakes = 6 * time.Minute

// What needs no other tests' state stands in this file.

func TestSiteIsAppliedFromNothingAndThenUnchanged(t *testing.T) {
	command(t.Context(), t)
	bare(t, "lb1", "app1", "app2", "db1", "db2", "db3", "cache1", "log1")
	withoutVPN(t)
	withoutNAT(t, lab.Bastion)
	start := time.Now()
	r := muster(t, "apply", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--yes", "--output", "json")
	if r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	_, sum := events(t, r)
	took := time.Since(start)
	if sum.Outcome != "changed" || len(sum.Hosts) != 9 {
		t.Fatalf("the first apply: %+v", sum)
	}
	if t.Logf("the site took %.1f s from bare hosts", took.Seconds()); took > 3*siteTakes {
		t.Errorf("that is more than three times %s", siteTakes)
	}
	answers := on(t, "nat", "for i in 1 2 3 4; do curl -sf --max-time 10 http://10.0.1.11/; done")
	if !strings.Contains(answers, "This is app1.") || !strings.Contains(answers, "This is app2.") {
		t.Errorf("lb1 isn't answered by both application servers:\n%s", answers)
	}

	// Redis runs beside Memcached, and lets nobody in without a password.
	if got := on(t, "cache1", "systemctl is-active redis-server memcached docker-registry"); got != "active\nactive\nactive" {
		t.Errorf("on cache1: %q", got)
	}
	if got := on(t, "app1", `bash -c "exec 3<>/dev/tcp/10.0.1.41/6379; echo PING >&3; head -c 7 <&3"`); got != "-NOAUTH" {
		t.Errorf("Redis tells another host %q", got)
	}
	// What is written on the primary comes to both replicas.
	on(t, "db1", "mariadb -e 'CREATE DATABASE site; CREATE TABLE site.t SELECT 42 AS n'")
	for _, replica := range []string{"db2", "db3"} {
		on(t, replica, "timeout 60 sh -c 'until mariadb -Ne \"SELECT n FROM site.t\" 2>/dev/null | grep -q 42; do sleep 0.2; done'; mariadb -e 'SHOW REPLICA STATUS\\G' | grep -q 'Master_SSL_Allowed: Yes'")
	}
	// Production and staging may pull.
	for _, host := range []string{"app1", "app2", "log1"} {
		on(t, host, "docker pull -q "+registryAt+"/none 2>&1 | grep -q 'not found'")
	}
	// A line of every host comes to the receiver.
	for _, h := range theLab.Hosts() {
		if name := h.Name(); name != receiverHost {
			on(t, name, "logger from the site")
			on(t, receiverHost, "timeout 90 sh -c 'until grep -q \"from the site\" /var/log/hosts/"+name+".log; do sleep 0.2; done'")
		}
	}
	if got := on(t, lab.Bastion, "wg show wg0 allowed-ips | cut -f2; wg show wg0 listen-port; nft list table ip muster_nat | grep -c masquerade"); got != "10.9.0.2/32\n51820\n1" {
		t.Errorf("the bastion has %q", got)
	}

	start = time.Now()
	r = muster(t, "apply", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--yes", "--output", "json")
	if _, sum = events(t, r); r.Code != 0 || sum.Outcome != "unchanged" {
		t.Errorf("the second apply: exit code %d, %+v\n%s", r.Code, sum, r.Out)
	}
	t.Logf("unchanged, it took %.1f s", time.Since(start).Seconds())
	if r = muster(t, "plan", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("the plan after it: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}

	// A receiver that is down is put right by the run, whose other hosts say meanwhile that
	// nobody answers.
	on(t, receiverHost, "systemctl stop rsyslog syslog.socket")
	if r = muster(t, "apply", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--yes"); r.Code != 0 || !strings.Contains(r.Out, "nobody answers at 10.0.1.51:6514") {
		t.Errorf("without the receiver: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, receiverHost, "systemctl is-active rsyslog")

	// Drift on one host is one change there, shown and made.
	on(t, "cache1", "echo '-v' >> /etc/memcached.conf")
	r = muster(t, "plan", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--detailed-exitcode")
	if r.Code != 2 || !strings.Contains(r.Out, "-v") {
		t.Errorf("drift isn't planned: exit code %d\n%s", r.Code, r.Out)
	}
	before := on(t, "cache1", "systemctl show -P MainPID memcached")
	r = muster(t, "apply", "../../playbooks/site.hcl", "--var-file", siteVars(t), "--yes", "--output", "json")
	_, sum = events(t, r)
	if h := sum.Hosts["cache1"]; r.Code != 0 || h.Changed != 1 || sum.Hosts["lb1"].Changed != 0 {
		t.Errorf("drift isn't mended: exit code %d, %+v", r.Code, sum.Hosts)
	}
	// memcached never read the line that was added and is gone again.
	if after := on(t, "cache1", "systemctl show -P MainPID memcached"); before != after {
		t.Error("memcached was restarted for a file that is what it was started with")
	}
}
