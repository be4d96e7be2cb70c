package lang

import (
	"fmt"

	"muster/internal/lang/diag"
	"muster/modules"
)

// Companions are the other hosts that a task needs, with arguments as evaluated, which acts
// on a host ("" where that isn't known). One that isn't known yet isn't among them, unknown
// says so. Errors are those of the kind, and hosts that can't be a companion.
func (p *Playbook) Companions(t *Task, on string, args map[string]any) (list []modules.Companion, unknown bool, errs []modules.ArgError) {
	if _, is := t.kind.New().(modules.Accompanied); !is {
		return nil, false, nil
	}
	m, errs := p.o.Kinds.Decode(t.Kind, args)
	if len(errs) > 0 {
		return nil, false, errs
	}
	if n, is := m.(modules.HostNamer); is && !p.fleet.partial {
		for _, h := range n.Hosts() {
			if p.fleet.byName[h.Host] == nil {
				errs = append(errs, modules.ArgError{Arg: h.Arg, Path: h.Path, Summary: "Unknown host", Hint: diag.DidYouMean(h.Host, p.fleet.names), Detail: fmt.Sprintf("%q is no host of this inventory.", h.Host)})
			}
		}
	}
	seen := map[string]bool{}
	for _, c := range m.(modules.Accompanied).Companions() {
		wrong := func(summary, hint, detail string, a ...any) {
			errs = append(errs, modules.ArgError{Arg: c.Arg, Summary: summary, Hint: hint, Detail: fmt.Sprintf(detail, a...)})
		}
		k := p.o.Kinds.Kind(c.Kind)
		switch {
		case c.Host == "":
			unknown = true
			continue
		case k == nil || !k.Companion:
			wrong("Unknown kind", "", "A fault of the kind %q: it needs %q of another host, which isn't a companion's kind.", t.Kind, c.Kind)
		case p.fleet.byName[c.Host] == nil && p.fleet.partial:
			unknown = true
			continue
		case p.fleet.byName[c.Host] == nil:
			wrong("Unknown host", diag.DidYouMean(c.Host, p.fleet.names), "%q is no host of this inventory.", c.Host)
		case c.Host == on:
			wrong("The host itself", "", "%s is the host that the task acts on: it needs another one.", on)
		case seen[c.Host]:
			wrong("Named twice", "", "%s is needed for two things by one task.", c.Host)
		}
		seen[c.Host] = true
		list = append(list, c)
	}
	return list, unknown, errs
}

// accompanied reports whether a task may need other hosts, whatever its arguments come to.
func (p *Playbook) accompanied(t *Task) bool {
	if t.kind == nil || t.kind.New == nil || t.broken {
		return false
	}
	if _, is := t.kind.New().(modules.Accompanied); !is {
		return false
	}
	args := map[string]any{}
	for _, a := range t.args {
		args[a.name] = modules.UnknownValue{}
	}
	if t.keyLabel != nil {
		args[t.keyLabel.name] = modules.UnknownValue{}
	}
	m, errs := p.o.Kinds.Decode(t.Kind, args)
	return len(errs) == 0 && len(m.(modules.Accompanied).Companions()) > 0
}

// Address is what the inventory says that a host is reached at.
func (p *Playbook) Address(host string) string {
	if h := p.fleet.byName[host]; h != nil && h.Address != "" {
		return h.Address
	}
	return host
}
