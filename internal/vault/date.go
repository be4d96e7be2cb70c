package vault

import (
	"fmt"
	"strconv"
	"time"
)

// Date is a day, as "2026-11-28"; "" is none.
type Date string

// Today is the day that it is in UTC.
func Today() Date { return DateOf(time.Now()) }

// DateOf is the day of a time in UTC.
func DateOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// ParseDate reads a day.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return "", fmt.Errorf("%q is no day: write it as \"2026-11-28\"", text)
	}
	return DateOf(t), nil
}

// Add returns the day that is some days later.
func (d Date) Add(days int) Date {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return ""
	}
	return DateOf(t.AddDate(0, 0, days))
}

// Since is the number of days from another day to this one.
func (d Date) Since(from Date) int {
	a, err := time.Parse(time.DateOnly, string(from))
	b, err2 := time.Parse(time.DateOnly, string(d))
	if err != nil || err2 != nil {
		return 0
	}
	return int(b.Sub(a).Hours() / 24)
}

// parseEvery reads how often something is due, in days.
func parseEvery(text string) (days int, err error) {
	bad := fmt.Errorf("%q says not how often: write a number of days or weeks, such as \"30d\" or \"12w\"", text)
	if len(text) < 2 {
		return 0, bad
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n < 1 || n > 36500 || text[0] == '+' {
		return 0, bad
	}
	switch text[len(text)-1] {
	case 'd':
		return n, nil
	case 'w':
		return 7 * n, nil
	}
	return 0, bad
}

// DueOn is the day on which the secret is to be rotated; "" where nothing says so. A
// date that is set by hand comes before the one that Every makes.
func (i Info) DueOn() Date {
	if i.Due != "" {
		return i.Due
	}
	days, err := parseEvery(i.Every)
	if err != nil {
		return ""
	}
	return i.Rotated.Add(days)
}
