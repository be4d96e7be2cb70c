package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// warnOfLimit warns of a limit that leaves no host to any play: hosts of the
// inventory that the playbook isn't about.
func (a *app) warnOfLimit(pb *eval.Playbook, limit map[string]bool) {
	if limit == nil {
		return
	}
	for _, p := range pb.Plays {
		if slices.ContainsFunc(p.Hosts, func(h string) bool { return limit[h] }) {
			return
		}
	}
	a.view().Warn(fmt.Sprintf("--limit %s: no play runs on any of these hosts.", strings.Join(a.limit, ",")))
}

// warnOfTags warns of tags that --tags or --skip-tags name and no task has: a
// misspelt one would do nothing, or all, without a word.
func (a *app) warnOfTags(pb *eval.Playbook) {
	if len(a.tags)+len(a.skipTags) == 0 {
		return
	}
	known := map[string]bool{}
	for _, p := range pb.Plays {
		steps := p.Steps
		if p.Rolling != nil {
			steps = slices.Concat(steps, p.Rolling.Before, p.Rolling.After)
		}
		addTags(known, steps)
	}
	there := "It has none at all."
	if len(known) > 0 {
		there = "There are: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ") + "."
	}
	for _, f := range []struct {
		name string
		tags []string
	}{{"--tags", a.tags}, {"--skip-tags", a.skipTags}} {
		for _, tag := range f.tags {
			if !known[tag] {
				a.view().Warn(fmt.Sprintf("%s: no task of the playbook has the tag %q. %s", f.name, tag, there))
			}
		}
	}
}

func addTags(known map[string]bool, steps []*plays.Step) {
	for _, s := range steps {
		if s.Task != nil {
			for _, tag := range s.Task.Tags {
				known[tag] = true
			}
		}
		if s.Block != nil {
			addTags(known, slices.Concat(s.Block.Steps, s.Block.Rescue, s.Block.Always))
		}
	}
}
