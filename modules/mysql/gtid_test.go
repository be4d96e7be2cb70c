package mysql

import (
	"testing"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

func set(t *testing.T, text string) gtidSet {
	t.Helper()
	s, err := parseGTIDSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetsOfGTIDs(t *testing.T) {
	for _, c := range []struct{ a, b, minus, and string }{
		{"", "", "", ""},
		{uuidA + ":1-5", "", uuidA + ":1-5", uuidA + ":1-5"},
		{uuidA + ":1-10", uuidA + ":3-4:7", uuidA + ":1-2:5-6:8-10", uuidA + ":1-10"},
		{uuidA + ":1-10", uuidA + ":1-10", "", uuidA + ":1-10"},
		{uuidA + ":5", uuidA + ":1-4:6-9", uuidA + ":5", uuidA + ":1-9"},
		{uuidA + ":1-3," + uuidB + ":7", uuidA + ":1-9", uuidB + ":7", uuidA + ":1-9," + uuidB + ":7"},
		{uuidA + ":1-3:tag:1-2", uuidA + ":1-3", uuidA + ":tag:1-2", uuidA + ":1-3," + uuidA + ":tag:1-2"},
		{uuidA + ":1-3:7-9", uuidA + ":2-8", uuidA + ":1:9", uuidA + ":1-9"},
	} {
		a, b := set(t, c.a), set(t, c.b)
		if got := a.minus(b).String(); got != c.minus {
			t.Errorf("%q minus %q is %q, not %q", c.a, c.b, got, c.minus)
		}
		if got := a.and(b).String(); got != c.and {
			t.Errorf("%q and %q is %q, not %q", c.a, c.b, got, c.and)
		}
		if a.holds(b) != (len(b.minus(a)) == 0) || !a.and(b).holds(b) {
			t.Errorf("what %q holds of %q", c.a, c.b)
		}
	}
	if n := set(t, uuidA+":1-5:7,\n"+uuidB+":tag:2-3").count(); n != 8 {
		t.Errorf("%d transactions, not 8", n)
	}
	if got := set(t, uuidA+":1-3:tag:1,"+uuidB+":4").without(uuidA).String(); got != uuidB+":4" {
		t.Errorf("without A: %q", got)
	}
}

func TestListsOfGTIDs(t *testing.T) {
	l, err := parseGTIDList("0-2-60,0-1-57, 3-1-4")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.String(); got != "0-1-57,0-2-60,3-1-4" {
		t.Errorf("read as %q", got)
	}
	if got := l.position().String(); got != "0-2-60,3-1-4" {
		t.Errorf("its position is %q", got)
	}
	older, _ := parseGTIDList("0-1-50")
	if !l.reaches(older) || older.reaches(l) {
		t.Error("which of both reaches the other")
	}
	if n := older.behind(l); n != 14 {
		t.Errorf("behind by %d transactions, not 14", n)
	}
	if seq, ok := l.made(0, 1); seq != 57 || !ok {
		t.Errorf("server 1 has made %d", seq)
	}
}

func FuzzGTIDs(f *testing.F) {
	for _, s := range []string{"", "0-1-5,1-2-3", uuidA + ":1-5:tag:7", "a:b", uuidA + ":5-1", "0-1-99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseGTIDSet(text); err == nil {
			again, err := parseGTIDSet(s.String())
			if err != nil || again.String() != s.String() || !s.holds(again) || !again.holds(s) {
				t.Errorf("%q is read as %q and then as %q: %v", text, s, again, err)
			}
		}
		if l, err := parseGTIDList(text); err == nil {
			again, err := parseGTIDList(l.String())
			if err != nil || again.String() != l.String() || !l.reaches(again) {
				t.Errorf("%q is read as %q and then as %q: %v", text, l, again, err)
			}
		}
	})
}
