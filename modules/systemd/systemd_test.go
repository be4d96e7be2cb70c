package systemd

import (
	"context"
	"os"
	"testing"
	"time"

	"muster/host"
	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, append(Kinds(), file.Kinds()...)...) }

// On a lab host: what a hundred tasks cost that change nothing.
func TestAnUnchangedTaskCostsMicroseconds(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("looks at a lab host's units")
	}
	v := host.NewView(host.New(), nil)
	names := []string{"cron", "ssh", "sshd", "dbus", "systemd-journald"}
	plan := func(name string) {
		s := &Service{Name: name, RestartOn: []string{"/etc/passwd-no-such-file"}}
		got, err := s.Plan(context.Background(), v)
		if err != nil || len(got.Changes) > 0 {
			t.Fatal(got, err)
		}
	}
	start := time.Now()
	for _, n := range names {
		plan(n)
	}
	first := time.Since(start)
	start = time.Now()
	for i := range 100 {
		plan(names[i%len(names)])
	}
	t.Logf("the first of %d units took %s, a hundred more tasks %s", len(names), first, time.Since(start))
	if each := time.Since(start) / 100; each > 2*time.Millisecond {
		t.Errorf("an unchanged task takes %s", each)
	}
}
