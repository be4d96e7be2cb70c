package mysql

import (
	"context"
	"strings"
	"testing"

	"muster/host"
)

// unitOnItsWay is a server's unit that is asked for its state, a word each time; the last stays.
type unitOnItsWay struct{ states []string }

func (u *unitOnItsWay) Run(context.Context, host.Command) (host.Output, error) {
	state := u.states[0]
	if len(u.states) > 1 {
		u.states = u.states[1:]
	}
	return host.Output{Stdout: []byte("ActiveState=" + state + "\n")}, nil
}

// A server that is starting or stopping, as one that has just been cloned is, is waited for.
func TestAServerThatIsStartingOrStoppingIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		states []string
		moved  bool
		says   string
	}{
		"stopping":                        {[]string{"deactivating", "deactivating", "inactive"}, false, ""},
		"stopping, and then starting":     {[]string{"deactivating", "activating", "active"}, true, ""},
		"starting":                        {[]string{"activating", "active"}, true, ""},
		"starting in vain":                {[]string{"activating", "failed"}, false, ""},
		"stopped":                         {[]string{"inactive"}, false, ""},
		"running, and it listens nowhere": {[]string{"active"}, false, "nobody listens"},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.New()
			h.Runner = &unitOnItsWay{c.states}
			p := &serverPlanner{v: host.NewView(h, nil), unit: "mysql.service"}
			moved, err := p.stopped(t.Context())
			if moved != c.moved || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, %v", moved, err)
			}
		})
	}
}
