package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// settled is the plan where all files are as they are to be, and loaded. Servers that
// somebody has moved to other addresses since are moved back; what else somebody has set
// of them stays, and is told.
func (p *planner) settled(ctx context.Context, l *Load) (modules.Plan, error) {
	plan := modules.Plan{Notes: p.notes}
	if _, laid, _, err := p.v.Look(loadedKey); laid || err != nil {
		return plan, err // its servers will be as the configuration has them
	}
	states, version, err := p.ask(ctx)
	if err != nil {
		return plan, nil // it can't be asked, and needn't be
	}
	want := parse(p.text)
	out := Output{Version: version, Set: []string{}}
	for _, r := range states {
		s := want.server(r[colProxy], r[colName])
		if s == nil {
			continue
		}
		name := s.proxy + "/" + s.name
		if r.elsewhere(s) && net.ParseIP(r[colAddress]) != nil {
			l.Told = append(l.Told, toldAddress(*s, net.JoinHostPort(r[colAddress], r[colPort])))
		}
		state, weight := r.setBy(want)
		if weight = weight && !slices.Contains(s.rest, "agent-check"); !state && !weight {
			continue
		}
		out.Set = append(out.Set, name)
		if state && !slices.ContainsFunc(p.notes, func(n string) bool { return strings.Contains(n, " "+name+" ") }) {
			plan.Notes = append(plan.Notes, fmt.Sprintf("The server %s is %s, which somebody has set: it stays so.", name, inWords(r.word())))
		}
		if weight {
			plan.Notes = append(plan.Notes, fmt.Sprintf("The server %s has the weight %s, which somebody has set: it stays so.", name, r[colWeight]))
		}
	}
	if len(l.Told) > 0 {
		l.Verb = verbTell
		plan.Changes, plan.Atomic = []host.Change{l}, true
		return plan, nil
	}
	plan.Output, err = host.Marshal(out)
	return plan, err
}

// ask returns the states of all servers, and HAProxy's version.
func (p *planner) ask(ctx context.Context) (states []stateRow, version string, err error) {
	s, err := p.daemon.worker(func(ctx context.Context, address string) (net.Conn, error) {
		return p.v.Dial(ctx, address, append(daemonKeys[:len(daemonKeys):len(daemonKeys)], loadedKey)...)
	}, []byte(p.text))
	if err != nil {
		return nil, "", err
	}
	answers, err := host.Once(p.v, "haproxy states", func() ([2]string, error) {
		var a [2]string
		var err1, err2 error
		a[0], err1 = s.ask(ctx, "show servers state")
		a[1], err2 = s.ask(ctx, "show info")
		return a, errors.Join(err1, err2)
	})
	for l := range strings.Lines(answers[1]) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "Version: "); ok {
			version = v
		}
	}
	states, _ = rows(answers[0])
	return states, version, err
}
