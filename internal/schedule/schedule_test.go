package schedule_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/schedule"
)

func TestSchedulesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"03:00 Europe/Berlin":             "*-*-* 03:00:00 Europe/Berlin | 0 3 * * *",
		"  3:05   UTC ":                   "*-*-* 03:05:00 UTC | 5 3 * * *",
		"mon..FRI 18:30,06:30,18:30 UTC":  "Mon,Tue,Wed,Thu,Fri *-*-* 06:30:00 UTC, Mon,Tue,Wed,Thu,Fri *-*-* 18:30:00 UTC | 30 6 * * mon,tue,wed,thu,fri, 30 18 * * mon,tue,wed,thu,fri",
		"Sat..Mon 04:00 America/New_York": "Sun,Mon,Sat *-*-* 04:00:00 America/New_York | 0 4 * * sun,mon,sat",
	} {
		s, err := schedule.Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.Join(s.OnCalendar(), ", ") + " | " + strings.Join(s.Cron(), ", "); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

func TestWhatIsNoScheduleIsNamed(t *testing.T) {
	for text, names := range map[string]string{
		"":                       "it is empty",
		"daily":                  `"daily" is neither a time of the day nor days of the week`,
		"Mon":                    "it names no time of the day",
		"Mon,Someday 03:00 UTC":  `"Someday"`,
		"Mon..  03:00 UTC":       `"Mon.."`,
		"25:00 UTC":              `"25:00" is no time of the day`,
		"03:00,3 UTC":            `"3" is no time of the day`,
		"03:00:30 UTC":           `"03:00:30" is no time of the day`,
		"03:00":                  "it names no zone",
		"03:00 Europe/Nowhere":   `"Europe/Nowhere" is no zone`,
		"03:00 Local":            `"Local" is no zone`,
		"03:00 ../etc/passwd":    `"../etc/passwd" is no zone`,
		"03:00 UTC and then":     `"and then" stands behind its zone`,
		"03:00 UTC\nExecStart=/": `"ExecStart=/" stands behind its zone`,
	} {
		_, err := schedule.Parse(text)
		if err == nil || !strings.Contains(err.Error(), names) || !strings.Contains(err.Error(), "a schedule is [DAYS] TIMES ZONE") {
			t.Errorf("%q: %v, want %s", text, err, names)
		}
	}
}

func TestClockChangesAreTold(t *testing.T) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"02:30 Europe/Berlin":             "2026-03-29 02:30 skipped, 2026-10-25 02:30 twice",
		"03:30 Europe/Berlin":             "",
		"Mon..Sat 02:30 Europe/Berlin":    "",
		"02:00,03:00 Europe/Berlin":       "2026-03-29 02:00 skipped, 2026-10-25 02:00 twice",
		"01:45 Australia/Lord_Howe":       "2026-04-05 01:45 twice",
		"02:15 Australia/Lord_Howe":       "2026-10-04 02:15 skipped",
		"02:30 UTC":                       "",
		"00:30 America/Santiago":          "2026-09-06 00:30 skipped",
		"Sun 02:30 America/New_York":      "2026-03-08 02:30 skipped",
		"Sun 01:30,05:00 America/Chicago": "2026-11-01 01:30 twice",
	} {
		s, err := schedule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, c := range s.ClockChanges(from) {
			how := "twice"
			if c.Skipped {
				how = "skipped"
			}
			list = append(list, fmt.Sprintf("%s %s %s", c.Day.Format(time.DateOnly), c.At, how))
		}
		if got := strings.Join(list, ", "); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

// What is shown as the next elapses is what systemd makes of the same lines.
func TestNextIsWhatSystemdSays(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	for _, text := range []string{"02:30 Europe/Berlin", "Sat,Sun 03:00 Europe/Berlin", "01:30 America/New_York", "23:59 UTC", "Mon..Wed 01:45 Australia/Lord_Howe"} {
		for _, at := range []string{"2026-03-07 12:00:00", "2026-03-28 12:00:00", "2026-10-24 12:00:00", "2026-10-31 23:00:00", "2026-12-31 23:59:30", "2026-04-04 01:00:00"} {
			s, err := schedule.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			base, _ := time.Parse(time.DateTime, at)
			cmd := exec.Command(analyze, "calendar", "--iterations=3", "--base-time="+at+" UTC", s.OnCalendar()[0])
			cmd.Env = append(cmd.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Skipf("%v: %s", err, out)
			}
			var want, got []string
			for line := range strings.Lines(string(out)) {
				name, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
				if name == "Next elapse" || strings.HasPrefix(name, "Iter") || name == "(in UTC)" {
					want = append(want, rest)
				}
			}
			for _, next := range s.Next(base, 3) {
				got = append(got, next.UTC().Format("Mon 2006-01-02 15:04:05 MST"))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s from %s: %q, systemd says %q", text, at, got, want)
			}
		}
	}
}
