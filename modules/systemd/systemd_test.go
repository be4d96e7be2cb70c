package systemd

import (
	"os"
	"testing"

	"muster/host"
	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, append(Kinds(), file.Kinds()...)...) }

// On a lab host: a hundred tasks that change nothing ask systemd once.
func TestUnchangedTasksAskSystemdOnce(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("looks at a lab host's units")
	}
	h := host.New()
	asked := &modulestest.Counting{Runner: h.Runner}
	h.Runner = asked
	v := host.NewView(h, nil)
	names := []string{"cron", "ssh", "sshd", "dbus", "systemd-journald"}
	expect(v, names)
	for i := range 100 {
		s := &Service{Name: names[i%len(names)], RestartOn: []string{"/etc/passwd-no-such-file"}}
		got, err := s.Plan(t.Context(), v)
		if err != nil || len(got.Changes) > 0 {
			t.Fatal(got, err)
		}
	}
	if asked.Runs != 1 {
		t.Errorf("a hundred tasks ran %d programs, want 1", asked.Runs)
	}
}
