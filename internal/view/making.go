package view

import (
	"cmp"
	"fmt"
	"slices"

	"muster/internal/engine"
	"muster/internal/wire"
)

// made gathers what becomes of tasks on several hosts while they are made, so that each
// task is shown once: when the last host on which it was pending is through, and earlier
// where that takes long.
type made struct {
	tasks map[string]*madeTask // by id
	out   map[string]bool      // hosts on which nothing more is made
}

// madeTask is one task. Hosts are those on which it was pending, with whether it is over
// there.
type madeTask struct {
	event     *engine.TaskEvent // the last that came
	hosts     map[string]bool
	left      int // of hosts, on which it isn't over
	changed   []string
	unchanged int
	others    plan // what isn't just a change that its plan has shown
	news      bool // since it was shown
}

func idOf(e *engine.TaskEvent) string { return e.ID + "\x00" + e.On }

// expect notes that a task is to be made on a host.
func (m *made) expect(e *engine.TaskEvent) {
	if m.tasks == nil {
		m.tasks = map[string]*madeTask{}
	}
	t := m.tasks[idOf(e)]
	if t == nil {
		t = &madeTask{event: e, hosts: map[string]bool{}}
		m.tasks[idOf(e)] = t
	}
	if over, ok := t.hosts[e.Host]; !ok || over {
		t.hosts[e.Host] = false
		t.left++
	}
}

// over notes that a task is over on a host, and returns it.
func (m *made) over(e *engine.TaskEvent) *madeTask {
	if m.tasks[idOf(e)] == nil || !m.known(e) {
		m.expect(e)
	}
	t := m.tasks[idOf(e)]
	t.event = e
	if !t.hosts[e.Host] {
		t.hosts[e.Host] = true
		t.left--
	}
	return t
}

func (m *made) known(e *engine.TaskEvent) bool {
	_, ok := m.tasks[idOf(e)].hosts[e.Host]
	return ok
}

// lose notes that nothing more is made on a host, and returns the tasks that nobody waits
// for any more.
func (m *made) lose(host string) []*madeTask {
	if m.out[host] {
		return nil
	}
	if m.out == nil {
		m.out = map[string]bool{}
	}
	m.out[host] = true
	var done []*madeTask
	for _, t := range m.tasks {
		if over, ok := t.hosts[host]; ok && !over {
			t.hosts[host] = true
			if t.left--; t.left == 0 && t.news {
				done = append(done, t)
			}
		}
	}
	sortMade(done)
	return done
}

// begun are the tasks of which something is to be shown, in the order of the plays.
func (m *made) begun() []*madeTask {
	var list []*madeTask
	for _, t := range m.tasks {
		if t.news {
			list = append(list, t)
		}
	}
	sortMade(list)
	return list
}

func sortMade(list []*madeTask) {
	slices.SortFunc(list, func(a, b *madeTask) int {
		return cmp.Or(a.event.PlayIndex-b.event.PlayIndex, a.event.Seq-b.event.Seq, cmp.Compare(idOf(a.event), idOf(b.event)))
	})
}

// making takes what becomes of a task. The first failure of its like is shown at once, and
// those that are the same on other hosts with the task; all of it stands at the end.
func (v *textView) making(e *engine.TaskEvent, first bool) {
	switch {
	case e.Status == wire.Pending: // planned as it is made: no plan has shown it
		v.made.expect(e)
		v.show(e, e.Host)
		return
	case e.Status == wire.Failed && !e.Tolerated && !first:
		t := v.made.over(e)
		t.others.add(e)
		t.news = true
		v.madeAll(append(v.lastOf(t), v.made.lose(e.Host)...))
		return
	case e.Status == wire.Failed && !e.Tolerated, e.Status == wire.Unknown:
		v.show(e, e.Host)
		v.madeAll(append(v.lastOf(v.made.over(e)), v.made.lose(e.Host)...))
		return
	}
	t := v.made.over(e)
	t.news = t.news || v.visible(e)
	switch {
	case (e.Status == wire.Skipped || e.Status == wire.NotReached) && !v.o.Verbose:
	case e.Status == wire.Changed && !e.Unforeseen && e.Kind != "print":
		t.changed = append(t.changed, e.Host)
	case e.Status == wire.Unchanged && e.Kind != "print":
		t.unchanged++
	default:
		t.others.add(e)
	}
	v.madeAll(v.lastOf(t))
}

// lastOf is a task that is over on all of its hosts.
func (v *textView) lastOf(t *madeTask) []*madeTask {
	if t.left == 0 && t.news {
		return []*madeTask{t}
	}
	return nil
}

// madeAll shows tasks as far as they have come.
func (v *textView) madeAll(list []*madeTask) {
	for _, t := range list {
		t.news = false
		v.madeSoFar(t)
		t.others = plan{}
	}
}

func (v *textView) madeSoFar(t *madeTask) {
	if len(t.changed) > 0 || t.unchanged > 0 && v.o.Verbose {
		e := *t.event
		e.Status = wire.Changed
		if len(t.changed) == 0 {
			e.Status = wire.Unchanged
		}
		on := slices.Clone(t.changed)
		v.plan.sort(on)
		if len(on) == 0 {
			on = t.names()
			v.plan.sort(on)
		}
		v.heading(&e)
		v.line(&e, v.names(on), t.count())
	}
	t.others.rank = v.plan.rank
	t.others.each(v.o.Verbose, v.shown)
}

func (t *madeTask) names() []string {
	var list []string
	for name := range t.hosts {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// count says on how many hosts of how many it was made.
func (t *madeTask) count() string {
	if len(t.hosts) == 1 && len(t.changed) == 1 {
		return "changed"
	}
	if len(t.changed) == 0 {
		if t.unchanged == len(t.hosts) {
			return "unchanged"
		}
		return fmt.Sprintf("%d of %d hosts unchanged", t.unchanged, len(t.hosts))
	}
	text := fmt.Sprintf("%d of %d hosts changed", len(t.changed), len(t.hosts))
	if t.unchanged > 0 {
		text += fmt.Sprintf(", %d unchanged", t.unchanged)
	}
	return text
}

// open returns up to n lines of what is being made: the tasks that hosts are through
// with and others aren't.
func (v *textView) open(n int) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase != Making || !v.gather {
		return nil
	}
	var lines []string
	list := v.made.begun()
	for i, t := range list {
		if i == n-1 && len(list) > n {
			return append(lines, v.style.faint.Render(fmt.Sprintf("  … and %d more tasks", len(list)-i)))
		}
		lines = append(lines, fmt.Sprintf("  %s %s  %s", v.style.change.Render("~"), v.name(t.event), v.style.faint.Render(t.count())))
	}
	return lines
}

// news shows the tasks of which there is something new, though they aren't over on all
// of their hosts.
func (v *textView) news() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase == Making && v.gather {
		v.briefly()
		v.madeAll(v.made.begun())
	}
}
