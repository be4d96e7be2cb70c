package view

import (
	"fmt"
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
	v.gone.add(e)
	if v.phase == Making && v.gather {
		v.madeAll(v.made.lose(e.Host))
	}
	if v.phase == Making {
		v.showLost()
	}
}

// showLost shows the reasons that weren't shown yet.
func (v *textView) showLost() {
	v.reasons(v.lost)
	v.lost = nil
}

// reasons shows each with its hosts, in the order of the run.
func (v *textView) reasons(list lost) {
	for _, g := range list {
		v.plan.sort(g.hosts)
		fmt.Fprintf(v.o.Err, "%s %s: %s\n", v.style.fail.Render("!"), hostList(g.hosts), indented(g.reason, "    "))
	}
}

// endLost shows at the end which hosts can't be used, also where it was said before among
// what other hosts did.
func (v *textView) endLost(s *engine.Summary) {
	if len(s.Order) > 1 {
		v.lost = v.gone
	}
	v.showLost()
}
