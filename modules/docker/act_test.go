package docker

import "testing"

func TestWhatIsStartedOrStoppedIsTakenBack(t *testing.T) {
	for _, c := range []struct {
		do      string
		running bool
		back    string
	}{{doStart, false, doStop}, {doStop, true, doStart}, {doStart, true, doStart}, {doStop, false, doStop}} {
		u := (&Act{Name: "app", ID: "id", Do: c.do}).undo(c.running)
		if len(u.Changes) != 1 || u.Changes[0].(*Act).Do != c.back {
			t.Errorf("%s, where it ran: %v, is taken back by %+v", c.do, c.running, u.Changes)
		}
	}
}

