package view

import (
	"fmt"
	"slices"
	"strings"

	"muster/internal/engine"
)

// lost gathers why hosts can't be used: what their bastion says is the same for
// all of them, and shown once.
type lost []*lostHosts

type lostHosts struct {
	reason string
	hosts  []string
}

func (l *lost) add(e *engine.HostEvent) {
	reason := strings.TrimPrefix(Clean(e.Error.Error()), e.Host+": ")
	reason = fmt.Sprintf("%s: %s", status(e.Error), reason)
	for _, g := range *l {
		if g.reason == reason {
			g.hosts = append(g.hosts, e.Host)
			return
		}
	}
	*l = append(*l, &lostHosts{reason, []string{e.Host}})
}

// unusable says why a host can't be used: at once while changes are made, else
// together with the plan.
func (v *textView) unusable(e *engine.HostEvent) {
	v.lost.add(e)
	if v.phase == Making || v.phase == Running {
		v.showLost()
	}
}

// showLost shows the reasons, each with its hosts in the order of the run.
func (v *textView) showLost() {
	at := func(host string) int { return slices.Index(v.plan.order, host) }
	for _, g := range v.lost {
		slices.SortStableFunc(g.hosts, func(a, b string) int { return at(a) - at(b) })
		fmt.Fprintf(v.o.Err, "%s %s: %s\n", v.style.fail.Render("!"), hostList(g.hosts), indented(g.reason, "    "))
	}
	v.lost = nil
}
