package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"testing"

	"muster/internal/engine"
	"muster/tests/program"
)

// newFleet starts hosts behind a bastion in a process of their own, and goes
// into the folder of the project that reaches them; see tests/cmd/fleet.
func newFleet(t *testing.T, fleet string, hosts int) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(fleet, "-hosts", fmt.Sprint(hosts), dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fleet: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the fleet says %q, %v", line, err)
	}
	t.Chdir(dir)
}

// prepareSite makes a run of the fleet's playbook ready. It is to be closed.
func prepareSite(t *testing.T, limit ...string) *prepared {
	t.Helper()
	a := &app{out: io.Discard, err: t.Output(), output: "plain", limit: limit}
	r, err := a.prepare(t.Context(), request{file: "site.hcl", readOnly: len(limit) == 0})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run of 100 tasks may take 150 KB more for each further host, with its
// connection: what lives when all hosts have answered, heap and stacks. The
// hosts are in another process, and not counted.
func TestRunTakesLittleMemoryForEachHostWithItsConnection(t *testing.T) {
	const few, many = 10, 60
	limit := int64(150 << 10)
	if raceEnabled {
		limit += 25 << 10 // the detector makes frames larger: 60 KB of stacks, not 36
	}
	fleet := program.Build(t, "muster/tests/cmd/fleet", "muster/cmd/muster-remote")
	used := func(hosts int) (bytes int64) {
		t.Run(fmt.Sprintf("%d hosts", hosts), func(t *testing.T) {
			newFleet(t, fleet, hosts)
			// All hosts share their files: one apply is for all.
			first := prepareSite(t, "web0")
			first.run.Plan(t.Context())
			if s := first.run.Apply(t.Context()); s.Outcome != engine.OutcomeChanged {
				t.Fatalf("at first: %s", s.Outcome)
			}
			first.close() // and with it the hosts' lock
			r := prepareSite(t)
			defer r.close()
			if s := r.run.Plan(t.Context()); s.Outcome != engine.OutcomeUnchanged || s.Hosts["web1"].Unchanged != 100 {
				t.Fatalf("then: %s, %+v", s.Outcome, s.Hosts["web1"])
			}
			for range 5 { // each halves the stacks that have become too large
				runtime.GC()
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			bytes = int64(m.HeapAlloc + m.StackInuse)
		})
		return bytes
	}
	used(few) // what is made once
	small, large := used(few), used(many)
	if t.Failed() {
		return
	}
	each := (large - small) / (many - few)
	t.Logf("%d KB for each host with 100 tasks, its connection included (at most %d)", each>>10, limit>>10)
	if each > limit {
		t.Errorf("a host takes %d KB, and may take %d", each>>10, limit>>10)
	}
}
