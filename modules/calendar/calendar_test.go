package calendar_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules/calendar"
)

// right is what systemd reads, wrong what it doesn't with a part of what is said of it.
func right() []string {
	return []string{
		"daily", "Daily", "hourly UTC", "weekly", "quarterly", "bi-annually", "minutely Europe/Berlin", "*:0/5", "03:00 Europe/Berlin", "daily Europe/Berlin",
		"Mon..Fri 03:00", "Mon-Fri 03:00", "mon,WED 3:0", "Monday *-*-1..7 18:00", "*-*~3", "*-02~03", "Mon *-05~07/1", "03:00:00.5",
		"12-31", "2026-01-01", "26-1-1 00:00", "@1700000000", "10:00,30", "10,12:00", "Mon", "03:00 CET", "03:00 utc", "0..23:00", "*-*-* *:*:*",
		"2000..2010-1-1", "Mon..Wed,Sat *-*-* 1:00", "Mon *:30", "*-1,7-* 0:0", "*-2-30", "Mon Europe/Berlin", "*-*-* Europe/Berlin", "*:*:0/15", "*-*-* 00/6:00:00",
	}
}

func wrong() map[string]string {
	return map[string]string{
		"":              "it is empty",
		"*:*/5":         `"*/5" is no minute: it begins with a number here, "0/5"`,
		"*/2:00":        `"*/2" is no hour`,
		"24:00":         `"24" is no hour, which is from 0 to 23`,
		"03:60":         `"60" is no minute`,
		"*-13-01":       `"13" is no month`,
		"*-*-0":         `"0" is no day`,
		"Fri..Mon 5:00": `"Fri..Mon" ends before it begins`,
		"5":             `"5" is no date`,
		"*":             `"*" is no date`,
		"03:00 Foo/Bar": `"Foo/Bar" is no zone`,
		"0 3 * * *":     "is a line of cron's",
		"23/2:00":       `"23/2" never comes again`,
		"5..3:00":       `"5..3" is no range of hours`,
		"*-*-*T03:00":   "is no hour",
		"03:00Z":        "is no minute",
		"fortnightly":   `"fortnightly" is neither a time of the day`,
		"1..31-1":       `"1..31" is no range of months`,
		"03:00 +02:00":  `"+02:00" stands where nothing or a zone may stand`,
		"1:00 Mon":      `"Mon" stands where nothing or a zone may stand`,
		"~1":            "is no",
	}
}

func TestWhatSystemdReadsIsRead(t *testing.T) {
	for _, text := range right() {
		if _, err := calendar.OnCalendar(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if out, err := exec.Command("systemd-analyze", "calendar", "--", text).CombinedOutput(); err != nil {
			t.Errorf("%q: systemd: %s", text, out)
		}
	}
	for text, names := range wrong() {
		c, err := calendar.OnCalendar(text)
		if err == nil {
			err = c.CheckZone()
		}
		if err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%q: %v, want %s", text, err, names)
		}
		if _, err := exec.Command("systemd-analyze", "calendar", "--", text).CombinedOutput(); err == nil {
			t.Errorf("%q: systemd takes it", text)
		}
	}
}

func TestTimesThatSystemdWouldReadAsSecondsAreRefused(t *testing.T) {
	_, err := calendar.OnCalendar("06:30,18:30 UTC")
	if err == nil || !strings.Contains(err.Error(), `give each time by itself, ["06:30", "18:30"]`) {
		t.Error(err)
	}
}

func TestCronsFieldsAreRead(t *testing.T) {
	for _, text := range []string{"* * * * *", "*/5 0-23/2 1,15 jan-mar Mon-Fri", "0 3 * * 7", "59 23 31 12 0", "@reboot", "@daily", "0  4 * * sun,tue"} {
		if _, err := calendar.Cron(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, names := range map[string]string{
		"":              "a schedule has five fields",
		"* * * *":       "this one has 4",
		"* * * * * *":   "this one has 6",
		"60 * * * *":    `"60" is no minute, which is "*" or from 0 to 59`,
		"0 24 * * *":    `"24" is no hour`,
		"0 0 0 * *":     `"0" is no day`,
		"0 0 * foo *":   `"foo" is no month, which is "*" or from 1 to 12, or jan to dec`,
		"0 0 * * 8":     `"8" is no weekday`,
		"0 22-4 * * *":  `"22-4" ends before it begins`,
		"0 0 * * fri-1": `"fri-1" ends before it begins`,
		"*/0 * * * *":   `behind "/" stands a number`,
		"5/15 * * * *":  `"5/15" repeats one minute`,
		"@fortnightly":  `cron knows no "@fortnightly"`,
		"-1 * * * *":    `"-1" is no minute`,
	} {
		if _, err := calendar.Cron(text); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%q: %v, want %s", text, err, names)
		}
	}
}

func TestTimesThatTheClockSkipsOrRepeats(t *testing.T) {
	for text, want := range map[string]string{
		"02:30 Europe/Berlin":           "2026-03-29 02:30 skipped, 2026-10-25 02:30 twice",
		"03:30 Europe/Berlin":           "",
		"Mon..Sat 02:30 Europe/Berlin":  "",
		"*:30 Europe/Berlin":            "",
		"0/2:30 Europe/Berlin":          "2026-03-29 02:30 skipped, 2026-10-25 02:30 twice",
		"*-*~3 02:30 Europe/Berlin":     "2026-03-29 02:30 skipped",
		"*-*-25 02:30 Europe/Berlin":    "2026-10-25 02:30 twice",
		"01:45 Australia/Lord_Howe":     "2026-04-05 01:45 twice",
		"02:15 Australia/Lord_Howe":     "2026-10-04 02:15 skipped",
		"00:30 America/Santiago":        "2026-09-06 00:30 skipped",
		"2027-*-* 02:30 Europe/Berlin":  "",
		"Sun 02:30 America/New_York":    "2026-03-08 02:30 skipped",
		"Sun *-3-* 01:30 Europe/London": "2026-03-29 01:30 skipped",
		"02:30 UTC":                     "",
	} {
		c, err := calendar.OnCalendar(text)
		if err != nil {
			t.Error(err)
			continue
		}
		zone, err := time.LoadLocation(c.Zone)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, change := range c.Changes(zone, 2026) {
			how := "twice"
			if change.Skipped {
				how = "skipped"
			}
			if change.Day.Year() == 2026 {
				list = append(list, fmt.Sprintf("%s %s %s", change.Day.Format(time.DateOnly), change.At, how))
			}
		}
		if got := strings.Join(list, ", "); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

func TestZoneThatTheHostLacksIsNamed(t *testing.T) {
	c, err := calendar.OnCalendar("03:00 Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	preview := &host.Preview{}
	preview.Lay([]host.Effect{host.Gone(host.File("/usr/share/zoneinfo/Europe/Berlin"))})
	_, err = c.Tell(t.Context(), host.NewView(host.New(), preview), 2026)
	if err == nil || !strings.Contains(err.Error(), `there is no time zone "Europe/Berlin" on this host (/usr/share/zoneinfo/Europe/Berlin): check the name, or install tzdata first`) {
		t.Error(err)
	}
}
