package eval

import (
	"fmt"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
	"muster/modules"
)

// Companions are the other hosts that a task needs, with arguments as evaluated, which acts
// on a host ("" where that isn't known). One that isn't known yet isn't among them, unknown
// says so. Errors are those of the kind, and hosts that can't be a companion.
func (p *Playbook) Companions(t *plays.Task, on string, args map[string]any) (list []modules.Companion, unknown bool, errs []modules.ArgError) {
	if _, is := t.KindOf.New().(modules.Accompanied); !is {
		return nil, false, nil
	}
	m, errs := p.Options.Kinds.Decode(t.Kind, args)
	if len(errs) > 0 {
		return nil, false, errs
	}
	if n, is := m.(modules.HostNamer); is && !p.Inventory.Partial {
		for _, h := range n.Hosts() {
			if p.Inventory.ByName[h.Host] == nil {
				errs = append(errs, modules.ArgError{Arg: h.Arg, Path: h.Path, Summary: "Unknown host", Hint: diag.DidYouMean(h.Host, p.Inventory.Names), Detail: fmt.Sprintf("%q is no host of this inventory.", h.Host)})
			}
		}
	}
	seen := map[string]bool{}
	for _, c := range m.(modules.Accompanied).Companions() {
		wrong := func(summary, hint, detail string, a ...any) {
			errs = append(errs, modules.ArgError{Arg: c.Arg, Summary: summary, Hint: hint, Detail: fmt.Sprintf(detail, a...)})
		}
		k := p.Options.Kinds.Kind(c.Kind)
		switch {
		case c.Host == "":
			unknown = true
			continue
		case k == nil || !k.Companion:
			wrong("Unknown kind", "", "A fault of the kind %q: it needs %q of another host, which isn't a companion's kind.", t.Kind, c.Kind)
		case p.Inventory.ByName[c.Host] == nil && p.Inventory.Partial:
			unknown = true
			continue
		case p.Inventory.ByName[c.Host] == nil:
			wrong("Unknown host", diag.DidYouMean(c.Host, p.Inventory.Names), "%q is no host of this inventory.", c.Host)
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

// Accompanied reports whether a task may need other hosts, whatever its arguments come to.
func (p *Playbook) Accompanied(t *plays.Task) bool {
	if t.KindOf == nil || t.KindOf.New == nil || t.Broken {
		return false
	}
	if _, is := t.KindOf.New().(modules.Accompanied); !is {
		return false
	}
	args := map[string]any{}
	for _, a := range t.Args {
		args[a.Name] = modules.UnknownValue{}
	}
	if t.KeyLabel != nil {
		args[t.KeyLabel.Name] = modules.UnknownValue{}
	}
	m, errs := p.Options.Kinds.Decode(t.Kind, args)
	return len(errs) == 0 && len(m.(modules.Accompanied).Companions()) > 0
}

// Address is what the inventory says that a host is reached at.
func (p *Playbook) Address(host string) string {
	if h := p.Inventory.ByName[host]; h != nil && h.Address != "" {
		return h.Address
	}
	return host
}
