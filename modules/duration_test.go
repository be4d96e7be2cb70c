package modules

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration // -1: refused
	}{
		{"90s", 90 * time.Second},
		{"1h30m", 90 * time.Minute},
		{"7d", 7 * 24 * time.Hour},
		{"1.5h", 90 * time.Minute},
		{"250ms", 250 * time.Millisecond},
		{"0s", 0},
		{"", -1},
		{"10", -1},
		{"-1h", -1},
		{"1 h", -1},
		{"1y", -1},
		{"1..5h", -1},
		{"99999999999999999999w", -1},
	} {
		t.Run(test.text, func(t *testing.T) {
			var d Duration
			err := d.UnmarshalText([]byte(test.text))
			if test.want < 0 {
				if err == nil {
					t.Fatalf("it is taken as %s", d)
				}
				return
			}
			if err != nil || time.Duration(d) != test.want {
				t.Fatalf("got %s, %v; want %s", d, err, test.want)
			}
		})
	}
}
