package main

import (
	"slices"
	"strings"

	"muster/internal/engine"
)

// goOn is the command that goes on with a run that changes hosts, where some of them
// aren't done; "" where there is none. Run is its ID in the history.
func (a *app) goOn(r *prepared, s *engine.Summary, run string) string {
	switch {
	case len(unfinished(s)) == 0 || run == "" || r.adHoc != "" || r.again:
		return ""
	case r.planFile != "":
		args := []string{"plan", r.file}
		for _, f := range []struct {
			flag   string
			values []string
		}{{"--limit", a.limit}, {"--tags", a.tags}, {"--skip-tags", a.skipTags}} { // as the plan was made
			if len(f.values) > 0 {
				args = append(args, f.flag, strings.Join(f.values, ","))
			}
		}
		return line(r, append(append(args, r.planVars...), "--save", r.planFile))
	}
	return line(r, append(a.without("limit", "tags", "skip-tags", "resume"), "--resume"))
}

// planAgain is the command that plans once more on the hosts on which planning failed,
// where there are others; "": it isn't.
func (a *app) planAgain(r *prepared, s *engine.Summary) string {
	hosts := unfinished(s)
	if len(hosts) == 0 || s.Outcome == engine.OutcomeInterrupted {
		return ""
	}
	if len(hosts) == len(s.Order) {
		return line(r, a.args)
	}
	return line(r, append(a.without("limit", "save"), "--limit", strings.Join(hosts, ",")))
}

// unfinished are the hosts that failed, couldn't be reached, or weren't come to.
func unfinished(s *engine.Summary) []string {
	var list []string
	for _, name := range s.Order {
		if c := s.Hosts[name]; c.Unreachable || c.Failed > c.Tolerated || c.NotReached > 0 || c.Unknown > 0 || c.Stopped {
			list = append(list, name)
		}
	}
	return list
}

// without is the command line without some flags.
func (a *app) without(flags ...string) []string {
	var list []string
	for i := 0; i < len(a.args); i++ {
		name, _, with := strings.Cut(strings.TrimPrefix(a.args[i], "--"), "=")
		if !strings.HasPrefix(a.args[i], "--") || !slices.Contains(flags, name) {
			list = append(list, a.args[i])
			continue
		}
		if !with && name != "resume" {
			i++ // its value
		}
	}
	return list
}
