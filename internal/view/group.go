package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"muster/internal/engine"
)

// plan gathers what tasks would do on several hosts, so that what is the same
// on many is shown once.
type plan struct {
	order []string // of all hosts
	tasks []*planTask
	index map[string]*planTask // by id
}

// planTask is one task with what it would do on each host.
type planTask struct {
	play, seq int
	answers   []*answer
}

type answer struct {
	content string
	event   *engine.TaskEvent
	hosts   []string
}

// add notes an event.
func (p *plan) add(e *engine.TaskEvent) {
	if p.index == nil {
		p.index = map[string]*planTask{}
	}
	id := e.ID + "\x00" + e.On
	t := p.index[id]
	if t == nil {
		t = &planTask{play: e.PlayIndex, seq: e.Seq}
		p.index[id] = t
		p.tasks = append(p.tasks, t)
	}
	content := fmt.Sprint(e.Status, e.Certainty, e.Changes, e.Then, e.Always, e.Conditional, e.Error, e.Tolerated, string(e.Output))
	for _, a := range t.answers {
		if a.content == content {
			a.hosts = append(a.hosts, e.Host)
			return
		}
	}
	t.answers = append(t.answers, &answer{content, e, []string{e.Host}})
}

// each calls f for every answer, with the names of the hosts that gave it: tasks
// in the order in which they are made, hosts in that of the plays, whoever
// answered first.
func (p *plan) each(f func(e *engine.TaskEvent, hosts string)) {
	at := func(host string) int { return slices.Index(p.order, host) }
	slices.SortStableFunc(p.tasks, func(a, b *planTask) int { return cmp.Or(a.play-b.play, a.seq-b.seq) })
	for _, t := range p.tasks {
		for _, a := range t.answers {
			slices.SortFunc(a.hosts, func(x, y string) int { return at(x) - at(y) })
		}
		slices.SortStableFunc(t.answers, func(a, b *answer) int { return at(a.hosts[0]) - at(b.hosts[0]) })
		for _, a := range t.answers {
			f(a.event, hostList(a.hosts))
		}
	}
}

// hostList names up to four hosts, and counts more.
func hostList(hosts []string) string {
	if len(hosts) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(hosts[:3], ", "), len(hosts)-3)
	}
	return strings.Join(hosts, ", ")
}
