package lang

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/modules"
)

// ReadsVar reports whether the playbook may read a var of that name that the
// inventory sets for a host or a group: an expression or a template reads it, or
// a variable that it may set is declared. It is true of every name where any var
// may be read (jsonencode(host), host.vars[var.x], a template whose path is
// computed), and where the playbook has errors.
func (p *Playbook) ReadsVar(name string) bool {
	l := p.l
	l.templatesNoted.Do(l.noteTemplates)
	if l.diags.HasErrors() {
		return true
	}
	for _, u := range l.units {
		if u.variables[name] != nil {
			return true
		}
	}
	l.readMu.Lock()
	defer l.readMu.Unlock()
	return l.anyVars || l.varsRead[name]
}

// noteVars remembers which vars of hosts an expression reads.
func (l *loader) noteVars(names []string, all bool) {
	if len(names) == 0 && !all {
		return
	}
	l.readMu.Lock()
	defer l.readMu.Unlock()
	l.anyVars = l.anyVars || all
	for _, name := range names {
		l.varsRead[name] = true
	}
}

// noteTemplates looks at the templates that tasks render, also those that no
// check came to.
func (l *loader) noteTemplates() {
	for _, t := range l.rendering {
		for _, a := range t.args {
			if a.arg.Type.Base == modules.Template && !l.noteTemplate(t, a) {
				l.noteVars(nil, true)
			}
		}
	}
}

// noteTemplate is false where the template can't be looked at.
func (l *loader) noteTemplate(t *Task, a *argument) bool {
	file := l.fixedTemplate(a, t.unit)
	if file == nil {
		return false
	}
	l.files.used(file, l.p, t.unit) // which notes what it reads
	return true
}

// fixedTemplate returns the template that an argument names without reading
// anything; nil where there is none that can be read.
func (l *loader) fixedTemplate(a *argument, u *unit) *template {
	if !a.expr.reads.constant() {
		return nil
	}
	v, diags := a.expr.Value(nil)
	path, ok := textOf(v)
	if diags.HasErrors() || !ok {
		return nil
	}
	f, info, err := l.files.find(u.dir, path, "templates")
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	t, err := l.files.template(f, templateDir(f))
	if err != nil || t.diags.HasErrors() {
		return nil
	}
	return t
}

// hostVars notes the vars that follow a host in a traversal: all of them where
// the host, or its vars, are taken as a whole.
func (w *walker) hostVars(t hcl.Traversal) {
	if len(t) == 0 {
		w.allVars = true
		return
	}
	attr, ok := stepName(t[0])
	switch {
	case !ok:
		w.allVars = true
	case attr == "vars":
		w.varsAfter(t[1:])
	}
}

// varsAfter notes which of the vars is read, by what follows "vars".
func (w *walker) varsAfter(t hcl.Traversal) {
	if len(t) > 0 {
		if name, ok := stepName(t[0]); ok {
			w.readVars = append(w.readVars, name)
			return
		}
	}
	w.allVars = true
}

// everyHost returns the name "hosts" in an expression that gives the hosts, one
// after the other, to what stands around it; nil where it is none.
func (w *walker) everyHost(e hclsyntax.Expression) *hclsyntax.ScopeTraversalExpr {
	e = unwrap(e)
	if call, ok := e.(*hclsyntax.FunctionCallExpr); ok && call.Name == "values" && len(call.Args) == 1 {
		e = unwrap(call.Args[0])
	}
	if !w.isRoot(e, "hosts") {
		return nil
	}
	return e.(*hclsyntax.ScopeTraversalExpr)
}

// forHosts notes that a for goes over the hosts: what is read of its elements
// is read of hosts, and "hosts" itself isn't taken as a whole.
func (w *walker) forHosts(x *hclsyntax.ForExpr) {
	loop := loop{}
	if hosts := w.everyHost(x.CollExpr); hosts != nil {
		w.parted, loop.host = hosts, x.ValVar
	}
	w.loops = append(w.loops, loop)
}

// splatHosts is forHosts for values(hosts)[*].
func (w *walker) splatHosts(x *hclsyntax.SplatExpr) {
	if _, call := unwrap(x.Source).(*hclsyntax.FunctionCallExpr); !call {
		return // hosts[*] is a list of one: all of them
	}
	hosts := w.everyHost(x.Source)
	if hosts == nil {
		return
	}
	w.parted = hosts
	if each, ok := x.Each.(*hclsyntax.RelativeTraversalExpr); ok && each.Source == hclsyntax.Expression(x.Item) {
		w.hostElement(append(hcl.Traversal{hcl.TraverseRoot{Name: "hosts[…]"}}, each.Traversal...))
		return
	}
	w.allVars = true
}

// hostElement checks what is read of one of the hosts, by whatever name.
func (w *walker) hostElement(t hcl.Traversal) {
	w.hostVars(t[1:])
	if name, ok := secondName(t); ok && w.attribute(t, hostAttributes) && name == "facts" {
		w.factPath(t, 2)
	}
}

// loop is a for around an expression.
type loop struct {
	host string // the name of an element that is a host; "" if none is
}

// isHost reports whether a name belongs to a for, and is a host there.
func (w *walker) isHost(name string) bool {
	for i := len(w.locals) - 1; i >= 0; i-- {
		if _, ok := w.locals[i].names[name]; ok {
			return w.locals[i].host == name
		}
	}
	return false
}
