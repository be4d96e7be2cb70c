package packages

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"muster/host"
	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/systemd"
)

func TestConformance(t *testing.T) {
	if os.Getenv(modulestest.LabHost) != "" {
		if out, err := exec.Command("sh", "testdata/repo.sh").CombinedOutput(); err != nil {
			t.Fatalf("making the repository: %v\n%s", err, out)
		}
	}
	kinds := append(Kinds(), file.Kinds()...)
	modulestest.Run(t, append(kinds, systemd.Kinds()...)...)
}

// On a lab host: what a hundred tasks cost that change nothing.
func TestAnUnchangedTaskCostsMicroseconds(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("looks at a lab host's packages")
	}
	v := host.NewView(host.New(), nil)
	p := &Package{Name: []string{"systemd"}}
	plan := func() {
		got, err := p.Plan(context.Background(), v)
		if err != nil || len(got.Changes) > 0 {
			t.Fatal(got, err)
		}
	}
	start := time.Now()
	plan()
	first := time.Since(start)
	start = time.Now()
	for range 100 {
		plan()
	}
	t.Logf("the first took %s, a hundred more %s", first, time.Since(start))
	if each := time.Since(start) / 100; each > time.Millisecond {
		t.Errorf("an unchanged task takes %s", each)
	}
}
