package drift

import (
	"muster/internal/engine"
	"muster/internal/wire"
)

// Collector gathers what the plan of a playbook finds.
type Collector struct {
	Playbook string
	tasks    map[Place]*engine.TaskEvent
	order    []Place
	unusable map[string]string // why a host can't be used
	known    map[known][]string
}

// known is a task of a plan.
type known struct{ host, on, id string }

// Event takes an event of the plan. Of several of one task the last holds.
func (c *Collector) Event(e engine.Event) {
	if c.tasks == nil {
		c.tasks, c.unusable = map[Place]*engine.TaskEvent{}, map[string]string{}
		c.known = map[known][]string{}
	}
	switch e := e.(type) {
	case *engine.HostEvent:
		c.unusable[e.Host] = e.Error.Error()
	case *engine.TraceEvent:
		c.known[known{e.Host, e.On, e.ID}] = e.Known
	case *engine.TaskEvent:
		p := Place{c.Playbook, e.Host, e.On, e.Play, PathOf(e.ID)}
		if c.tasks[p] == nil {
			c.order = append(c.order, p)
		}
		c.tasks[p] = e
	}
}

// Looks returns what was found on the hosts of a plan, in their order.
func (c *Collector) Looks(s *engine.Summary) []Look {
	looks := make([]Look, len(s.Order))
	at := map[string]*Look{}
	for i, name := range s.Order {
		looks[i] = Look{Playbook: c.Playbook, Host: name, Error: c.unusable[name], Settled: map[Place]bool{}}
		at[name] = &looks[i]
		count := s.Hosts[name]
		looks[i].Partial = count.Failed > 0
		if count.Unreachable && looks[i].Error == "" {
			looks[i].Error = "it could not be reached"
		}
	}
	for _, p := range c.order {
		l, e := at[p.Host], c.tasks[p]
		switch {
		case l == nil:
		case e.Drift():
			l.Items = append(l.Items, Item{
				Place: p, Name: e.Name, Role: e.Role, Label: e.Task, Key: e.Key, Kind: e.Kind, File: e.File, Line: e.Line,
				Certainty: e.Certainty, Changes: e.Changes, Known: c.known[known{e.Host, e.On, e.ID}],
			})
		case l.Partial && (e.Status == wire.Unchanged || e.Status == wire.Pending):
			l.Settled[p] = true
		}
	}
	return looks
}
