package drift_test

import (
	"fmt"
	"testing"
	"time"

	"muster/host"
	"muster/internal/drift"
)

var (
	now     = time.Date(2026, 5, 4, 3, 2, 0, 0, time.UTC)
	earlier = now.Add(-72 * time.Hour)
	run     = drift.Run{ID: "r1", By: "ann@laptop"}
)

func place(host, path string) drift.Place {
	return drift.Place{Playbook: "site.hcl", Host: host, Play: "p", Path: path}
}

func item(host, path string) drift.Item { return drift.Item{Place: place(host, path)} }

func last(returned, quiet int, made drift.Run, same bool) drift.Last {
	l := drift.Last{Item: item("web1", "task.file.a"), Quiet: quiet, PutRight: made, Same: func([]host.Description) bool { return same }}
	l.Since, l.Returned, l.Contested = earlier, returned, returned >= drift.ContestedAfter
	return l
}

func TestItemsAreHeldAgainstTheirPast(t *testing.T) {
	for name, test := range map[string]struct {
		last  *drift.Last
		found bool
		want  string
	}{
		"never seen":                                 {nil, true, "new 0"},
		"seen by the last check":                     {new(last(0, 0, drift.Run{}, true)), true, "still 0 since earlier"},
		"seen, and another edit since":               {new(last(0, 0, drift.Run{}, false)), true, "still 0 since earlier altered"},
		"put right by a run since the last check":    {new(last(0, 0, run, true)), true, "new 1 by r1"},
		"not found by the last check, and back":      {new(last(1, 1, drift.Run{}, true)), true, "new 2"},
		"back for the third time":                    {new(last(2, 2, run, true)), true, "new 3 contested by r1"},
		"contested, and nobody put it right":         {new(last(3, 0, drift.Run{}, true)), true, "still 3 since earlier contested"},
		"not found for so long that it is forgotten": {new(last(2, 3, run, true)), true, "new 0"},
		"put right by a run":                         {new(last(0, 0, run, true)), false, "gone 0 since earlier by r1"},
		"contested and put right by somebody else":   {new(last(3, 0, drift.Run{}, true)), false, "gone 3 since earlier"},
		"gone before the last check":                 {new(last(2, 1, run, true)), false, ""},
		"not found for so long, and not found":       {new(last(2, 3, run, true)), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := drift.Check{Began: now, Looks: []drift.Look{{Playbook: "site.hcl", Host: "web1"}}}
			if test.found {
				c.Looks[0].Items = []drift.Item{item("web1", "task.file.a")}
			}
			known := map[drift.Place]drift.Last{}
			if test.last != nil {
				known[test.last.Place] = *test.last
			}
			c.Compare(known)
			got := ""
			for _, i := range c.Items {
				got += shown(i)
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func shown(i drift.Item) string {
	s := fmt.Sprint(i.State, " ", i.Returned)
	if i.Since.Equal(earlier) {
		s += " since earlier"
	}
	if i.Contested {
		s += " contested"
	}
	if i.Altered {
		s += " altered"
	}
	if i.PutRight.ID != "" {
		s += " by " + i.PutRight.ID
	}
	return s
}

func TestWhatCouldNotBeLookedAtHasNotGone(t *testing.T) {
	known := map[drift.Place]drift.Last{}
	for _, p := range []drift.Place{place("web1", "a"), place("web2", "a"), place("web2", "b"), place("web3", "a"), {Playbook: "other.hcl", Host: "web1", Path: "a"}} {
		known[p] = drift.Last{Item: drift.Item{Place: p, Since: earlier}, PutRight: run}
	}
	c := drift.Check{Began: now, Looks: []drift.Look{
		{Playbook: "site.hcl", Host: "web1", Error: "unreachable"},
		{Playbook: "site.hcl", Host: "web2", Partial: true, Settled: map[drift.Place]bool{place("web2", "b"): true}},
	}}
	c.Compare(known)
	got := ""
	for _, i := range c.Items {
		got += fmt.Sprintln(i.Host, i.Path, i.State, i.Since.Equal(earlier), i.PutRight.ID)
	}
	want := "web2 b gone true r1\nweb1 a unchecked true \nweb2 a unchecked true \n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if n := len(c.Unreached()); n != 1 {
		t.Errorf("%d hosts weren't reached", n)
	}
}
