package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/modules"
)

// A service that restarts on a file is to stand behind the last task that
// writes it: otherwise it would act on that only in the next run. What is
// written where is known as far as tasks are checked: for every host, or for
// some of each make where there are very many.

// paths is what the tasks of a play write, and what its services restart on.
type paths struct {
	written map[string]map[string]*plays.Task // the last, by path and host; "" for all of the play's
	read    []read
}

// read is a path that a service restarts or reloads on, on a host.
type read struct {
	task *plays.Task
	path string
	at   hcl.Range
	host string // "" on all of the play's
}

// actsOn returns the host that an instance acts on; "" where it does the same
// on all hosts of the play. ok is false where it isn't known, or doesn't run.
func (c *checker) actsOn(i *eval.Instance, varies bool) (host string, ok bool) {
	t := i.Task
	switch {
	case t.On != nil:
		return i.Target, i.Target != ""
	case len(c.play.Hosts) == 0:
		return "", true
	case t.Once:
		return c.play.Hosts[0], !varies || i.Host == c.play.Hosts[0]
	case varies:
		return i.Host, true
	}
	return "", true
}

// note notes what a task writes on a host, and what it restarts on.
func (p *paths) note(kinds *modules.Registry, t *plays.Task, args eval.Args, host string) {
	if key := kinds.Schema(t.Kind).Key(); key != nil && key.Path && !t.Conditional {
		if path, ok := word(args[key.Name]); ok {
			if p.written[path] == nil {
				p.written[path] = map[string]*plays.Task{}
			}
			p.written[path][host] = t
		}
	}
	p.noteModule(kinds, t, args, host)
	for _, name := range []string{"restart_on", "reload_on"} {
		a := t.Arg(name)
		if a == nil {
			continue
		}
		value := args[name]
		if s, ok := word(value); ok {
			value = []any{s}
		}
		items, _ := value.([]any)
		for i, item := range items {
			path, ok := word(item)
			if !ok {
				continue
			}
			at := a.Raw.Range()
			if x := diag.TupleItem(a.Raw, i); x != nil {
				at = x.Range()
			}
			p.read = append(p.read, read{t, path, at, host})
		}
	}
}

// word is the string that an argument is, sensitive or not.
func word(value any) (string, bool) {
	s, ok := eval.Credential(value)
	return s.Reveal(), ok
}

// noteModule notes what the task's module says that it writes and reads.
func (p *paths) noteModule(kinds *modules.Registry, t *plays.Task, args eval.Args, host string) {
	if _, is := kinds.Kind(t.Kind).New().(modules.Placed); !is || t.Conditional {
		return
	}
	module, errs := kinds.Decode(t.Kind, args)
	if len(errs) > 0 {
		return
	}
	placed := module.(modules.Placed)
	for _, name := range placed.Writes() {
		if p.written[name] == nil {
			p.written[name] = map[string]*plays.Task{}
		}
		p.written[name][host] = t
	}
	for _, name := range placed.Reads() {
		p.read = append(p.read, read{t, name, t.LabelAt, host})
	}
}

// later is a task that writes what a service before it restarts on.
type later struct {
	read
	writer *plays.Task
	hosts  map[string]bool // on which it is so
	all    bool
}

// restarts reports services that restart on what a later task writes.
func (c *checker) restarts() {
	found := map[hcl.Range]*later{}
	var order []*later
	for _, r := range c.paths.read {
		writers := c.paths.written[r.path]
		if r.host != "" {
			writers = map[string]*plays.Task{r.host: writers[r.host], "": writers[""]}
		}
		for at, w := range writers {
			host, meet := c.meet(r.host, at)
			if w == nil || w.Order <= r.task.Order || !meet {
				continue
			}
			f := found[r.at]
			if f == nil {
				f = &later{read: r, hosts: map[string]bool{}}
				found[r.at] = f
				order = append(order, f)
			}
			if f.writer == nil || f.writer.Order < w.Order {
				f.writer = w
			}
			f.all = f.all || host == ""
			f.hosts[host] = true
		}
	}
	for _, f := range order {
		where := ""
		if !f.all && len(f.hosts) < len(c.play.Hosts) {
			where = fmt.Sprintf(" (This is so for host %s.)", slices.Sorted(maps.Keys(f.hosts))[0])
		}
		c.errorAt(f.at, "Written later", "", "%s writes %s further down, at %s, so that this would act on it only in the next run. Move the service below it.%s", f.writer.Called, f.path, diag.Place(f.writer.Range), where)
	}
}

// meet reports whether two tasks act on one host, and which; "" all of them.
func (c *checker) meet(a, b string) (host string, ok bool) {
	switch {
	case a == b:
		return a, true
	case a == "":
		return b, c.play.HostSet[b]
	case b == "":
		return a, c.play.HostSet[a]
	}
	return "", false
}
