package refs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

func (w *walker) variable(t hcl.Traversal) {
	name, ok := diag.SecondName(t)
	if !ok {
		w.reads.Vars = slices.Sorted(maps.Keys(w.Unit.Variables))
		return
	}
	if w.Unit.Variables[name] == nil {
		declare := fmt.Sprintf("Declare it: variable %q {}", name)
		if hint := diag.DidYouMean(name, slices.Sorted(maps.Keys(w.Unit.Variables))); hint != "" {
			declare = hint
		}
		w.fail(t[1].SourceRange(), "Unknown variable", declare, "%s declares no variable %q.", w.Unit.What(), name)
		return
	}
	w.reads.Vars = plays.AddName(w.reads.Vars, name)
}

func (w *walker) local(t hcl.Traversal) {
	name, ok := diag.SecondName(t)
	if !ok {
		w.fail(t.SourceRange(), "Local without a name", "local.NAME", "A local is read by its name.")
		return
	}
	if w.Unit.Locals[name] == nil {
		w.fail(t[1].SourceRange(), "Unknown local", diag.DidYouMean(name, slices.Sorted(maps.Keys(w.Unit.Locals))), "%s has no local %q.", w.Unit.What(), name)
		return
	}
	w.reads.Locals = plays.AddName(w.reads.Locals, name)
}

var hostAttributes = []string{"name", "address", "groups", "vars", "facts"}

func (w *walker) attribute(t hcl.Traversal, known []string) bool {
	name, ok := diag.SecondName(t)
	if !ok {
		return true
	}
	for _, k := range known {
		if k == name {
			return true
		}
	}
	w.fail(t[1].SourceRange(), "Unknown attribute", diag.DidYouMean(name, known), "%s has no attribute %q. It has %s.", t.RootName(), name, diag.List(known))
	return false
}

func (w *walker) hostAttribute(t hcl.Traversal) {
	if !w.attribute(t, hostAttributes) {
		return
	}
	w.reads.Host = true
	w.hostVars(t[1:])
	name, ok := diag.SecondName(t)
	if !ok || name == "facts" {
		if !w.factsAllowed(t.SourceRange()) {
			return
		}
		w.reads.Facts = true
		w.factPath(t, 2)
	}
	if ok && name == "vars" {
		w.hostVar(t)
	}
}

func (w *walker) factsAllowed(at hcl.Range) bool {
	if w.Can&Facts != 0 {
		return true
	}
	w.fail(at, "Can't be read here", "Use a local: locals are evaluated when the facts are known.", "Facts can't be read in %s: they are known only when the play starts.", w.What)
	return false
}

// factPath checks the rest of a traversal against the facts' type; t[from-1]
// is "facts".
func (w *walker) factPath(t hcl.Traversal, from int) {
	if len(t) <= from {
		w.reads.AllFacts = true
		return
	}
	w.noteFact(t[from:])
	w.typePath(w.Known.Facts, t[from:], "host.facts")
}

// typePath reports an attribute that values of type typ don't have.
func (w *walker) typePath(typ cty.Type, t hcl.Traversal, path string) {
	for _, step := range t {
		name, named := diag.StepName(step)
		switch {
		case typ.IsObjectType() && named:
			if !typ.HasAttribute(name) {
				known := diag.Attributes(typ)
				w.fail(step.SourceRange(), "Unknown attribute", diag.DidYouMean(name, known), "%s has no attribute %q. It has %s.", path, name, diag.List(known))
				return
			}
			typ, path = typ.AttributeType(name), path+"."+name
		case typ.IsMapType(), typ.IsListType():
			typ, path = typ.ElementType(), path+"[…]"
		case typ.IsPrimitiveType():
			w.fail(step.SourceRange(), "Unknown attribute", "", "%s is %s: nothing is read of it.", path, diag.TypeWord(typ))
			return
		default:
			return
		}
	}
}

// hostVar reports a var that no host has.
func (w *walker) hostVar(t hcl.Traversal) {
	if len(t) < 3 || w.guard > 0 {
		return
	}
	name, ok := diag.StepName(t[2])
	if ok && !w.Known.Fleet.VarNames[name] && !w.Known.Fleet.Partial {
		w.fail(t[2].SourceRange(), "Unknown attribute", diag.DidYouMean(name, slices.Sorted(maps.Keys(w.Known.Fleet.VarNames))), "No host of the inventory has a var %q. For one that may be missing write try(host.vars.%s, null).", name, name)
	}
}

// otherHost handles hosts["NAME"] with what follows it. parted: the hosts as a
// whole are only what something else looks at the elements of.
func (w *walker) otherHost(t hcl.Traversal, parted bool) {
	w.any = true
	name, ok := diag.SecondName(t)
	if !ok {
		w.reads.AllHosts = true
		w.allVars = w.allVars || !parted
		return
	}
	w.hostVars(t[2:])
	if w.Known.Fleet.ByName[name] == nil && !w.Known.Fleet.Partial {
		if w.guard == 0 {
			w.fail(t[1].SourceRange(), "Unknown host", diag.DidYouMean(name, append([]string(nil), w.Known.Fleet.Names...)), "The inventory has no host %q.", name)
		}
		return
	}
	w.reads.Hosts = plays.AddName(w.reads.Hosts, name)
	if len(t) < 3 {
		w.reads.HostFacts, w.reads.AllFacts = true, true
		return
	}
	attr, _ := diag.StepName(t[2])
	switch attr {
	case "task":
		if w.Names == nil {
			w.cannot("task", Task, t[2].SourceRange())
			return
		}
		w.task(t[3:], t[2].SourceRange(), name, false)
	case "role":
		if w.Names == nil {
			w.cannot("role", Role, t[2].SourceRange())
			return
		}
		w.role(t[3:], t[2].SourceRange(), name, false)
	case "facts":
		if w.factsAllowed(t.SourceRange()) {
			w.factPath(t, 3)
		}
	default:
		w.attribute(append(hcl.Traversal{hcl.TraverseRoot{Name: fmt.Sprintf("hosts[%q]", name)}}, t[2:]...), append([]string{"task", "role"}, hostAttributes...))
	}
}

// computedHost handles what follows hosts[EXPRESSION].
func (w *walker) computedHost(t hcl.Traversal) {
	w.reads.AllHosts = true
	w.hostVars(t)
	name, _ := diag.StepName(t[0])
	switch name {
	case "task":
		if w.Names == nil {
			w.cannot("task", Task, t[0].SourceRange())
			return
		}
		w.task(t[1:], t[0].SourceRange(), "", true)
	case "role":
		if w.Names == nil {
			w.cannot("role", Role, t[0].SourceRange())
			return
		}
		w.role(t[1:], t[0].SourceRange(), "", true)
	case "facts":
		w.reads.HostFacts = true
		w.factPath(t, 1)
	default:
		w.attribute(append(hcl.Traversal{hcl.TraverseRoot{Name: "hosts[…]"}}, t...), append([]string{"task", "role"}, hostAttributes...))
	}
}

func (w *walker) group(t hcl.Traversal) {
	w.reads.Groups = true
	name, ok := diag.SecondName(t)
	if ok && w.Known.Fleet.Groups[name] == nil && w.guard == 0 && !w.Known.Fleet.Partial {
		w.fail(t[1].SourceRange(), "Unknown group", diag.DidYouMean(name, append([]string(nil), w.Known.Fleet.GroupNames...)), "The inventory has no group %q.", name)
	}
}

func (w *walker) eachAttribute(t hcl.Traversal) {
	w.reads.Each = true
	if w.attribute(t, []string{"key", "value"}) {
		if name, _ := diag.SecondName(t); name == "key" {
			w.typePath(cty.String, t[2:], "each.key")
		}
	}
}

func (w *walker) secret(t hcl.Traversal) {
	name, ok := diag.SecondName(t)
	if w.Known.secrets == nil {
		w.fail(t.SourceRange(), "No secret store", "Name it in muster.hcl: secrets = \"secrets/….hcl\"", "The project has no store that this secret could come from.")
		return
	}
	if !ok {
		w.reads.AllSecrets = true
		return
	}
	if p, ok := w.Known.secrets.(interface{ Partial() bool }); ok && p.Partial() {
		return
	}
	if !w.Known.SecretNames[name] {
		w.fail(t[1].SourceRange(), "Unknown secret", diag.DidYouMean(name, slices.Sorted(maps.Keys(w.Known.SecretNames))), "The secret store has no %q. \"muster secret set %s\" adds it.", name, name)
		return
	}
	w.reads.Secrets = plays.AddName(w.reads.Secrets, name)
}

var rotationAttributes = []string{"new", "old", "note"}

// rotationRead handles rotation.NAME.
func (w *walker) rotationRead(t hcl.Traversal) {
	w.reads.Rotation = true
	if len(t) > 1 {
		if a, ok := t[1].(hcl.TraverseAttr); ok {
			w.reads.Rotated = plays.AddName(w.reads.Rotated, a.Name)
		}
	}
	w.attribute(t, rotationAttributes)
}
