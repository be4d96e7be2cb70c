package modules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time as playbooks write it: a number with a unit each,
// of s, m, h, d and w ("90s", "1h30m", "7d"). A day is 24 hours.
type Duration time.Duration

// UnmarshalText reads a duration. It is never negative.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := fmt.Errorf(`%q is no duration: write a number and a unit, such as "90s", "10m", "1h30m" or "7d"`, text)
	rest, total := string(text), time.Duration(0)
	if rest == "" {
		return bad
	}
	for rest != "" {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		if n == 0 {
			return bad
		}
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return bad
		}
		unit, size := durationUnit(rest[n:])
		if size == 0 || number*float64(unit) > float64(maxDuration-total) {
			return bad
		}
		total += time.Duration(number * float64(unit))
		rest = rest[n+size:]
	}
	*d = Duration(total)
	return nil
}

// maxDuration is a hundred years: what is longer is a slip of the pen.
const maxDuration = 100 * 365 * 24 * time.Hour

// durationUnit returns the unit that s begins with and its length.
func durationUnit(s string) (time.Duration, int) {
	switch {
	case strings.HasPrefix(s, "ms"):
		return time.Millisecond, 2
	case strings.HasPrefix(s, "s"):
		return time.Second, 1
	case strings.HasPrefix(s, "m"):
		return time.Minute, 1
	case strings.HasPrefix(s, "h"):
		return time.Hour, 1
	case strings.HasPrefix(s, "d"):
		return 24 * time.Hour, 1
	case strings.HasPrefix(s, "w"):
		return 7 * 24 * time.Hour, 1
	}
	return 0, 0
}

func (d Duration) String() string { return time.Duration(d).String() }
