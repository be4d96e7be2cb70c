package notify

import (
	"cmp"
	"slices"
	"strings"

	"muster/internal/drift"
)

// Told is what a receiver knows: the drift that it was told stands, what couldn't be
// looked at, and why the last check couldn't be made.
type Told struct {
	Drift  []Known          `json:"drift,omitempty"`
	Hosts  map[string]Event `json:"hosts,omitempty"` // by playbook and host: Unchecked or Partly
	Failed string           `json:"failed,omitempty"`
}

// Known is drift that was told.
type Known struct {
	drift.Place
	Change    Change
	Contested bool
}

// looked is what a check saw of a playbook on a host.
type looked struct {
	*drift.Look
	found map[drift.Place]bool
}

// state is what couldn't be looked at; "" for nothing.
func (l *looked) state() Event {
	switch {
	case l.Error != "":
		return Unchecked
	case l.Partial:
		return Partly
	}
	return ""
}

// saw reports whether a place that has nothing to do is known to have nothing to do.
func (l *looked) saw(p drift.Place) bool { return l.Error == "" && (!l.Partial || l.Settled[p]) }

type where struct{ playbook, host string }

func (w where) key() string { return w.playbook + "\x00" + w.host }

// Since is what has changed since a receiver was told, and what it knows when it has been
// told that. Failed is why the check couldn't be made, or not be kept; "" where it was.
func (t Told) Since(c *drift.Check, failed string) (changes []Change, next Told) {
	looks := map[where]*looked{}
	for i := range c.Looks {
		l := &c.Looks[i]
		looks[where{l.Playbook, l.Host}] = &looked{Look: l, found: map[drift.Place]bool{}}
	}
	told := map[drift.Place]Known{}
	for _, k := range t.Drift {
		told[k.Place] = k
	}
	gone := map[drift.Place]drift.Run{}
	for _, item := range present(c, gone) {
		if l := looks[where{item.Playbook, item.Host}]; l != nil {
			l.found[item.Place] = true
		}
		change := changeOf(item)
		k, known := told[item.Place]
		next.Drift = append(next.Drift, Known{item.Place, change, item.Contested})
		switch {
		case item.Contested && !k.Contested:
			change.Event = Contested
		case known && item.Returned == k.Change.Returned:
			continue
		case item.Returned > 0:
			change.Event = Back
		}
		changes = append(changes, change)
	}
	for _, k := range t.Drift {
		l := looks[where{k.Playbook, k.Host}]
		switch {
		case l == nil && left(c, k.Playbook): // its host is none of the playbook's any more
		case l == nil:
			next.Drift = append(next.Drift, k)
		case l.found[k.Place]:
		case !l.saw(k.Place):
			next.Drift = append(next.Drift, k)
		default:
			change := k.Change
			change.Event, change.Known, change.Returned = Gone, nil, 0
			change.PutRightBy, change.PutRightRun = gone[k.Place].By, gone[k.Place].ID
			changes = append(changes, change)
		}
	}
	changes = append(changes, t.hosts(c, looks, &next)...)
	switch next.Failed = failed; {
	case failed != "" && failed != t.Failed:
		changes = append(changes, Change{Event: Failed, Error: failed})
	case failed == "" && t.Failed != "":
		changes = append(changes, Change{Event: Works})
	}
	rank := []Event{Failed, Contested, New, Back, Unchecked, Partly, Gone, Checked, Works}
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(rank, a.Event), slices.Index(rank, b.Event)), cmp.Compare(a.Host, b.Host),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Task, b.Task))
	})
	return changes, next
}

// left reports whether what a check hasn't looked at of a playbook isn't there any more.
func left(c *drift.Check, playbook string) bool {
	return len(c.Limit) == 0 && len(c.Looks) > 0 && slices.Contains(c.Playbooks, playbook)
}

// hosts is what has changed in which hosts can be checked; a host that several playbooks
// look at is told once.
func (t Told) hosts(c *drift.Check, looks map[where]*looked, next *Told) (changes []Change) {
	next.Hosts = map[string]Event{}
	for key, state := range t.Hosts {
		playbook, host, _ := strings.Cut(key, "\x00")
		if looks[where{playbook, host}] == nil && !left(c, playbook) {
			next.Hosts[key] = state
		}
	}
	told := map[string]map[Event]bool{}
	for i := range c.Looks {
		l := looks[where{c.Looks[i].Playbook, c.Looks[i].Host}]
		key := where{l.Playbook, l.Host}.key()
		state, before := l.state(), t.Hosts[key]
		if state != "" {
			next.Hosts[key] = state
		}
		event := state
		if state == "" {
			event = Checked
		}
		if state == before || told[l.Host][event] {
			continue
		}
		if told[l.Host] == nil {
			told[l.Host] = map[Event]bool{}
		}
		told[l.Host][event] = true
		change := Change{Event: event, Host: l.Host, Error: l.Error}
		if event == Partly {
			change.Error, change.Playbook = "a task failed", l.Playbook
		}
		changes = append(changes, change)
	}
	return changes
}

// present is the drift that a check found, compared where it could be, and fills which
// runs put the rest right.
func present(c *drift.Check, gone map[drift.Place]drift.Run) (list []drift.Item) {
	if c.Items == nil {
		for i := range c.Looks {
			list = append(list, c.Looks[i].Items...)
		}
		return list
	}
	for _, item := range c.Items {
		switch item.State {
		case drift.New, drift.Still:
			list = append(list, item)
		case drift.Gone:
			gone[item.Place] = item.PutRight
		}
	}
	return list
}

func changeOf(i drift.Item) Change {
	task := strings.TrimPrefix(i.Name, "task.")
	if i.Key != "" {
		task += "[" + i.Key + "]"
	}
	if i.Role != "" {
		task = "role." + i.Role + " " + task
	}
	return Change{
		Event: New, Host: i.Host, On: i.On, Playbook: i.Playbook, Play: i.Play, Task: task, File: i.File, Line: i.Line,
		Returned: i.Returned, PutRightBy: i.PutRight.By, PutRightRun: i.PutRight.ID, Known: i.Known,
	}
}
