package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// settled is the plan where all files are as they are to be, and loaded. What somebody has
// moved, or loaded in their place, through a socket is put right.
func (p *planner) settled(ctx context.Context, l *Load) (modules.Plan, error) {
	plan := modules.Plan{}
	if _, laid, _, err := p.v.Look(loadedKey); laid || err != nil {
		return modules.Plan{Notes: p.notes}, err // its servers will be as the configuration has them
	}
	want := parse(p.text)
	o := p.observe(ctx, want, want)
	l.Told, l.Verb = o.moved, verbTell
	l.Certs, l.Maps = p.replaced(ctx, l.Files)
	plan.Notes = p.notes
	if len(l.Told)+len(l.Certs)+len(l.Maps) > 0 {
		plan.Changes, plan.Atomic = []host.Change{l}, true
		return plan, nil
	}
	if o.asked {
		var err error
		plan.Output, err = host.Marshal(o.Output)
		return plan, err
	}
	return plan, nil
}

// observed is what HAProxy's servers are, besides what its configuration has.
type observed struct {
	Output
	asked bool
	moved []told // what has servers at their addresses that somebody has moved
}

// observe asks HAProxy for its servers, and notes what somebody has set of them beside
// the configuration was that is loaded. Where it can't be asked nothing is known.
func (p *planner) observe(ctx context.Context, was, want *parsed) (o observed) {
	states, version, err := p.ask(ctx)
	if err != nil {
		return o
	}
	o.asked, o.Version, o.Set = true, version, []string{}
	for _, r := range states {
		s, w := was.server(r[colProxy], r[colName]), want.server(r[colProxy], r[colName])
		if w == nil {
			continue
		}
		name := w.proxy + "/" + w.name
		if s != nil && r.elsewhere(s) && r.elsewhere(w) && net.ParseIP(r[colAddress]) != nil {
			o.moved = append(o.moved, toldAddress(*w, net.JoinHostPort(r[colAddress], r[colPort])))
		}
		agent := slices.Contains(w.rest, "agent-check")
		state, weight := r.setBy(was)
		enabled := s != nil && s.disabled && r.word() == ready
		if state && !agent || weight && !agent || enabled {
			o.Set = append(o.Set, name)
		}
		if state && !agent && !slices.ContainsFunc(p.notes, func(n string) bool { return strings.Contains(n, " "+name+" ") }) {
			p.notes = append(p.notes, fmt.Sprintf("The server %s is %s, which somebody has set: it stays so.", name, inWords(r.word())))
		}
		if weight && !agent {
			p.notes = append(p.notes, fmt.Sprintf("The server %s has the weight %s, which somebody has set: it stays so.", name, r[colWeight]))
		}
		if enabled {
			p.notes = append(p.notes, fmt.Sprintf("The server %s is ready, which somebody has set: the configuration disables it, and has it so when HAProxy is reloaded.", name))
		}
	}
	return o
}

// replaced are the certificates and maps of which HAProxy has others than the files hold:
// somebody has told it so.
func (p *planner) replaced(ctx context.Context, files map[string]string) (certs, mapFiles []string) {
	s, err := p.socket()
	if err != nil {
		return nil, nil
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		data, err := p.v.ReadFile(ctx, path, configLimit)
		if err != nil {
			continue
		}
		switch filepath.Dir(path) {
		case certsFolder:
			leaf := Certificate{Certificate: string(data)}.leaf()
			answer, err := s.ask(ctx, "show ssl cert "+path)
			if number, ok := serialIn(answer); err == nil && ok && leaf != nil && number != serial(leaf) {
				certs = append(certs, path)
			}
		case mapsFolder:
			answer, err := s.ask(ctx, "show map "+path)
			if err == nil && !strings.Contains(answer, "Unknown map") && !sameLines(answer, string(data)) {
				mapFiles = append(mapFiles, path)
			}
		}
	}
	return certs, mapFiles
}

// serialIn is the number of the certificate that `show ssl cert` tells of.
func serialIn(answer string) (string, bool) {
	for l := range strings.Lines(answer) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(l), "Serial: "); ok {
			return strings.TrimLeft(n, "0"), n != ""
		}
	}
	return "", false
}

// sameLines holds what `show map` answers, lines of a reference, a key and a value, against
// a map's file.
func sameLines(answer, file string) bool {
	var has, wants []string
	for l := range strings.Lines(answer) {
		if _, rest, ok := strings.Cut(strings.TrimSpace(l), " "); ok {
			has = append(has, rest)
		}
	}
	for l := range strings.Lines(file) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			wants = append(wants, l)
		}
	}
	slices.Sort(has)
	slices.Sort(wants)
	return slices.Equal(has, wants)
}

// socket is the one that a plan asks HAProxy on.
func (p *planner) socket() (socket, error) {
	return p.daemon.worker(func(ctx context.Context, address string) (net.Conn, error) {
		return p.v.Dial(ctx, address, append(daemonKeys[:len(daemonKeys):len(daemonKeys)], loadedKey)...)
	}, []byte(p.text))
}

// ask returns the states of all servers, and HAProxy's version.
func (p *planner) ask(ctx context.Context) (states []stateRow, version string, err error) {
	s, err := p.socket()
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
