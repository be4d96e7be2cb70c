package view

import (
	"fmt"
	"slices"
	"strings"

	"muster/internal/engine"
	"muster/internal/wire"
)

// lost gathers why hosts can't be used: what is the same for several of them, but for their
// names and addresses, is said once.
type lost []*lostHosts

type lostHosts struct {
	status wire.Status
	alike  common // the reason
	whole  string // of the first host, with its address
	hosts  []string
}

// add notes a host; each: by itself. It reports whether it is the first of its like.
func (l *lost) add(e *engine.HostEvent, each bool) bool {
	reason := unmarked(strings.TrimPrefix(Clean(e.Error.Error()), e.Host+": "))
	g := &lostHosts{status: status(e.Error), whole: reason, hosts: []string{e.Host}}
	if !each {
		reason = general(reason, e.Error)
	}
	g.alike = commonOf(reason, e.Host)
	for _, o := range *l {
		if o.status != g.status || each && o.whole != g.whole {
			continue
		}
		if alike, ok := o.alike.with(reason, e.Host); ok {
			o.alike, o.hosts = alike, append(o.hosts, e.Host)
			return false
		}
	}
	*l = append(*l, g)
	return true
}

// general is a reason without what the host that it is about has of its own.
func general(reason string, err error) string {
	where, key := engine.Particulars(err)
	reason = without(without(reason, key, itsFingerprint), where, itsAddress)
	if i := strings.LastIndexByte(where, ':'); i > 0 {
		reason = without(reason, strings.Trim(where[:i], "[]"), itsAddress)
	}
	return reason
}

// sorted are the reasons in the order of the run, as are the hosts of each.
func (v *textView) sorted(list lost) lost {
	for _, g := range list {
		v.plan.sort(g.hosts)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *lostHosts) int { return v.plan.at(a.hosts[0]) - v.plan.at(b.hosts[0]) })
	return list
}

// unusable keeps why a host can't be used for the end. While changes are made the first
// of each kind is named at once, and the others with what is shown next.
func (v *textView) unusable(e *engine.HostEvent) {
	v.lost.add(e, v.o.Verbose)
	first := v.gone.add(e, v.o.Verbose)
	if v.phase != Making {
		return
	}
	if !v.gather {
		v.showLost()
		return
	}
	v.madeAll(v.made.lose(e.Host))
	if first {
		v.briefly()
	}
}

// briefly says which hosts can't be used, of which the reasons stand at the end.
func (v *textView) briefly() {
	if !v.gather {
		v.showLost()
		return
	}
	byStatus := map[wire.Status][]string{}
	for _, g := range v.lost {
		byStatus[g.status] = append(byStatus[g.status], g.hosts...)
	}
	for _, s := range []wire.Status{wire.Failed, wire.Unreachable} {
		if hosts := byStatus[s]; hosts != nil {
			v.plan.sort(hosts)
			fmt.Fprintf(v.o.Err, "%s %s: %s\n", v.style.fail.Render("!"), v.names(hosts), s)
		}
	}
	v.lost = nil
}

// showLost shows the reasons that weren't shown yet, each with its hosts.
func (v *textView) showLost() {
	for _, g := range v.sorted(v.lost) {
		reason := g.alike.text
		if len(g.hosts) == 1 {
			reason = g.whole
		}
		fmt.Fprintf(v.o.Err, "%s %s: %s: %s\n", v.style.fail.Render("!"), v.names(g.hosts), g.status, indented(reason, "    "))
	}
	v.lost = nil
}

// endLost shows at the end which hosts can't be used, also where it was said before among
// what other hosts did.
func (v *textView) endLost(s *engine.Summary) {
	if len(s.Order) > 1 {
		v.lost = v.gone
	}
	v.showLost()
}
