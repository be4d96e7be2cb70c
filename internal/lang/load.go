package lang

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/check"
	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/files"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

// Load reads the playbook file and everything it uses, and makes every check
// that takes no connection. The playbook is never nil; it can be run where the
// diagnostics hold no error.
func Load(file string, o plays.Options) (*eval.Playbook, hcl.Diagnostics) {
	l := newLoader(file, o)
	p := l.p
	if top := l.playbook(files.File{Path: file, Name: file}, nil, nil, func(*plays.Unit) {}); top != nil {
		for _, name := range top.Order {
			p.Variables = append(p.Variables, top.Variables[name])
		}
	}
	l.checkSources()
	l.diags = append(l.diags, check.Playbook(p)...)
	l.diags = append(l.diags, p.Jinja()...) // which dedupe brings into order
	if l.o.Phase == nil {
		p.Plays = slices.DeleteFunc(p.Plays, func(play *plays.Play) bool { return play.OfRotation })
	}
	p.Sources = p.Reader.Sources()
	p.Facts, p.Secrets = l.FactsRead(), l.SecretsRead()
	p.Failed = l.diags.HasErrors()
	return p, diag.Dedupe(l.diags, p.Reader.InOrder())
}

// playbook reads a playbook file; at and from are of the include, and given sets the
// variables that it gives, before anything reads them.
func (l *loader) playbook(f files.File, at *hcl.Range, from *plays.Unit, given func(inner *plays.Unit)) *plays.Unit {
	id, err := filepath.Abs(f.Path)
	if err != nil {
		id = f.Path
	}
	for i, open := range l.including {
		if open == id {
			l.errorAt(*at, "Playbook includes itself", "", "%s is being read already: %s.", f.Name, strings.Join(append(l.including[i:], id), " includes "))
			return nil
		}
	}
	body := l.parse(f, at)
	if body == nil {
		l.unreadable = true
		return nil
	}
	l.including = append(l.including, id)
	defer func() { l.including = l.including[:len(l.including)-1] }()

	u := &plays.Unit{Name: f.Name, Dir: files.Folder{Dir: filepath.Dir(f.Path)}, From: from}
	l.p.Units = append(l.p.Units, u)
	l.attributes(body, "a playbook", nil, []string{"variable", "locals", "play", "include", "rotation"})
	l.declarations(u, body, false)
	l.resolve(u)
	given(u)
	l.analyseUnit(u)
	for _, b := range body.Blocks {
		switch b.Type {
		case "play":
			if o := l.o.Phase; o == nil {
				l.play(u, b)
			}
		case "include":
			l.include(u, b)
		case "rotation":
			if from != nil {
				l.errorAt(header(b), "Rotation in an included file", "", "Rotations are read from the file that \"muster rotate\" is given, and from no file that it includes.")
			}
		}
	}
	for _, b := range body.Blocks { // behind the plays, which are counted
		if b.Type == "rotation" && from == nil {
			l.rotation(u, b)
		}
	}
	if from == nil && len(l.p.Plays) == 0 && !l.diags.HasErrors() {
		where := hcl.Range{Filename: f.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		l.diags = append(l.diags, diag.Warning(where, "Nothing to do", `play "NAME" { hosts = ["all"] … }`, "This playbook has no play."))
	}
	return u
}

// include reads include "PATH" { vars = {…} }.
func (l *loader) include(u *plays.Unit, b *hclsyntax.Block) {
	if !l.labels(b, 1, `include "PATH"`) {
		return
	}
	vars := l.attributes(b.Body, "include", []string{"vars"}, nil)["vars"]
	l.playbook(l.files.At(u.Dir, b.Labels[0]), &b.LabelRanges[0], u, func(inner *plays.Unit) {
		if vars != nil {
			l.includeVars(u, inner, vars.Expr)
		}
	})
}

// includeVars gives the variables of a playbook the values that its include in u says.
func (l *loader) includeVars(u, inner *plays.Unit, vars hclsyntax.Expression) {
	object, ok := diag.Unwrap(vars).(*hclsyntax.ObjectConsExpr)
	if !ok {
		l.errorAt(vars.Range(), "Wrong type", `vars = { name = "value" }`, "The vars of an include are written out as an object.")
		return
	}
	l.diags = append(l.diags, diag.DuplicateKeys(object)...)
	for _, item := range object.Items {
		name := diag.ItemKey(item.KeyExpr)
		v := inner.Variables[name]
		if v == nil {
			l.errorAt(item.KeyExpr.Range(), "Unknown variable", diag.DidYouMean(name, slices.Sorted(maps.Keys(inner.Variables))), "%s declares no variable %q.", inner.Name, name)
			continue
		}
		if inner.Values[name].Final {
			continue
		}
		inner.Values[name] = plays.VarState{Value: v.Unknown(), Final: true} // until it is known to be right
		value, ok := l.static(u, item.ValueExpr, "the vars of an include")
		if !ok {
			continue
		}
		converted, err := v.Convert(value)
		if err != nil {
			l.diags = append(l.diags, diag.WrongType(item.ValueExpr, err, "%q isn't of the type that %s declares", name, diag.Place(v.Range))...)
			continue
		}
		l.diags = append(l.diags, diag.StrayAttributes(item.ValueExpr, v.Type, v.Declared())...)
		inner.Values[name] = plays.VarState{Value: converted, Origin: "include", Final: true}
	}
}

// declarations reads the variables, locals and outputs of a file.
func (l *loader) declarations(u *plays.Unit, body *hclsyntax.Body, role bool) {
	u.Variables, u.Locals, u.Outputs = map[string]*plays.Variable{}, map[string]*plays.Local{}, map[string]*plays.Output{}
	for _, b := range body.Blocks {
		switch b.Type {
		case "variable":
			v := l.variable(b, role)
			if v == nil {
				continue
			}
			if first := u.Variables[v.Name]; first != nil {
				l.errorAt(b.LabelRanges[0], "Duplicate variable", "", "Variable %q is declared at %s already.", v.Name, diag.Place(first.Range))
				continue
			}
			u.Variables[v.Name] = v
			u.Order = append(u.Order, v.Name)
		case "locals":
			l.labels(b, 0, "locals")
			for _, inner := range b.Body.Blocks {
				l.errorAt(header(inner), "Unknown block", "", "Locals are lines of NAME = VALUE alone.")
			}
			for _, a := range sortedAttributes(b.Body) {
				if first := u.Locals[a.Name]; first != nil {
					l.errorAt(a.NameRange, "Duplicate local", "", "Local %q is set at %s already.", a.Name, diag.Place(first.At))
					continue
				}
				u.Locals[a.Name] = &plays.Local{Name: a.Name, At: a.NameRange, Raw: a.Expr}
			}
		case "output":
			if role && l.labels(b, 1, `output "NAME"`) {
				a := l.attributes(b.Body, "output", []string{"value", "description", "sensitive"}, nil)
				o := &plays.Output{Name: b.Labels[0], At: header(b), Sensitive: l.constBool(a["sensitive"], false), Description: l.constString(a["description"])}
				if first := u.Outputs[o.Name]; first != nil {
					l.errorAt(b.LabelRanges[0], "Duplicate output", "", "Output %q is declared at %s already.", o.Name, diag.Place(first.At))
					continue
				}
				if a["value"] == nil {
					l.errorAt(header(b), "Missing argument", "", "An output needs a value.")
					continue
				}
				o.Raw = a["value"].Expr
				u.Outputs[o.Name] = o
			}
		}
	}
}

// analyseUnit looks at what locals and validations read.
func (l *loader) analyseUnit(u *plays.Unit) {
	s := refs.Stand{Known: l.Known, Unit: u, Can: refs.Var | refs.Local | refs.Host | refs.Hosts | refs.Groups | refs.Secret | refs.Facts, What: "a local"}
	for _, name := range slices.Sorted(maps.Keys(u.Locals)) {
		lo := u.Locals[name]
		e, diags := s.Analyse(lo.Raw)
		l.diags = append(l.diags, diags...)
		lo.Expr = e
	}
	l.localCycles(u)
	s.Can, s.What = refs.Static, "a validation"
	for _, name := range u.Order {
		for _, v := range u.Variables[name].Validation {
			for _, e := range []*plays.Expr{v.Condition, v.Message} {
				out, diags := s.Analyse(e.Expression)
				l.diags = append(l.diags, diags...)
				*e = *out
			}
		}
	}
}

// localCycles reports locals that are made of themselves.
func (l *loader) localCycles(u *plays.Unit) {
	const (
		open = 1
		done = 2
	)
	state := map[string]int{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		lo := u.Locals[name]
		if lo == nil || state[name] == done {
			return
		}
		if state[name] == open {
			i := 0
			for path[i] != name {
				i++
			}
			l.errorAt(lo.At, "Cycle of locals", "", "Local %q is made of itself: %s.", name, strings.Join(append(append([]string(nil), path[i:]...), name), " reads "))
			for _, n := range path[i:] {
				u.Locals[n].Expr.Bad = true
			}
			return
		}
		state[name] = open
		path = append(path, name)
		for _, next := range lo.Expr.Reads.Locals {
			visit(next)
		}
		path = path[:len(path)-1]
		state[name] = done
	}
	for _, name := range slices.Sorted(maps.Keys(u.Locals)) {
		visit(name)
	}
}
