package real

import (
	"strings"
	"testing"
)

// What needs no other tests' state stands in this file.

func TestSiteIsAppliedFromNothingAndThenUnchanged(t *testing.T) {
	siteForRollout = false // its application servers are others
	r := muster(t, "apply", "../../playbooks/site.hcl", "--yes", "--output", "json")
	if r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	_, sum := events(t, r)
	if sum.Outcome != "changed" || len(sum.Hosts) != 8 {
		t.Fatalf("the first apply: %+v", sum)
	}
	answers := on(t, "nat", "for i in 1 2 3 4; do curl -sf --max-time 10 http://10.0.1.11/; done")
	if !strings.Contains(answers, "This is app1.") || !strings.Contains(answers, "This is app2.") {
		t.Errorf("lb1 isn't answered by both application servers:\n%s", answers)
	}

	r = muster(t, "apply", "../../playbooks/site.hcl", "--yes", "--output", "json")
	if _, sum = events(t, r); r.Code != 0 || sum.Outcome != "unchanged" {
		t.Errorf("the second apply: exit code %d, %+v\n%s", r.Code, sum, r.Out)
	}
	if r = muster(t, "plan", "../../playbooks/site.hcl", "--detailed-exitcode"); r.Code != 0 {
		t.Errorf("the plan after it: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}

	// Drift on one host is one change there, shown and made.
	on(t, "cache1", "echo '-v' >> /etc/memcached.conf")
	r = muster(t, "plan", "../../playbooks/site.hcl", "--detailed-exitcode")
	if r.Code != 2 || !strings.Contains(r.Out, "-v") {
		t.Errorf("drift isn't planned: exit code %d\n%s", r.Code, r.Out)
	}
	before := on(t, "cache1", "systemctl show -P MainPID memcached")
	r = muster(t, "apply", "../../playbooks/site.hcl", "--yes", "--output", "json")
	_, sum = events(t, r)
	if h := sum.Hosts["cache1"]; r.Code != 0 || h.Changed != 1 || sum.Hosts["lb1"].Changed != 0 {
		t.Errorf("drift isn't mended: exit code %d, %+v", r.Code, sum.Hosts)
	}
	// memcached never read the line that was added and is gone again.
	if after := on(t, "cache1", "systemctl show -P MainPID memcached"); before != after {
		t.Error("memcached was restarted for a file that is what it was started with")
	}
}
