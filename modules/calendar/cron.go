package calendar

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNever is behind what cron takes and then never runs, or not as it looks.
var ErrNever = errors.New("cron takes it and doesn't run it so")

// Specials are crontab(5)'s words for whole schedules.
func Specials() []string {
	return []string{"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
}

// fields of a special word; none for a start of the system.
func special(word string) (string, bool) {
	switch word {
	case "@reboot":
		return "", true
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@hourly":
		return "0 * * * *", true
	}
	return "", false
}

// Cron reads the five fields of crontab(5), or one of its words. Its error names the field
// that can't be read, and what is allowed there.
func Cron(text string) (*Calendar, error) {
	words := strings.Fields(text)
	c := &Calendar{Text: strings.Join(words, " "), days: everyDay()}
	if strings.HasPrefix(c.Text, "@") {
		fields, ok := special(c.Text)
		if !ok {
			return nil, fmt.Errorf("cron knows no %q, only %s", c.Text, strings.Join(Specials(), ", "))
		}
		if fields == "" {
			c.instant = true
			return c, nil
		}
		words = strings.Fields(fields)
	}
	if len(words) != 5 {
		return nil, fmt.Errorf("a schedule has five fields, minute, hour, day, month and weekday, or is one of %s: this one has %d", strings.Join(Specials(), ", "), len(words))
	}
	months := []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	var weekday part
	if err := first(
		c.minute.cron(words[0], "minute", 0, 59, nil), c.hour.cron(words[1], "hour", 0, 23, nil), c.day.cron(words[2], "day", 1, 31, nil),
		c.month.cron(words[3], "month", 1, 12, months), weekday.cron(words[4], "weekday", 0, 7, dayNames())); err != nil {
		return nil, err
	}
	for d := range c.days {
		c.days[d] = weekday.has(d) || d == 0 && weekday.has(7)
	}
	// crontab(5): where both are restricted, that is, don't begin with "*", one is enough.
	c.either = !strings.HasPrefix(words[2], "*") && !strings.HasPrefix(words[4], "*")
	return c, nil
}

// cron takes a field's list, as crontab(5) has it; names stand for the numbers from least on.
func (p *part) cron(text, what string, least, most int, names []string) error {
	value := func(s string) (int, bool) {
		for i, name := range names {
			if strings.EqualFold(s, name[:3]) {
				return least + i, true
			}
		}
		return number(s, least, most)
	}
	allowed := fmt.Sprintf("from %d to %d", least, most)
	if names != nil {
		allowed += ", or " + names[0][:3] + " to " + names[len(names)-1][:3]
	}
	for _, item := range strings.Split(text, ",") {
		values, repeat, repeats := strings.Cut(item, "/")
		from, to, many := strings.Cut(values, "-")
		s := span{from: least, to: most, step: 1}
		ok := true
		if values != "*" {
			if s.from, ok = value(from); ok {
				if s.to = s.from; many {
					s.to, ok = value(to)
				}
			}
			if !ok {
				return fmt.Errorf("%q is no %s, which is \"*\" or %s", item, what, allowed)
			}
			if s.to < s.from {
				return fmt.Errorf("%q ends before it begins: %w: write both parts, with a comma between", item, ErrNever)
			}
		}
		if repeats {
			if values != "*" && !many {
				return fmt.Errorf("%q repeats one %s: cron takes \"*/%s\" or a range before \"/\"", item, what, repeat)
			}
			if s.step, ok = number(repeat, 1, most); !ok {
				err := fmt.Errorf("%q: behind \"/\" stands a number from 1 to %d", item, most)
				if _, large := number(repeat, most, 1<<15); large {
					err = fmt.Errorf("%w: %w", err, ErrNever)
				}
				return err
			}
		}
		*p = append(*p, s)
	}
	if text == "*" {
		*p = nil
	}
	return nil
}

// Exactly reports whether it is for certain times of the day, which cron makes up for
// where a clock change skips them, and doesn't repeat; else it is for more often.
func (c *Calendar) Exactly() bool {
	fields := strings.Fields(c.Text)
	return len(fields) != 5 || !slices.ContainsFunc(fields[:2], func(f string) bool { return strings.HasPrefix(f, "*") })
}
