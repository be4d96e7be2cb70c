package mysql

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// killing ends the processes that muster's part on a host is, without a warning.
const killing = `for p in /proc/[0-9]*; do case "$(readlink $p/exe 2>/dev/null)" in *muster*) kill -9 ${p#/proc/} ;; esac; done`

// A step is a moment of a replica's provisioning, and what is killed then.
type step struct {
	name string
	// moment is a shell condition that holds then on the replica.
	moment string
	// on is where muster's part is killed; "" is the controller.
	on string
	// by are the methods that come to that moment.
	by []string
}

// What is beside the data directory tells how far files have come, the note of a copy how far
// what a server does itself.
const (
	comes   = "test -d /var/lib/mysql.muster-copy"
	whole   = "test -d /var/lib/mysql.muster-ready"
	changed = "test -d /var/lib/mysql.muster-old"
)

func noted(state string) string {
	return "grep -q '.state.:." + state + ".' /var/lib/muster/mysql/copy.json 2>/dev/null"
}

var steps = []step{
	{"copying", comes, "db2", []string{"backup"}},
	{"copying-donor", comes, "db1", []string{"backup"}},
	{"copying-controller", comes, "", []string{"backup"}},
	{"prepared", whole, "db2", []string{"backup"}},
	{"swapped", changed, "db2", []string{"backup"}},
	{"swapped-controller", changed, "", []string{"backup"}},
	{"loading", noted("loading"), "db2", []string{"dump"}},
	{"loading-donor", noted("loading"), "db1", []string{"dump"}},
	{"cloning", noted("cloning"), "db2", []string{"clone"}},
	{"cloning-donor", noted("cloning"), "db1", []string{"clone"}},
	{"cloning-controller", noted("cloning"), "", []string{"clone"}},
	// Which lasts for milliseconds: what comes next will do.
	{"loaded", noted(`\(loaded\|placed\)`), "db2", []string{"dump", "clone"}},
	{"placed", noted("placed"), "db2", []string{"backup", "dump", "clone"}},
}

// method is how the replicas get their data, as auto chooses.
func method() string {
	f, _ := chosen()
	switch m := os.Getenv("METHOD"); {
	case m != "" && m != "auto":
		return m
	case f.name == "mysql":
		return "clone"
	}
	return "backup"
}

func TestKilledProvisioningIsMadeByTheNextRun(t *testing.T) {
	real(t)
	if os.Getenv("TIMES") != "" {
		return // something else is asked for
	}
	usual := map[string]string{"backup": "swapped-controller", "dump": "loaded", "clone": "cloning-controller"}
	wanted := cmp.Or(os.Getenv("KILL"), usual[method()])
	var names []string
	prepared := false
	for _, s := range steps {
		if !slices.Contains(s.by, method()) {
			continue
		}
		names = append(names, s.name)
		if wanted != s.name && wanted != "all" {
			continue
		}
		if !prepared {
			bare(t, "db1")
			apply(t, 0, "--limit", "db1")
			fill(t, size(t))
			prepared = true
		}
		t.Run(s.name, func(t *testing.T) { s.kill(t) })
	}
	if !prepared {
		t.Fatalf("KILL is all, or by %s one of %s", method(), strings.Join(names, ", "))
	}
}

// kill makes a replica from nothing while the primary takes writes, has it killed at the
// step, and runs muster once more.
func (s step) kill(t *testing.T) {
	bare(t, "db2")
	w := startWriter(t)
	defer w.end()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := applying(ctx, t, "--limit", "db1,db2")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	on(t, "db2", "timeout 180 sh -c \"until "+s.moment+"; do sleep 0.005; done\"")
	if s.on == "" {
		_ = cmd.Process.Kill()
	} else if _, err := theLab.Host(s.on).Exec(t.Context(), "sh", "-c", killing); err != nil {
		t.Logf("killing: %v", err)
	}
	_ = cmd.Wait()
	show("--- killed at %s, exit code %d\n%s", s.name, cmd.ProcessState.ExitCode(), out.String())
	begun := time.Now()
	again := apply(t, 0, "--limit", "db1,db2")
	show("--- the next run, %.1f s\n%s", time.Since(begun).Seconds(), again.Out)
	if r := apply(t, 0, "--limit", "db1,db2"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("after it there is more to do:\n%s", r.Out)
	}
	written := w.stop()
	if written.failed > 0 {
		t.Errorf("%d writes failed", written.failed)
	}
	sameRows(t, written.acknowledged, "db2")
	if left := on(t, "db2", "ls -d /var/lib/mysql.muster-* /var/lib/muster/mysql/copy.json 2>/dev/null || true"); left != "" {
		t.Errorf("it has left %s", left)
	}
	fmt.Printf("killed at %s: %d rows acknowledged, all there; the longest wait for a commit %s\n", s.name, written.count, written.longest)
}
