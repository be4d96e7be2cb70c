package main

import (
	"strings"
	"testing"
)

// of is a graph of arrows, "a>b" each.
func of(arrows string) *graph {
	g := newGraph(1)
	for _, a := range strings.Fields(arrows) {
		from, to, _ := strings.Cut(a, ">")
		for _, f := range []string{from, to} {
			if _, ok := g.number[f]; !ok {
				g.file(f)
			}
		}
		g.add(from, to, "f")
	}
	return g
}

func TestArrowsThatRunBackUp(t *testing.T) {
	for _, c := range []struct {
		name, arrows string
		circles      int
		back         string
	}{
		{"all point down", "a>b a>c b>c", 0, ""},
		{"a file that is used and uses back", "a>b a>c b>c c>d d>b a>d", 3, "d>b"},
		{"what most need stands below, whatever comes first", "low>b a>low b>low c>low a>b b>c", 4, "low>b"},
		{"two circles apart", "a>b b>a b>c c>d d>c", 4, "b>a d>c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := of(c.arrows)
			if n := g.inCircles(); n != c.circles {
				t.Errorf("%d arrows in circles, not %d", n, c.circles)
			}
			var back []string
			for _, a := range g.back() {
				back = append(back, g.files[a.from]+">"+g.files[a.to])
			}
			if got := strings.Join(back, " "); got != c.back {
				t.Errorf("%q run back up, not %q", got, c.back)
			}
		})
	}
}
