package eval

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/hclguard"
	"muster/internal/lang/diag"
	"muster/internal/lang/files"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
	"muster/modules"
)

// template is a template file, parsed once.
type template struct {
	dir   files.Folder // of its file, for the paths in it
	raw   hclsyntax.Expression
	diags hcl.Diagnostics // of its syntax
	jinja hcl.Diagnostics // warnings, which only Load gives
	byUse map[*plays.Unit]*usedTemplate
}

// usedTemplate is a template as a playbook or role uses it: names mean that
// file's variables.
type usedTemplate struct {
	expr  *plays.Expr
	diags hcl.Diagnostics
}

// templates are the project's templates, each parsed once. It is safe for concurrent use.
type templates struct {
	files *files.Reader

	mu     sync.Mutex
	byName map[string]*template
}

func newTemplates(x *files.Reader) *templates {
	return &templates{files: x, byName: map[string]*template{}}
}

// jinja are the warnings of what looks like Jinja in those that have been looked at.
func (x *templates) jinja() hcl.Diagnostics {
	x.mu.Lock()
	defer x.mu.Unlock()
	var diags hcl.Diagnostics
	for _, t := range x.byName {
		diags = append(diags, t.jinja...)
	}
	return diags
}

// template returns the template file f.
func (x *templates) template(f files.File, dir files.Folder) (*template, error) {
	x.mu.Lock()
	t, ok := x.byName[f.Name]
	x.mu.Unlock()
	if ok {
		return t, nil
	}
	src, err := x.files.Source(f)
	if err != nil {
		return nil, err
	}
	t = &template{dir: dir, byUse: map[*plays.Unit]*usedTemplate{}}
	t.raw, t.diags = hclguard.ParseTemplate(f.Name, src)
	t.diags = diag.SyntaxHints(t.diags, src, hclsyntax.LexTemplate)
	if !t.diags.HasErrors() {
		t.jinja = diag.Jinja(f.Name, src, hclsyntax.LexTemplate, "")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.byName[f.Name]; ok {
		return old, nil
	}
	x.byName[f.Name] = t
	return t, nil
}

// used analyses the template for a unit, once.
func (x *templates) used(t *template, names *refs.Known, u *plays.Unit) *usedTemplate {
	x.mu.Lock()
	defer x.mu.Unlock()
	if out, ok := t.byUse[u]; ok {
		return out
	}
	s := refs.Stand{Known: names, Unit: u, Can: refs.Template, Bare: true, What: "a template"}
	out := &usedTemplate{}
	out.expr, out.diags = s.Analyse(t.raw)
	t.byUse[u] = out
	return out
}

// template renders an argument that names a template.
func (e *evaluation) template(a *plays.Argument) {
	v, ok := e.value(a.Expr)
	if !ok || a.Expr.Bad {
		e.out.Args[a.Name] = modules.UnknownValue{}
		return
	}
	sensitiveTexts(v, e.secrets)
	v, _ = v.Unmark()
	at := a.Raw.Range()
	switch {
	case !v.IsKnown():
		e.out.Args[a.Name] = unknownOf(v.Type(), &a.Arg.Type)
		e.out.Unknown = append(e.out.Unknown, a.Name)
		return
	case v.IsNull():
		return
	case v.Type() != cty.String:
		e.out.Args[a.Name] = Plain(v)
		return
	}
	c := e.render(a, v.AsString(), at)
	if c == nil {
		e.out.Args[a.Name] = modules.UnknownValue{}
		return
	}
	e.take(a, c)
}

// render renders the template at a path; nil where that failed, which is
// reported.
func (e *evaluation) render(a *plays.Argument, path string, at hcl.Range) *plays.Converted {
	t := e.findTemplate(path, at)
	if t == nil {
		return nil
	}
	if t.diags.HasErrors() {
		e.diags = append(e.diags, t.diags...)
		return nil
	}
	used := e.s.p.templates.used(t, e.s.p.Known, e.s.unit)
	e.diags = append(e.diags, used.diags...)
	vars, ok := e.vars()
	if !ok {
		return nil
	}
	sensitive := isMarked(vars)
	plain, _ := vars.Unmark()
	if !e.bareNames(t, used, plain) || used.diags.HasErrors() {
		return nil
	}
	if !plain.IsKnown() {
		return &plays.Converted{Value: modules.UnknownValue{}, Unknown: true, Sensitive: sensitive}
	}
	ctx, waits, diags := e.s.context(used.expr.Reads, e.l, t.dir)
	e.waits, e.diags = append(e.waits, waits...), append(e.diags, diags...)
	if len(waits) > 0 || diags.HasErrors() {
		return nil
	}
	for name, v := range plain.AsValueMap() {
		ctx.Variables[name] = v
	}
	out, diags := used.expr.Value(ctx)
	e.diags = append(e.diags, usedAt(Polish(diags, ctx), at)...)
	if diags.HasErrors() {
		return nil
	}
	sensitive = sensitive || HasSensitive(out) || e.t.Sensitive || a.Arg.Sensitive
	if sensitive {
		sensitiveTexts(vars, e.secrets)
		for _, name := range used.expr.Variables() {
			if part, diags := name.TraverseAbs(ctx); !diags.HasErrors() {
				sensitiveTexts(part, e.secrets)
			}
		}
	}
	e.out.from = append(e.out.from, append(funcs.Sources(vars), funcs.Sources(out)...)...)
	out, _ = out.UnmarkDeep()
	out, err := convert.Convert(out, cty.String)
	if err != nil || out.IsNull() {
		e.diags = append(e.diags, diag.Error(used.expr.Range(), "Wrong type", "", "The template gives %s, not a text.", diag.ValueWord(out)))
		return nil
	}
	if !out.IsKnown() {
		return &plays.Converted{Value: modules.UnknownValue{}, Unknown: true, Sensitive: sensitive}
	}
	if e.s.checking() {
		return &plays.Converted{Value: modules.UnknownValue{}, Sensitive: sensitive}
	}
	c := &converter{e: e, a: a}
	content := c.content([]byte(out.AsString()), sensitive)
	return &plays.Converted{Value: content, Bodies: c.bodies, Sensitive: sensitive}
}

// usedAt says of problems in a template who uses it.
func usedAt(diags hcl.Diagnostics, at hcl.Range) hcl.Diagnostics {
	for _, d := range diags {
		d.Detail = strings.TrimSuffix(d.Detail, ".") + ". The template is used at " + diag.Place(at) + "."
	}
	return diags
}

func (e *evaluation) findTemplate(path string, at hcl.Range) *template {
	f, info, err := e.s.p.Reader.Find(e.s.unit.Dir, path, "templates")
	var missing *files.Missing
	switch {
	case errors.As(err, &missing):
		e.fail(at, "No such template", diag.DidYouMean(path, e.s.p.Reader.Neighbours(e.s.unit.Dir, path, "templates")), "%s. Paths are relative to the file they stand in.", diag.Capital(err.Error()))
		return nil
	case err == nil && !info.Mode().IsRegular():
		e.fail(at, "Not a file", "", "%s is a %s; a template is a file.", f.Name, fileKind(info))
		return nil
	case err == nil:
		t, err2 := e.s.p.templates.template(f, templateDir(f))
		if err2 == nil {
			return t
		}
		err = fmt.Errorf("reading %s: %w", f.Name, files.PlainError(err2))
	}
	e.fail(at, "Can't read file", "", "%s.", diag.Capital(err.Error()))
	return nil
}

// vars evaluates what a template sees by bare name.
func (e *evaluation) vars() (cty.Value, bool) {
	if e.t.Vars == nil {
		return cty.EmptyObjectVal, true
	}
	v, ok := e.value(e.t.Vars.Expr)
	if !ok {
		return v, false
	}
	plain, _ := v.Unmark()
	if plain.Type() == cty.DynamicPseudoType && !plain.IsKnown() {
		return v, true
	}
	if plain.IsNull() {
		return cty.EmptyObjectVal, true
	}
	if t := plain.Type(); !t.IsObjectType() && !t.IsMapType() {
		e.fail(e.t.Vars.Raw.Range(), "Wrong type", "vars = { name = value }", "A template's vars are a map or an object, not %s.", diag.TypeWord(t))
		return v, false
	}
	return v, true
}

// bareNames reports names that a template reads and its vars lack, and vars
// that would hide what every template sees.
func (e *evaluation) bareNames(t *template, used *usedTemplate, vars cty.Value) bool {
	known := func(string) bool { return true }
	var names []string
	switch {
	case vars.Type().IsObjectType():
		names = diag.Attributes(vars.Type())
		known = vars.Type().HasAttribute
	case vars.Type().IsMapType() && vars.IsKnown():
		names = slices.Sorted(maps.Keys(vars.AsValueMap()))
		known = func(n string) bool { return slices.Contains(names, n) }
	}
	ok := true
	for _, n := range []string{"host", "hosts", "groups", "var"} {
		if slices.Contains(names, n) {
			at := e.t.Vars.Raw.Range()
			if item := diag.ObjectItem(e.t.Vars.Raw, n); item != nil {
				at = item.Range()
			}
			e.fail(at, "Reserved name", "", "Every template sees %q already: give this one of vars another name.", n)
			ok = false
		}
	}
	for _, b := range used.expr.Reads.Bare {
		if known(b.Name) || b.Guarded {
			continue
		}
		ok = false
		hint := diag.DidYouMean(b.Name, append(append([]string(nil), names...), "host", "hosts", "groups", "var"))
		if hint == "" && e.s.unit.Variables[b.Name] != nil {
			hint = "Did you mean var." + b.Name + "?"
		}
		if slices.Contains([]string{"task", "local", "each", "role", "secret", "on_host"}, b.Name) {
			hint = fmt.Sprintf("vars = { name = %s.… }", b.Name)
		}
		e.fail(b.At, "Undefined name", hint, "The template reads %q, which isn't among the vars of the task at %s. It sees %s.", b.Name, diag.Place(e.t.Range), diag.List(append(append([]string(nil), names...), "host", "hosts", "groups", "var")))
	}
	return ok
}

// project gives functions the files of the project, with paths relative to dir.
func (p *Playbook) project(dir files.Folder) funcs.Project {
	read := func(path string) ([]byte, error) {
		f, info, err := p.Reader.Find(dir, path, "files")
		if err != nil {
			return nil, err
		}
		if err := p.Reader.Inside(f); err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no regular file", f.Name)
		}
		if info.Size() > hclguard.MaxBytes {
			return nil, fmt.Errorf("%s has %d bytes, and functions read at most %d; a task's \"source\" takes any file", f.Name, info.Size(), hclguard.MaxBytes)
		}
		data, err := p.Reader.Source(f)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.Name, files.PlainError(err))
		}
		return data, nil
	}
	return funcs.Project{
		Read: read,
		Exists: func(path string) (bool, error) {
			f, info, err := p.Reader.Find(dir, path, "files")
			var missing *files.Missing
			if errors.As(err, &missing) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if err := p.Reader.Inside(f); err != nil {
				return false, err
			}
			return info.Mode().IsRegular(), nil
		},
		Glob:     func(sub, pattern string) ([]string, error) { return p.glob(dir, sub, pattern) },
		Template: func(path string, vars cty.Value) (cty.Value, error) { return p.templateFile(dir, path, vars) },
	}
}

// glob returns the regular files below a folder that match a pattern.
func (p *Playbook) glob(dir files.Folder, sub, pattern string) ([]string, error) {
	f, info, err := p.Reader.Find(dir, sub, "files")
	var missing *files.Missing
	if errors.As(err, &missing) && p.Reader.Placed() {
		return nil, nil // a folder in which nothing matched isn't part of a plan
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", f.Name)
	}
	if err := p.Reader.Inside(f); err != nil {
		return nil, err
	}
	if _, err := doublestar.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%q is no pattern: %w", pattern, err)
	}
	fsys, root := f.Embedded, f.Path
	if fsys == nil {
		fsys, root = os.DirFS(f.Path), "."
	}
	var out []string
	err = fs.WalkDir(fsys, root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, at)
		if ok, _ := doublestar.Match(pattern, name); ok && d.Type().IsRegular() {
			out = append(out, name)
			p.Reader.Matched(f, name)
		}
		return err
	})
	sort.Strings(out)
	return out, err
}

// templateDir is where the paths in a template begin: its own folder.
func templateDir(f files.File) files.Folder {
	return files.Folder{Embedded: f.Embedded, Dir: filepath.Dir(f.Path)}
}

// inTemplate words a problem of a template for the function that renders it.
func inTemplate(f files.File, d *hcl.Diagnostic) error {
	return fmt.Errorf("%s:%d:%d: %s. %s", f.Name, d.Subject.Start.Line, d.Subject.Start.Column, d.Summary, strings.TrimSuffix(d.Detail, "."))
}

// templateFile renders a template that sees vars alone.
func (p *Playbook) templateFile(dir files.Folder, path string, vars cty.Value) (cty.Value, error) {
	f, info, err := p.Reader.Find(dir, path, "templates")
	if err != nil {
		return cty.NilVal, err
	}
	if err := p.Reader.Inside(f); err != nil {
		return cty.NilVal, err
	}
	if !info.Mode().IsRegular() {
		return cty.NilVal, fmt.Errorf("%s is no regular file", f.Name)
	}
	if info.Size() > hclguard.MaxBytes {
		return cty.NilVal, fmt.Errorf("%s has %d bytes, and a template at most %d", f.Name, info.Size(), hclguard.MaxBytes)
	}
	t, err := p.templates.template(f, templateDir(f))
	if err != nil {
		return cty.NilVal, fmt.Errorf("reading %s: %w", f.Name, files.PlainError(err))
	}
	if t.diags.HasErrors() {
		return cty.NilVal, inTemplate(f, t.diags[0])
	}
	plain, marks := vars.Unmark()
	ctx := p.templateContext(templateDir(f)).NewChild()
	ctx.Variables = plain.AsValueMap()
	if ctx.Variables == nil {
		ctx.Variables = map[string]cty.Value{}
	}
	for _, t := range t.raw.Variables() {
		if _, ok := ctx.Variables[t.RootName()]; !ok {
			return cty.NilVal, fmt.Errorf("%s:%d: there is no %q among the vars it was given", f.Name, t.SourceRange().Start.Line, t.RootName())
		}
	}
	v, diags := t.raw.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, inTemplate(f, Polish(diags, ctx)[0])
	}
	v, more := v.Unmark()
	v, err = convert.Convert(v, cty.String)
	if err != nil {
		return cty.NilVal, fmt.Errorf("%s gives no text", f.Name)
	}
	return v.WithMarks(marks, more), nil
}
