package lang

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"muster/internal/lang/plays"
	"muster/tests/bench"
)

// bigPlaybook writes a playbook of n tasks with what playbooks are made of.
func bigPlaybook(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := bench.Playbook(dir, n); err != nil {
		t.Fatal(err)
	}
	return dir
}

// processTime is the processor time that this process has used: unlike the
// clock it doesn't count what other processes do at the same time.
func processTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLoadIsFast holds 10,000 tasks to the bounds of muster validate, 1 s and
// 200 MB. Time is processor time of all threads, the best of three, and may
// double on a machine that is busy with something else.
func TestLoadIsFast(t *testing.T) {
	n, limit := 10_000, 2*time.Second
	if raceEnabled {
		n, limit = 1_000, 20*time.Second
	}
	dir := bigPlaybook(t, n)
	best, most := time.Hour, uint64(0)
	for range 3 {
		start := processTime(t)
		p, diags := Load(filepath.Join(dir, "site.hcl"), testOptions(dir))
		best = min(best, processTime(t)-start)
		if diags.HasErrors() || len(p.Plays) != n/1000 {
			t.Fatal(len(p.Plays), diags)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse>>20)
		runtime.KeepAlive(p)
	}
	t.Logf("%d tasks in %s, %d MB in use at the end", n, best, most)
	if best > limit {
		t.Errorf("Load took %s, more than %s", best, limit)
	}
	if most > 200 && !raceEnabled {
		t.Errorf("%d MB are in use, more than 200", most)
	}
}

func BenchmarkLoad10000(b *testing.B) {
	dir := bigPlaybook(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := Load(filepath.Join(dir, "site.hcl"), testOptions(dir)); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// BenchmarkEvaluate200TasksOn1000Hosts shows what a host costs in a run.
func BenchmarkEvaluate200TasksOn1000Hosts(b *testing.B) {
	dir := bigPlaybook(b, 200)
	o := testOptions(dir)
	f := &plays.Fleet{Groups: map[string][]string{"app": nil}}
	for i := range 1000 {
		name := fmt.Sprintf("h%d", i)
		f.Hosts = append(f.Hosts, plays.Host{Name: name, Groups: []string{"app"}})
		f.Groups["all"] = append(f.Groups["all"], name)
	}
	f.Groups["app"] = f.Groups["all"][:3]
	o.Fleet = f
	p, diags := Load(filepath.Join(dir, "site.hcl"), o)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, h := range p.Plays[0].Hosts {
			s := p.Scope(p.Plays[0], h, &fakeResults{Planning: true})
			for _, step := range p.Plays[0].Steps {
				instances, _, _ := s.Instances(step.Task)
				if _, _, diags := s.Evaluate(instances[0]); diags.HasErrors() {
					b.Fatal(diags)
				}
			}
		}
	}
}
