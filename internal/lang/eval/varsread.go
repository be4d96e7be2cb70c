package eval

import (
	"muster/internal/lang/plays"
	"muster/modules"
)

// ReadsVar reports whether the playbook may read a var of that name that the
// inventory sets for a host or a group: an expression or a template reads it, or
// a variable that it may set is declared. It is true of every name where any var
// may be read (jsonencode(host), host.vars[var.x], a template whose path is
// computed), and where the playbook has errors.
func (p *Playbook) ReadsVar(name string) bool {
	p.templatesNoted.Do(p.noteTemplates)
	if p.Failed {
		return true
	}
	for _, u := range p.Units {
		if u.Variables[name] != nil {
			return true
		}
	}
	return p.Known.ReadsVar(name)
}

// noteTemplates looks at the templates that tasks render, also those that no
// check came to.
func (p *Playbook) noteTemplates() {
	for _, t := range p.Rendering {
		for _, a := range t.Args {
			if a.Arg.Type.Base == modules.Template && !p.noteTemplate(t, a) {
				p.Known.NoteVars(nil, true)
			}
		}
	}
}

// noteTemplate is false where the template can't be looked at.
func (p *Playbook) noteTemplate(t *plays.Task, a *plays.Argument) bool {
	file := p.fixedTemplate(a, t.Unit)
	if file == nil {
		return false
	}
	p.templates.used(file, p.Known, t.Unit) // which notes what it reads
	return true
}

// fixedTemplate returns the template that an argument names without reading
// anything; nil where there is none that can be read.
func (p *Playbook) fixedTemplate(a *plays.Argument, u *plays.Unit) *template {
	if !a.Expr.Reads.Constant() {
		return nil
	}
	v, diags := a.Expr.Value(nil)
	path, ok := TextOf(v)
	if diags.HasErrors() || !ok {
		return nil
	}
	f, info, err := p.Reader.Find(u.Dir, path, "templates")
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	t, err := p.templates.template(f, templateDir(f))
	if err != nil || t.diags.HasErrors() {
		return nil
	}
	return t
}

// TemplateReads is what a template reads that an argument names without reading anything
// itself; nil where there is none, or what is wrong with it is told elsewhere.
func (p *Playbook) TemplateReads(a *plays.Argument, u *plays.Unit) *plays.Reads {
	t := p.fixedTemplate(a, u)
	if t == nil {
		return nil
	}
	used := p.templates.used(t, p.Known, u)
	if used.diags.HasErrors() {
		return nil
	}
	return used.expr.Reads
}
