package systemd

import (
	"os"
	"strings"
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

func TestWhatIsNoTimerIsNamed(t *testing.T) {
	known := func(string) bool { return false }
	for name, c := range map[string]struct {
		timer Timer
		arg   string
		says  string
	}{
		"a unit's type":   {Timer{Name: "x.timer", OnCalendar: []string{"daily"}, Command: "true"}, "name", "without its unit's type"},
		"a template":      {Timer{Name: "x@y", OnCalendar: []string{"daily"}, Command: "true"}, "name", "is no template"},
		"a slash":         {Timer{Name: "../x", OnCalendar: []string{"daily"}, Command: "true"}, "name", "is no timer's name"},
		"no times":        {Timer{Name: "x", Command: "true"}, "on_calendar", "needs its times"},
		"no command":      {Timer{Name: "x", OnCalendar: []string{"daily"}}, "command", "needs what it runs"},
		"both":            {Timer{Name: "x", OnCalendar: []string{"daily"}, Command: "true", Argv: []string{"true"}}, "argv", "not both"},
		"cron's fields":   {Timer{Name: "x", OnCalendar: []string{"0 3 * * *"}, Command: "true"}, "on_calendar", "is a line of cron's"},
		"no zone":         {Timer{Name: "x", OnCalendar: []string{"03:00 Europe/Nowhere"}, Command: "true"}, "on_calendar", "is no zone"},
		"no such hour":    {Timer{Name: "x", OnCalendar: []string{"daily", "25:00"}, Command: "true"}, "on_calendar", `"25" is no hour, which is from 0 to 23`},
		"a prefix":        {Timer{Name: "x", OnCalendar: []string{"daily"}, Argv: []string{"-/bin/true"}}, "argv", "is no program"},
		"a relative path": {Timer{Name: "x", OnCalendar: []string{"daily"}, Argv: []string{"bin/true"}}, "argv", "is no program"},
		"a user's name":   {Timer{Name: "x", OnCalendar: []string{"daily"}, Command: "true", User: "a b"}, "user", "is no user's name"},
		"a folder":        {Timer{Name: "x", OnCalendar: []string{"daily"}, Command: "true", Dir: "srv"}, "dir", "is no absolute path"},
		"a variable":      {Timer{Name: "x", OnCalendar: []string{"daily"}, Command: "true", Env: map[string]string{"A=B": "c"}}, "env", "is no variable"},
		"absent":          {Timer{Name: "x", OnCalendar: []string{"daily"}, State: "absent"}, "state", "neither times nor a command"},
	} {
		errs := c.timer.Check(known)
		if len(errs) != 1 || errs[0].Arg != c.arg || !strings.Contains(errs[0].Detail, c.says) {
			t.Errorf("%s: %+v, want %s: %s", name, errs, c.arg, c.says)
		}
	}
}
