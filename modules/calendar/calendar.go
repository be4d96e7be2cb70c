// Package calendar reads when something is to be done again and again, as systemd's timers
// and cron's tables say it, and tells what becomes of it when clocks are changed.
package calendar

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Calendar is the moments at which something is to be done.
type Calendar struct {
	// Text is how it was given, with single spaces.
	Text string
	// Zone is the zone that it names; "" where that is the host's.
	Zone string

	days                     [7]bool // of the week, from Sunday on
	year, month, day         part
	hour, minute, second     part
	fromEnd, either, instant bool // days count from a month's end; a day of the month or of the week is enough; one moment
}

// part is the values that one field takes; nil: any.
type part []span

// span is values from one to another, each step-th of them.
type span struct{ from, to, step int }

func (p part) has(n int) bool {
	for _, s := range p {
		if n >= s.from && n <= s.to && (n-s.from)%s.step == 0 {
			return true
		}
	}
	return p == nil
}

// Timed reports whether it is for hours of the day, so that the zone counts.
func (c *Calendar) Timed() bool {
	if c.instant {
		return false
	}
	for h := range 24 {
		if !c.hour.has(h) {
			return true
		}
	}
	return false
}

// Seconds reports whether it is for other moments than full minutes.
func (c *Calendar) Seconds() bool {
	for n := range 60 {
		if n > 0 && c.second.has(n) {
			return !c.instant
		}
	}
	return false
}

// everyDay are all days of the week.
func everyDay() [7]bool { return [7]bool{true, true, true, true, true, true, true} }

// shorthands are systemd.time(7)'s words for whole expressions.
var shorthands = map[string]string{
	"minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00",
	"monthly": "*-*-01 00:00:00", "quarterly": "*-01,04,07,10-01 00:00:00", "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00",
	"semiannually": "*-01,07-01 00:00:00", "semi-annually": "*-01,07-01 00:00:00", "biannually": "*-01,07-01 00:00:00", "bi-annually": "*-01,07-01 00:00:00",
}

// swapped is "06:30,18:30", which systemd reads as 06:18:30 and 06:30:30.
var swapped = regexp.MustCompile(`^([0-9]{1,2}:[0-9]{2})((?:,[0-9]{1,2}:[0-9]{2})+)$`)

// cronForm is five fields of a crontab.
var cronForm = regexp.MustCompile(`^[0-9*][^ ]*( [^ ]+){4}$`)

// OnCalendar reads an expression of systemd.time(7). Its error names the part that can't be
// read, and what is allowed there.
func OnCalendar(text string) (*Calendar, error) {
	words := strings.Fields(text)
	c := &Calendar{Text: strings.Join(words, " "), days: everyDay()}
	if len(words) > 0 && strings.HasPrefix(words[0], "@") {
		c.instant = true
		if _, err := strconv.ParseUint(words[0][1:], 10, 63); err != nil || len(words) > 1 {
			return nil, fmt.Errorf("%q is no second since 1970", c.Text)
		}
		return c, nil
	}
	if cronForm.MatchString(c.Text) {
		return nil, fmt.Errorf("%q is a line of cron's: systemd has it as [DAYS] [YEAR-MONTH-DAY] HOUR:MINUTE [ZONE]", c.Text)
	}
	if n := len(words); n > 1 && isZone(words[n-1]) {
		if c.Zone = words[n-1]; strings.EqualFold(c.Zone, "UTC") {
			c.Zone = "UTC"
		}
		words = words[:n-1]
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	if full := shorthands[strings.ToLower(words[0])]; full != "" && len(words) == 1 {
		words = strings.Fields(full)
	}
	first := words[0][0]
	if first >= 'A' && first <= 'Z' || first >= 'a' && first <= 'z' {
		if err := c.weekdays(words[0]); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	if len(words) > 0 && !strings.Contains(words[0], ":") {
		if err := c.date(words[0]); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{"00:00:00"}
	}
	if len(words) > 1 {
		return nil, fmt.Errorf("%q stands where nothing or a zone may stand: it takes [DAYS] [YEAR-MONTH-DAY] HOUR:MINUTE[:SECOND] [ZONE]", strings.Join(words[1:], " "))
	}
	return c, c.clock(words[0])
}

// isZone reports whether a word may be a zone, where it is the last one.
func isZone(word string) bool {
	letters := strings.IndexFunc(word, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }) == 0
	return letters && dayOf(strings.SplitN(word, ",", 2)[0]) < 0 && !strings.ContainsAny(word, ",.:*")
}

// zoneForm is a zone's name, as the time zone database has them.
var zoneForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// CheckZone returns an error where the zone that is named is none, as far as this machine
// knows zones: it is for checks before any host is asked.
func (c *Calendar) CheckZone() error {
	if c.Zone == "" || c.Zone == "UTC" {
		return nil
	}
	_, err := time.LoadLocation(c.Zone)
	if _, none := time.LoadLocation("Europe/London"); none != nil && zoneForm.MatchString(c.Zone) {
		return nil
	}
	if err != nil || c.Zone == "Local" || !zoneForm.MatchString(c.Zone) {
		return fmt.Errorf("%q is no zone of the IANA time zone database (timedatectl list-timezones lists those)", c.Zone)
	}
	return nil
}

func dayNames() []string {
	return []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
}

// dayOf is the number of a day of the week, by its name or its first three letters; -1: it
// is none.
func dayOf(name string) int {
	name = strings.ToLower(name)
	for i, full := range dayNames() {
		if name == full || name == full[:3] {
			return i
		}
	}
	return -1
}

// weekdays reads "Mon..Fri,Sun".
func (c *Calendar) weekdays(text string) error {
	c.days = [7]bool{}
	for _, item := range strings.Split(text, ",") {
		from, to, many := strings.Cut(item, "..")
		if !many {
			from, to, many = strings.Cut(item, "-")
		}
		if !many {
			to = from
		}
		a, b := dayOf(from), dayOf(to)
		if a < 0 || b < 0 {
			return fmt.Errorf("%q is neither a time of the day nor days of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun) nor a word such as daily or weekly", item)
		}
		// A week begins on Monday here.
		if (a+6)%7 > (b+6)%7 {
			return fmt.Errorf("%q ends before it begins, since a week begins on Monday: write both parts", item)
		}
		for d := a; ; d = (d + 1) % 7 {
			if c.days[d] = true; d == b {
				break
			}
		}
	}
	return nil
}

// date reads "2026-01-01", "*-*-1..7", "12-24", "*-02~03".
func (c *Calendar) date(text string) error {
	parts := strings.Split(strings.Replace(text, "~", "-", 1), "-")
	if len(parts) == 2 {
		parts = append([]string{"*"}, parts...)
	}
	if end := strings.Index(text, "~"); len(parts) != 3 || end >= 0 && strings.LastIndex(text, "-") > end {
		return fmt.Errorf("%q is no date, which is [YEAR-]MONTH-DAY with \"*\" for any, and no time of the day, which is HOUR:MINUTE", text)
	}
	c.fromEnd = strings.Contains(text, "~")
	return first(
		c.year.read(parts[0], "year", 0, 2199), c.month.read(parts[1], "month", 1, 12), c.day.read(parts[2], "day", 1, 31))
}

// clock reads "03:00", "*:0/15", "10,12:30:00".
func (c *Calendar) clock(text string) error {
	if m := swapped.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("systemd would read %q as hours, minutes and seconds: give each time by itself, [\"%s\"]", text, strings.ReplaceAll(text, ",", `", "`))
	}
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append(parts, "00")
	}
	if len(parts) != 3 {
		return fmt.Errorf("%q is no time of the day, which is HOUR:MINUTE[:SECOND] with \"*\" for any", text)
	}
	whole, _, _ := strings.Cut(parts[2], ".")
	return first(
		c.hour.read(parts[0], "hour", 0, 23), c.minute.read(parts[1], "minute", 0, 59), c.second.read(whole, "second", 0, 59))
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes a field's list of values, ranges and repetitions, as systemd.time(7) has it.
func (p *part) read(text, what string, least, most int) error {
	if text == "*" {
		return nil
	}
	for _, item := range strings.Split(text, ",") {
		values, repeat, repeats := strings.Cut(item, "/")
		from, to, many := strings.Cut(values, "..")
		if from == "*" && repeats {
			return fmt.Errorf("%q is no %s: it begins with a number here, %q", item, what, fmt.Sprint(least)+"/"+repeat)
		}
		s := span{step: 1}
		var ok bool
		if s.from, ok = number(from, least, most); !ok {
			return fmt.Errorf("%q is no %s, which is from %d to %d", item, what, least, most)
		}
		if s.to = s.from; repeats {
			s.to = most
		}
		if many {
			if s.to, ok = number(to, s.from, most); !ok {
				return fmt.Errorf("%q is no range of %ss, which goes from a lower one to a higher one, %d at most", item, what, most)
			}
		}
		if repeats {
			if s.step, ok = number(repeat, 1, most-s.from); !ok {
				return fmt.Errorf("%q never comes again: behind \"/\" stands a number from 1 to %d", item, most-s.from)
			}
		}
		*p = append(*p, s)
	}
	return nil
}

// number reads digits that stand for a number within bounds.
func number(text string, least, most int) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && int(n) >= least && int(n) <= most
}
