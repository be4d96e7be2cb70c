package haproxy

import (
	"context"
	"strings"
	"testing"
)

func left(t *testing.T, f *fakeHAProxy) string {
	t.Helper()
	list, err := leftOut(context.Background(), f.view())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range list {
		if n.Backend == f.backend {
			names = append(names, n.Server+" "+n.Run)
		}
	}
	return strings.Join(names, ", ")
}

func TestServersThatAKilledRunHasLeftOutAreNamed(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"), up("app3"))
	f.drained(t, "app1", "3f2a")
	f.drained(t, "app2", "aaaa1111")
	if got := left(t, f); got != "app1 3f2a" {
		t.Errorf("named are %q, want the one of another run", got)
	}
	p := plan(t, f.task("app1", ready), f.view())
	if got := planned(p); got != "state: drain → ready (left drained by run 3f2a, which didn't put it back; waits until it is up)" {
		t.Errorf("planned is %s", got)
	}
	if got := planned(plan(t, f.task("app2", ready), f.view())); strings.Contains(got, "left") {
		t.Errorf("of what this run has drained it says %s", got)
	}

	f.invocation = "i2" // HAProxy was started again, and an operator has drained one since
	f.rows[1].Admin = 0
	if got := left(t, f); got != "" {
		t.Errorf("after a restart it names %q", got)
	}
	if p := plan(t, f.task("app1", ready), f.view()); len(p.Changes) > 0 || len(p.Notes) != 1 {
		t.Errorf("after a restart it plans %s, with %q", planned(p), p.Notes)
	}
	if p := plan(t, f.task("app1", drain), f.view()); len(p.Changes) > 0 {
		t.Errorf("after a restart it plans %s", planned(p))
	}
}

func TestServerThatIsBackIsLeftByNobody(t *testing.T) {
	f := newFake(t, up("app1"), up("app2"))
	f.drained(t, "app1", "3f2a")
	f.rows[0].Admin = 0 // by hand
	if got := left(t, f); got != "" {
		t.Errorf("it names %q", got)
	}
	// What is drained then is drained anew.
	f.rows[0].Weight = 9
	holds(t, f.make(f.task("app1", drain)), "")
	if n := f.note("app1"); n.Weight != 9 || n.Run != "aaaa1111" {
		t.Errorf("noted is %+v", n)
	}
}

func TestNotesThatSayNothing(t *testing.T) {
	for _, text := range []string{"", "{", `{"backend":"x","server":"app1"}`, `{"backend":"app","server":"y"}`, `[]`} {
		if n, err := parseNote([]byte(text), nil, "app", "app1"); n != nil || err != nil {
			t.Errorf("%q is read as %+v, %v", text, n, err)
		}
	}
}

func TestWhatANoteExplains(t *testing.T) {
	n := &note{State: ready, Left: []string{drain}, Invocation: "i1"}
	for _, c := range []struct {
		name, state, invocation string
		kept, want              bool
	}{
		{"what muster has left", drain, "i1", false, true},
		{"what somebody has put back", ready, "i1", false, true},
		{"what somebody else has set since", maint, "i1", false, false},
		{"what is so after a restart", drain, "i2", false, false},
		{"what is so after a restart that keeps states", drain, "i2", true, true},
	} {
		if got := n.tells(c.state, c.invocation, c.kept); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if !loadsStates("global\n  load-server-state-from-file global\n") || loadsStates("  load-server-state-from-file none\n") {
		t.Error("whether states outlive a restart isn't found")
	}
}
