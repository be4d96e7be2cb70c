package refs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

var outcomeAttributes = []string{"changed", "failed", "skipped", "output"}

// task handles what follows "task": a kind, a label, and what is read.
func (w *walker) task(t hcl.Traversal, at hcl.Range, host string, all bool) {
	w.any = true
	if len(t) < 2 {
		w.fail(at, "Task without a label", "task.KIND.LABEL or task.KIND[\"LABEL\"]", "A task is read by its kind and its label, both written out. An expression may choose among the elements of its for_each: task.KIND.LABEL[each.key].")
		return
	}
	kind, ok1 := diag.StepName(t[0])
	label, ok2 := diag.StepName(t[1])
	if !ok1 || !ok2 {
		w.fail(at, "Task without a label", "task.KIND.LABEL or task.KIND[\"LABEL\"]", "A task is read by its kind and its label, both written out.")
		return
	}
	task := w.Names.Task(kind, label)
	if task == nil && (host != "" || all) {
		task = w.earlierPlay(kind, label, host)
	}
	if task == nil {
		w.unknownTask(kind, label, t)
		return
	}
	if task.Play == w.Play {
		if (host != "" || all) && w.Play.Rolling != nil {
			w.fail(at, "Another batch's task", "Read it in a play of its own, after this one.", "This play is rolling: another host's task may belong to a later batch, which this host would wait for in vain.")
			return
		}
		switch {
		case task == w.Self:
		case task.Order == w.Seq:
			w.fail(t[1].SourceRange(), "Task reads itself", "", "%s is this task: its result is known only when it has run. In until, changed_when and failed_when it can be read as self.", task.Called)
			return
		case task.Order > w.Seq:
			w.fail(t[1].SourceRange(), "Task comes later", "", "%s stands further down, at %s. Only what ran before can be read: move that task up, or this one down.", task.Called, diag.Place(task.Range))
			return
		}
	}
	if w.readsBefore(task.Play, task.Order) {
		w.fail(t[1].SourceRange(), "Task of before", "", "%s stands in before, which runs only on a host that the play changes: what it changes can't depend on that. Only before and after can read it.", task.Called)
		return
	}
	if host != "" && task.Play.HostSet != nil && !task.Play.HostSet[host] && !w.Known.Fleet.Partial {
		w.fail(at, "Not a host of the play", "", "%s belongs to play %q, which doesn't run on %s.", task.Called, task.Play.Name, host)
		return
	}
	w.reads.Tasks = append(w.reads.Tasks, plays.TaskRead{Task: task, Host: host, AllHosts: all})
	w.outcome(task, t[2:])
}

// readsBefore reports whether what stands at a place of a play is done before a
// rolling play's own steps, and is read by one of these.
func (w *walker) readsBefore(p *plays.Play, seq int) bool {
	if p != w.Play || p == nil || p.Rolling == nil {
		return false
	}
	own := p.Rolling.Own
	return seq <= own[0] && w.Seq > own[0] && w.Seq <= own[1]
}

func (w *walker) earlierPlay(kind, label, host string) *plays.Task {
	list := w.Known.earlier()
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if w.Play != nil && p.Index >= w.Play.Index {
			continue
		}
		if t := p.Names.Task(kind, label); t != nil && (host == "" || p.HostSet[host] || w.Known.Fleet.Partial) {
			return t
		}
	}
	return nil
}

func (w *walker) unknownTask(kind, label string, t hcl.Traversal) {
	at := t[1].SourceRange()
	hint := ""
	for _, other := range slices.Sorted(maps.Keys(w.Names.Tasks)) {
		if hint == "" && other != kind && w.Names.Tasks[other][label] != nil {
			hint = "Did you mean " + plays.TaskName(other, label) + "?"
			at = t[0].SourceRange()
		}
	}
	if labels := w.Names.Tasks[kind]; hint == "" && labels != nil {
		hint = diag.DidYouMean(label, slices.Sorted(maps.Keys(labels)))
	}
	for _, inner := range w.Names.Inner {
		if inner.Kind == kind && inner.Label == label {
			w.fail(at, "Task of a role", fmt.Sprintf("role.%s.NAME reads an output %q {} of its role.hcl.", inner.Unit.Role.Label, "NAME"), "%s stands in role %q, whose tasks can't be read from outside.", plays.TaskName(kind, label), inner.Unit.Role.Name)
			return
		}
	}
	where := fmt.Sprintf("Play %q", w.Play.Name)
	if w.Unit.Role != nil {
		where = fmt.Sprintf("Role %q", w.Unit.Role.Name)
	}
	w.fail(at, "Unknown task", hint, "%s has no task %q %q.", where, kind, label)
}

// outcome checks what is read of a task's outcome.
func (w *walker) outcome(task *plays.Task, t hcl.Traversal) {
	if len(t) == 0 {
		return
	}
	if task.ForEach != nil && task != w.Self {
		name, named := diag.StepName(t[0])
		if _, attr := t[0].(hcl.TraverseAttr); attr && named && slices.Contains(outcomeAttributes, name) {
			w.fail(t[0].SourceRange(), "Task has for_each", fmt.Sprintf("%s[each.key].%s", task.Called, name), "%s has for_each, and so a result for each element: name the element. For any of them write anytrue([for t in %s : t.changed]).", task.Called, task.Called)
			return
		}
		t = t[1:]
	}
	if len(t) == 0 {
		return
	}
	name, named := diag.StepName(t[0])
	switch {
	case !named || !slices.Contains(outcomeAttributes, name):
		if _, index := t[0].(hcl.TraverseIndex); index {
			w.fail(t[0].SourceRange(), "Task has no for_each", "", "%s has no for_each, and so no elements. It has %s.", task.Called, diag.List(outcomeAttributes))
			return
		}
		hint := diag.DidYouMean(name, append([]string(nil), outcomeAttributes...))
		if typ := plays.OutputType(task.KindOf); hint == "" && typ.IsObjectType() && typ.HasAttribute(name) {
			hint = fmt.Sprintf("Did you mean output.%s?", name)
		}
		w.fail(t[0].SourceRange(), "Unknown attribute", hint, "%s has no attribute %q. It has %s.", task.Called, name, diag.List(outcomeAttributes))
	case name == "output" && task.KindOf.Output == nil:
		w.fail(t[0].SourceRange(), "Task without output", "", "Tasks of kind %q have no output.", task.Kind)
	case name == "output":
		w.typePath(plays.OutputType(task.KindOf), t[1:], task.Called+".output")
	case len(t) > 1:
		w.fail(t[1].SourceRange(), "Unknown attribute", "", "%s is true or false.", task.Called+"."+name)
	}
}

// role handles what follows "role": its label, and the output that is read.
func (w *walker) role(t hcl.Traversal, at hcl.Range, host string, all bool) {
	w.any = true
	if len(t) == 0 {
		w.fail(at, "Role without a name", "role.NAME.OUTPUT", "An output is read by the role's name and its own.")
		return
	}
	name, ok := diag.StepName(t[0])
	if !ok {
		w.fail(at, "Role without a name", "role.NAME.OUTPUT", "An output is read by the role's name and its own.")
		return
	}
	use, play := w.Names.Roles[name], w.Play
	if use == nil && (host != "" || all) {
		use, play = w.earlierRole(name, host)
	}
	switch {
	case use == nil:
		w.fail(t[0].SourceRange(), "Unknown role", diag.DidYouMean(name, slices.Sorted(maps.Keys(w.Names.Roles))), "No role %q is used here.", name)
		return
	case use.Unit == nil:
		w.broken = true
		return
	}
	if play == w.Play {
		switch {
		case (host != "" || all) && w.Play.Rolling != nil:
			w.fail(at, "Another batch's role", "Read it in a play of its own, after this one.", "This play is rolling: another host's role may belong to a later batch, which this host would wait for in vain.")
			return
		case use.Seq >= w.Seq:
			w.fail(t[0].SourceRange(), "Role comes later", "", "Role %q is used further down, at %s. Only what ran before can be read.", name, diag.Place(use.Block.Range))
			return
		}
	}
	if w.readsBefore(play, use.Seq) {
		w.fail(t[0].SourceRange(), "Role of before", "", "Role %q is used in before, which runs only on a host that the play changes: what it changes can't depend on that. Only before and after can read it.", name)
		return
	}
	if host != "" && play.HostSet != nil && !play.HostSet[host] && !w.Known.Fleet.Partial {
		w.fail(at, "Not a host of the play", "", "Role %q is used in play %q, which doesn't run on %s.", name, play.Name, host)
		return
	}
	w.reads.Roles = append(w.reads.Roles, plays.RoleRead{Use: use, Play: play, Host: host, AllHosts: all})
	rest := t[1:]
	if use.ForEach != nil && len(rest) > 0 {
		if n, ok := diag.StepName(rest[0]); ok && use.Unit.Outputs[n] != nil {
			if _, attr := rest[0].(hcl.TraverseAttr); attr {
				w.fail(rest[0].SourceRange(), "Role has for_each", fmt.Sprintf("role.%s[each.key].%s", name, n), "Role %q has for_each, and so outputs for each element: name the element.", name)
				return
			}
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return
	}
	if n, ok := diag.StepName(rest[0]); ok && use.Unit.Outputs[n] == nil {
		known := slices.Sorted(maps.Keys(use.Unit.Outputs))
		w.fail(rest[0].SourceRange(), "Unknown output", diag.DidYouMean(n, known), "Role %q has no output %q. It has %s.", use.Name, n, diag.List(known))
	}
}

// earlierRole is the role of a name that an earlier play uses, the latest of them.
func (w *walker) earlierRole(name, host string) (*plays.RoleUse, *plays.Play) {
	list := w.Known.earlier()
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if w.Play != nil && p.Index >= w.Play.Index {
			continue
		}
		if use := p.Names.Roles[name]; use != nil && (host == "" || p.HostSet[host] || w.Known.Fleet.Partial) {
			return use, p
		}
	}
	return nil, nil
}
