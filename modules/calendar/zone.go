package calendar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"muster/host"
)

// Change is a time of a calendar that a day hasn't, or has twice.
type Change struct {
	Day     time.Time // noon of it
	At      string    // the time of the day, "02:30"
	Skipped bool      // else it comes twice
}

// Changes returns the times of the calendar that the clock skips or repeats in two years
// from the start of one on, in the order in which they come. What is for every hour has
// none: it loses nothing.
func (c *Calendar) Changes(zone *time.Location, year int) (list []Change) {
	if !c.Timed() {
		return nil
	}
	end := time.Date(year+2, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); day.Before(end); day = day.AddDate(0, 0, 1) {
		_, before := day.In(zone).Zone()
		_, after := day.AddDate(0, 0, 1).In(zone).Zone()
		if before == after {
			continue
		}
		at := day
		for offset := before; offset == before; { // clocks are changed at a full minute
			at = at.Add(time.Minute)
			_, offset = at.In(zone).Zone()
		}
		// From the lower offset's time on, for as long as they differ, as a clock shows it.
		wall := at.Add(time.Duration(min(before, after)) * time.Second).UTC()
		for n := range max(before-after, after-before) / 60 {
			if t := wall.Add(time.Duration(n) * time.Minute); c.at(t) {
				list = append(list, Change{Day: time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC), At: t.Format("15:04"), Skipped: after > before})
			}
		}
	}
	return list
}

// at reports whether the calendar has a minute that a clock shows.
func (c *Calendar) at(t time.Time) bool {
	day := t.Day()
	if c.fromEnd {
		day = time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() - day + 1
	}
	right := c.day.has(day) && c.days[t.Weekday()]
	if c.either {
		right = c.day.has(day) || c.days[t.Weekday()]
	}
	return right && c.year.has(t.Year()) && c.month.has(int(t.Month())) && c.hour.has(t.Hour()) && c.minute.has(t.Minute())
}

const zoneinfo = "/usr/share/zoneinfo"

// HostZone returns the name of the zone that a host has.
func HostZone(v *host.View) (string, error) {
	link, err := v.Lstat("/etc/localtime")
	if err != nil || !link.Exists() {
		return "UTC", err // localtime(5)
	}
	if _, name, ok := strings.Cut(link.Target, "/zoneinfo/"); ok {
		return filepath.Clean(name), nil
	}
	return "", nil // a copy of a zone's data has no name
}

// Load returns a zone of a host, "" for the host's own. A name that the host doesn't know
// is an error.
func Load(ctx context.Context, v *host.View, name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	path := filepath.Join(zoneinfo, name)
	if name == "" {
		path = "/etc/localtime"
	}
	data, err := v.ReadFile(ctx, path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no time zone %q on this host (%s): check the name, or install tzdata first", name, path)
	}
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("reading the time zone in %s: %w", path, err)
	}
	return zone, nil
}

// Told is the zone that a calendar's times are of, and what clock changes do to them.
type Told struct {
	Zone    string // "" where no time of the day is named
	Own     bool   // it is the host's, and the calendar doesn't name it
	Skipped *Change
	Twice   *Change
}

// Tell looks up what a calendar's times mean on a host, from the start of a year on.
func (c *Calendar) Tell(ctx context.Context, v *host.View, year int) (Told, error) {
	name := c.Zone
	if name == "" {
		if !c.Timed() {
			return Told{}, nil
		}
		var err error
		if name, err = HostZone(v); err != nil {
			return Told{}, err
		}
	}
	zone, err := Load(ctx, v, name)
	if err != nil {
		return Told{}, err
	}
	told := Told{Zone: name, Own: c.Zone == ""}
	if told.Zone == "" {
		told.Zone = "which /etc/localtime doesn't name"
	}
	for _, change := range c.Changes(zone, year) {
		if change.Skipped && told.Skipped == nil {
			told.Skipped = &change
		} else if !change.Skipped && told.Twice == nil {
			told.Twice = &change
		}
	}
	return told, nil
}
