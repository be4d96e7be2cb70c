// Package schedule reads when something is to be done again and again.
//
// A schedule is days of the week, times of the day and the zone that they are of:
// "03:00 Europe/Berlin", "Mon..Fri 06:30,18:30 UTC". It is what systemd's OnCalendar and a
// line of cron can both say, so that it means the same on every machine.
package schedule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Schedule is when something is to be done.
type Schedule struct {
	days  [7]bool // from Sunday on
	times []clock
	zone  *time.Location
	text  string
}

// clock is a time of the day.
type clock struct{ hour, minute int }

func (c clock) String() string { return fmt.Sprintf("%02d:%02d", c.hour, c.minute) }

// weekdays are the days, as systemd.time(7) abbreviates them.
func weekdays() []string { return []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} }

// Allowed says what Parse takes.
const Allowed = "a schedule is [DAYS] TIMES ZONE, such as \"03:00 Europe/Berlin\", \"Mon..Fri 06:30,18:30 UTC\" or \"Sat,Sun 04:00 America/New_York\""

var timeOfDay = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

// Parse reads a schedule. Its error names the word that can't be read, and says what is
// allowed.
func Parse(text string) (*Schedule, error) {
	words := strings.Fields(text)
	s := &Schedule{text: strings.Join(words, " ")}
	fail := func(format string, a ...any) (*Schedule, error) {
		return nil, fmt.Errorf("the schedule %q can't be read: %s; %s", text, fmt.Sprintf(format, a...), Allowed)
	}
	if len(words) == 0 {
		return fail("it is empty")
	}
	if strings.Contains(words[0], ":") {
		s.days = [7]bool{true, true, true, true, true, true, true}
	} else {
		if why := s.parseDays(words[0]); why != "" {
			return fail("%s", why)
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return fail("it names no time of the day")
	}
	for _, word := range strings.Split(words[0], ",") {
		if !timeOfDay.MatchString(word) {
			return fail("%q is no time of the day, which is from 00:00 to 23:59", word)
		}
		var c clock
		_, _ = fmt.Sscanf(word, "%d:%d", &c.hour, &c.minute) // as the pattern says
		s.times = append(s.times, c)
	}
	slices.SortFunc(s.times, func(a, b clock) int { return a.hour*60 + a.minute - b.hour*60 - b.minute })
	s.times = slices.Compact(s.times)
	switch words = words[1:]; {
	case len(words) == 0:
		return fail("it names no zone, so that nobody could say when that is")
	case len(words) > 1:
		return fail("%q stands behind its zone", strings.Join(words[1:], " "))
	case words[0] == "Local" || strings.HasPrefix(words[0], "/") || strings.HasPrefix(words[0], "."):
		return fail("%q is no zone of the IANA time zone database", words[0])
	}
	zone, err := time.LoadLocation(words[0])
	if err != nil {
		return fail("%q is no zone of the IANA time zone database (timedatectl list-timezones lists those)", words[0])
	}
	s.zone = zone
	return s, nil
}

// parseDays reads "Mon..Fri", "Sat,Sun"; it returns what is wrong.
func (s *Schedule) parseDays(text string) string {
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(part, "..")
		a := day(from)
		b := a
		if isRange {
			b = day(to)
		}
		if a < 0 || b < 0 {
			return fmt.Sprintf("%q is neither a time of the day nor days of the week, which are Mon, Tue, Wed, Thu, Fri, Sat and Sun", part)
		}
		for d := a; ; d = (d + 1) % 7 {
			if s.days[d] = true; d == b {
				break
			}
		}
	}
	return ""
}

// day is a day's number; -1: it is none.
func day(name string) int {
	return slices.IndexFunc(weekdays(), func(d string) bool { return strings.EqualFold(d, name) })
}

// String is the schedule as it was given.
func (s *Schedule) String() string { return s.text }

// Zone is the zone that its times are of.
func (s *Schedule) Zone() *time.Location { return s.zone }

// daily reports whether it is for each day.
func (s *Schedule) daily() bool { return !slices.Contains(s.days[:], false) }

// dayNames are its days as lists for systemd and cron have them.
func (s *Schedule) dayNames() string {
	var list []string
	for d, name := range weekdays() {
		if s.days[d] {
			list = append(list, name)
		}
	}
	return strings.Join(list, ",")
}

// OnCalendar returns it as systemd.time(7) has it, one line for each time of the day.
func (s *Schedule) OnCalendar() (lines []string) {
	days := ""
	if !s.daily() {
		days = s.dayNames() + " "
	}
	for _, c := range s.times {
		lines = append(lines, fmt.Sprintf("%s*-*-* %s:00 %s", days, c, s.zone))
	}
	return lines
}

// Cron returns the fields of crontab(5) lines, one for each time of the day.
func (s *Schedule) Cron() (lines []string) {
	days := "*"
	if !s.daily() {
		days = strings.ToLower(s.dayNames())
	}
	for _, c := range s.times {
		lines = append(lines, fmt.Sprintf("%d %d * * %s", c.minute, c.hour, days))
	}
	return lines
}

// at returns a time of a day, and how often the day has it: 0 where the clock is set on
// over it, 2 where it is set back behind it. The first of two is returned.
func (s *Schedule) at(year int, month time.Month, d int, c clock) (time.Time, int) {
	t := time.Date(year, month, d, c.hour, c.minute, 0, 0, s.zone)
	if t.Hour() != c.hour || t.Minute() != c.minute {
		return time.Date(year, month, d, 12, 0, 0, 0, s.zone), 0 // a moment of that day
	}
	// Clocks are changed by less than three hours, and by no less than half an hour.
	for _, by := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
		for _, other := range []time.Time{t.Add(-by), t.Add(by)} {
			if other.Day() == t.Day() && other.Hour() == c.hour && other.Minute() == c.minute {
				if other.Before(t) {
					t = other
				}
				return t, 2
			}
		}
	}
	return t, 1
}

// each calls do for every time of each day of the schedule, from a moment's day on, until
// it returns false.
func (s *Schedule) each(from time.Time, days int, do func(t time.Time, times int, c clock) bool) {
	from = from.In(s.zone)
	for n := range days {
		noon := time.Date(from.Year(), from.Month(), from.Day()+n, 12, 0, 0, 0, s.zone)
		if !s.days[noon.Weekday()] {
			continue
		}
		for _, c := range s.times {
			t, times := s.at(noon.Year(), noon.Month(), noon.Day(), c)
			if !do(t, times, c) {
				return
			}
		}
	}
}

// Next returns the next n moments after one, as systemd has them: a time that the clock is set
// on over is left out, and one that it has twice is the first.
func (s *Schedule) Next(after time.Time, n int) (list []time.Time) {
	s.each(after, 7*(n+2), func(t time.Time, times int, _ clock) bool {
		if times > 0 && t.After(after) {
			list = append(list, t)
		}
		return len(list) < n
	})
	return list
}

// ClockChange is a time of the schedule that a day hasn't, or has twice.
type ClockChange struct {
	Day     time.Time
	At      string // the time of the day
	Skipped bool   // else it comes twice
}

// ClockChanges returns those of the year after a moment.
func (s *Schedule) ClockChanges(after time.Time) (list []ClockChange) {
	s.each(after, 366, func(t time.Time, times int, c clock) bool {
		if times != 1 && t.After(after) {
			list = append(list, ClockChange{Day: t, At: c.String(), Skipped: times == 0})
		}
		return true
	})
	return list
}
