package view

import (
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
	last  map[string]int // the place of each host's newest task
}

// planTask is one task with what it would do, in the order in which different
// answers came.
type planTask struct {
	id      string
	play    int
	answers []*answer
}

type answer struct {
	content string
	event   *engine.TaskEvent
	hosts   []string
}

// add notes an event. Tasks stand in the order in which hosts answer them; one
// that only some hosts have stands behind the task before it there.
func (p *plan) add(e *engine.TaskEvent) {
	if p.last == nil {
		p.last = map[string]int{}
	}
	id := e.ID + "\x00" + e.On
	at := -1
	for i, t := range p.tasks {
		if t.id == id {
			at = i
			break
		}
	}
	if at < 0 {
		at = p.place(e)
		p.tasks = slices.Insert(p.tasks, at, &planTask{id: id, play: e.PlayIndex})
		for host, l := range p.last {
			if l >= at {
				p.last[host] = l + 1
			}
		}
	}
	p.last[e.Host] = at
	content := fmt.Sprint(e.Status, e.Certainty, e.Changes, e.Then, e.Always, e.Error, e.Tolerated, string(e.Output))
	for _, a := range p.tasks[at].answers {
		if a.content == content {
			a.hosts = append(a.hosts, e.Host)
			return
		}
	}
	p.tasks[at].answers = append(p.tasks[at].answers, &answer{content, e, []string{e.Host}})
}

// place is where a task that no host has had yet belongs: in its play's part,
// behind the task before it on its host.
func (p *plan) place(e *engine.TaskEvent) int {
	if l, ok := p.last[e.Host]; ok && p.tasks[l].play == e.PlayIndex {
		return l + 1
	}
	if first := slices.IndexFunc(p.tasks, func(t *planTask) bool { return t.play >= e.PlayIndex }); first >= 0 {
		return first
	}
	return len(p.tasks)
}

// each calls f for every answer, with the names of the hosts that gave it.
func (p *plan) each(f func(e *engine.TaskEvent, hosts string)) {
	for _, t := range p.tasks {
		for _, a := range t.answers {
			slices.SortFunc(a.hosts, func(x, y string) int { return slices.Index(p.order, x) - slices.Index(p.order, y) })
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
