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
	rank  map[string]int // of each host in the order of all
	tasks []*planTask
	index map[string]*planTask // by id
}

// planTask is one task with what it would do on each host.
type planTask struct {
	play, seq int
	answers   []*answer
	index     map[string]*answer // by content
}

type answer struct {
	event *engine.TaskEvent
	hosts []string
}

// ordered returns an empty plan of hosts in their order.
func ordered(hosts []string) plan {
	p := plan{rank: make(map[string]int, len(hosts))}
	for i, name := range hosts {
		p.rank[name] = i
	}
	return p
}

// at is a host's place in the order; those that aren't in it come first.
func (p *plan) at(host string) int {
	if i, ok := p.rank[host]; ok {
		return i
	}
	return -1
}

// sort puts hosts into the order.
func (p *plan) sort(hosts []string) {
	slices.SortStableFunc(hosts, func(a, b string) int { return p.at(a) - p.at(b) })
}

// add notes an event.
func (p *plan) add(e *engine.TaskEvent) {
	if p.index == nil {
		p.index = map[string]*planTask{}
	}
	t := p.index[idOf(e)]
	if t == nil {
		t = &planTask{play: e.PlayIndex, seq: e.Seq, index: map[string]*answer{}}
		p.index[idOf(e)] = t
		p.tasks = append(p.tasks, t)
	}
	content := fmt.Sprint(e.Status, e.Certainty, e.Changes, e.Then, e.Always, e.Conditional, e.Error, e.Tolerated, messageOf(e))
	if a := t.index[content]; a != nil {
		a.hosts = append(a.hosts, e.Host)
		return
	}
	a := &answer{e, []string{e.Host}}
	t.index[content] = a
	t.answers = append(t.answers, a)
}

// each calls f for every answer, and those that are nearly like it; whole: for each by
// itself. Tasks come in the order in which they are made, hosts in that of the plays,
// whoever answered first.
func (p *plan) each(whole bool, f func(*likeness)) {
	slices.SortStableFunc(p.tasks, func(a, b *planTask) int { return cmp.Or(a.play-b.play, a.seq-b.seq) })
	for _, t := range p.tasks {
		for _, a := range t.answers {
			p.sort(a.hosts)
		}
		slices.SortStableFunc(t.answers, func(a, b *answer) int { return p.at(a.hosts[0]) - p.at(b.hosts[0]) })
		if whole {
			for _, a := range t.answers {
				f(alone(a))
			}
			continue
		}
		for _, list := range near(t.answers) {
			f(list)
		}
	}
}

// names names up to four hosts, and counts more; with -v it names all.
func (v *textView) names(hosts []string) string {
	if len(hosts) > 4 && !v.o.Verbose {
		return fmt.Sprintf("%s and %d more", CleanLine(strings.Join(hosts[:3], ", ")), len(hosts)-3)
	}
	return CleanLine(strings.Join(hosts, ", "))
}
