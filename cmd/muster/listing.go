package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"muster/internal/engine"
	"muster/internal/lang/plays"
	"muster/internal/view"
)

// listing is what of a playbook is to be listed, in the place of a run.
type listing struct{ hosts, tasks, tags bool }

// listFlags are those of commands that can list what a playbook is about.
func (l *listing) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&l.hosts, "list-hosts", false, "only list the hosts of each play")
	cmd.Flags().BoolVar(&l.tasks, "list-tasks", false, "only list the tasks of each play")
	cmd.Flags().BoolVar(&l.tags, "list-tags", false, "only list the tags of each play")
}

func (l *listing) any() bool { return l.hosts || l.tasks || l.tags }

// listedPlay is a play as it is listed; what wasn't asked for is nil.
type listedPlay struct {
	Type  string       `json:"type"`
	Play  string       `json:"play"`
	Hosts []string     `json:"hosts,omitempty"`
	Tasks []listedTask `json:"tasks,omitempty"`
	Tags  []string     `json:"tags,omitempty"`
}

type listedTask struct {
	Task string   `json:"task"`
	Kind string   `json:"kind"`
	Tags []string `json:"tags,omitempty"`
	File string   `json:"file"`
	Line int      `json:"line"`
}

// list lists a playbook, as --limit, --tags and --skip-tags leave it. No host is asked.
func (a *app) list(ctx context.Context, file string, what listing) error {
	l, diags, err := a.load(ctx, false)
	if err != nil {
		return err
	}
	pb, err := a.playbook(l, diags, file, false)
	if err != nil {
		return err
	}
	a.warnOfTags(pb)
	limit, err := a.limited(l.inventory)
	if err != nil {
		return err
	}
	a.warnOfLimit(pb, limit)
	a.view() // as JSON, the line of the version
	for _, p := range pb.Plays {
		listed := a.listed(p, limit)
		if a.output == "json" {
			if err := view.NewEncoder(a.out).Encode(what.of(listed)); err != nil {
				return err
			}
			continue
		}
		a.showListed(listed, what)
	}
	return nil
}

// listed is a play with what flags leave of it.
func (a *app) listed(p *plays.Play, limit map[string]bool) listedPlay {
	out := listedPlay{Type: "list", Play: p.Name, Hosts: []string{}, Tasks: []listedTask{}, Tags: []string{}}
	for _, h := range p.Hosts {
		if limit == nil || limit[h] {
			out.Hosts = append(out.Hosts, h)
		}
	}
	tags := map[string]bool{}
	o := engine.Options{Tags: a.tags, SkipTags: a.skipTags}
	for t := range p.Tasks() {
		if !o.Chooses(t.Tags) {
			continue
		}
		for _, tag := range t.Tags {
			tags[tag] = true
		}
		out.Tasks = append(out.Tasks, listedTask{t.Name(), t.Kind, t.Tags, t.Range.Filename, t.Range.Start.Line})
	}
	out.Tags = slices.Sorted(maps.Keys(tags))
	return out
}

// of leaves out what isn't asked for.
func (l listing) of(p listedPlay) listedPlay {
	if !l.hosts {
		p.Hosts = nil
	}
	if !l.tasks {
		p.Tasks = nil
	}
	if !l.tags {
		p.Tags = nil
	}
	return p
}

// showListed prints a play for people.
func (a *app) showListed(p listedPlay, what listing) {
	fmt.Fprintln(a.text(), view.CleanLine(p.Play))
	if what.hosts {
		fmt.Fprintf(a.text(), "  hosts (%d)\n", len(p.Hosts))
		for _, h := range p.Hosts {
			fmt.Fprintf(a.text(), "    %s\n", view.CleanLine(h))
		}
	}
	if what.tasks {
		fmt.Fprintf(a.text(), "  tasks (%d)\n", len(p.Tasks))
		for _, t := range p.Tasks {
			tags := ""
			if len(t.Tags) > 0 {
				tags = "  tags: " + strings.Join(t.Tags, ", ")
			}
			fmt.Fprintf(a.text(), "    %s  %s:%d%s\n", view.CleanLine(strings.TrimPrefix(t.Task, "task.")), t.File, t.Line, view.CleanLine(tags))
		}
	}
	if what.tags {
		fmt.Fprintf(a.text(), "  tags: %s\n", view.CleanLine(strings.Join(p.Tags, ", ")))
	}
}
