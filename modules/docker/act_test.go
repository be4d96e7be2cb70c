package docker

import (
	"context"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"muster/host"
)

func TestAContainerBehindOneThatIsMade(t *testing.T) {
	d := &fakeDaemon{images: []image.Summary{anImage(1, 1, "app:1", "app@"+digestNumber(1))}}
	h := fakeHost(t, d)
	one := &Container{Name: "one", Image: "app:1", Pull: "missing", Restart: "no", State: "running"}
	two := *one
	two.Name = "two"
	if got := shows(mustPlan(t, h, &two, mustPlan(t, h, one)[0].Effects()...)); !strings.HasPrefix(got, "create container two") {
		t.Errorf("it says %q", got)
	}
}

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

// quiet is a host on which nobody listens.
type quiet struct{ host.Runner }

func (quiet) Run(context.Context, host.Command) (host.Output, error) { return host.Output{}, nil }

func TestWhoHasAPortOnceEarlierTasksAreDone(t *testing.T) {
	web := joined("web", "running", nil)
	web.Ports = []container.PortSummary{{PrivatePort: 80, PublicPort: 80, Type: "tcp"}}
	proxy := &Container{Name: "proxy", Image: "app:1", Pull: "missing", Restart: "no", State: "running", Ports: []string{"80:8080"}}
	web80 := host.Key{Space: containers, Name: "web"}
	for name, c := range map[string]struct {
		list    []container.Summary
		effects []host.Effect
		says    string
	}{
		"one that stays":                 {list: []container.Summary{web}, says: "the port 80 of this host is published by the container web"},
		"one that gives it up":           {list: []container.Summary{web}, effects: []host.Effect{host.Is(web80, standing{Running: true, Ports: ":8080:80/tcp"})}},
		"one that is stopped":            {list: []container.Summary{web}, effects: []host.Effect{host.Is(web80, standing{})}},
		"one that goes":                  {list: []container.Summary{web}, effects: []host.Effect{host.Gone(web80)}},
		"one that an earlier task makes": {effects: []host.Effect{host.Is(web80, standing{Running: true, Ports: "127.0.0.1:80:80/tcp"})}, says: "the port 80 of this host is published by the container web"},
	} {
		t.Run(name, func(t *testing.T) {
			h := fakeHost(t, &fakeDaemon{images: []image.Summary{anImage(1, 1, "app:1", "app@"+digestNumber(1))}, containers: c.list})
			h.Runner = quiet{}
			if _, err := planned(t, h, proxy, c.effects...); text(err) != c.says {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
}
