package host

import "testing"

func TestOneThingIsCountedInTheSingular(t *testing.T) {
	for n, want := range map[int]string{0: "0 sessions are", 1: "1 session is", 2: "2 sessions are"} {
		if got := Counted(n, "session is", "sessions are"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
