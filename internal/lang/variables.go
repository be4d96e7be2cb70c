package lang

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/hclguard"
	"muster/internal/lang/funcs"
)

type typeDefaults = *typeexpr.Defaults

type validation struct {
	at        hcl.Range
	condition *expr
	message   *expr
}

// varState is what a playbook's variable is before hosts and plays have set it.
type varState struct {
	value  cty.Value // NilVal: none
	origin string    // "" for the default
	final  bool      // set by Options: neither hosts nor plays matter
}

// variable reads a variable block.
func (l *loader) variable(b *hclsyntax.Block, role bool) *Variable {
	v := &Variable{Type: cty.DynamicPseudoType, Nullable: true, Range: header(b)}
	if !l.labels(b, 1, `variable "NAME"`) {
		return nil
	}
	v.Name = b.Labels[0]
	if !hclsyntax.ValidIdentifier(v.Name) {
		l.errorAt(b.LabelRanges[0], "Wrong name", "", "A variable's name is letters, digits, \"_\" and \"-\", not beginning with a digit.")
	}
	if role && isOneOf(v.Name, roleArgs) {
		l.errorAt(b.LabelRanges[0], "Reserved name", "", "%q is an argument that every role takes: an input can't have its name.", v.Name)
	}
	attrs := []string{"type", "default", "description", "sensitive", "nullable", "deprecated"}
	a := l.attributes(b.Body, fmt.Sprintf("variable %q", v.Name), attrs, []string{"validation"})
	if t := a["type"]; t != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(t.Expr)
		l.diags = append(l.diags, diags...)
		if !diags.HasErrors() {
			v.Type, v.defaults = typ, defaults
		}
	}
	v.Description = l.constString(a["description"])
	v.Deprecated = l.constString(a["deprecated"])
	v.Sensitive = l.constBool(a["sensitive"], false)
	v.Nullable = l.constBool(a["nullable"], true)
	if d := a["default"]; d != nil {
		v.Default = v.unknown() // until it is known to be right
		value, ok := l.constant(d.Expr, "a variable's default")
		if ok {
			converted, err := v.convert(value)
			if err != nil {
				l.errorAt(valueRange(d.Expr, err), "Wrong type", "", "The default of %q isn't of its type: %s.", v.Name, typeError(err))
			} else {
				v.Default = converted
			}
		}
	}
	for _, vb := range b.Body.Blocks {
		if vb.Type == "validation" {
			if val := l.validation(vb); val != nil {
				v.validation = append(v.validation, val)
			}
		}
	}
	return v
}

func (l *loader) validation(b *hclsyntax.Block) *validation {
	l.labels(b, 0, "validation")
	a := l.attributes(b.Body, "validation", []string{"condition", "message"}, nil)
	if a["condition"] == nil || a["message"] == nil {
		l.errorAt(header(b), "Missing argument", "", "A validation needs a condition and a message.")
		return nil
	}
	return &validation{at: header(b), condition: &expr{Expression: a["condition"].Expr}, message: &expr{Expression: a["message"].Expr}}
}

// convert gives a value the variable's type. The value may be unknown, and
// sensitive; the error is about the type, or a null where none may be.
func (v *Variable) convert(value cty.Value) (cty.Value, error) {
	value, marks := value.Unmark()
	if v.Sensitive {
		if marks == nil {
			marks = cty.ValueMarks{}
		}
		marks[funcs.Sensitive] = struct{}{}
	}
	if value.IsNull() && !v.Nullable {
		if v.Default == cty.NilVal {
			return cty.NilVal, fmt.Errorf("null isn't allowed")
		}
		return v.Default, nil
	}
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	out, err := convert.Convert(value, v.Type)
	if err != nil {
		if _, sensitive := marks[funcs.Sensitive]; sensitive {
			err = errors.New("it is of another type, and because it is sensitive no more is said")
		}
		return cty.NilVal, err
	}
	return out.WithMarks(marks), nil
}

// typeError words an error of cty's conversion, which may begin with a path.
func typeError(err error) string {
	text := err.Error()
	if pe, ok := err.(cty.PathError); ok && len(pe.Path) > 0 {
		text = pathText(pe.Path) + ": " + text
	}
	return text
}

func pathText(path cty.Path) string {
	var b strings.Builder
	for _, step := range path {
		switch s := step.(type) {
		case cty.GetAttrStep:
			b.WriteString("." + s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsMarked() {
				fmt.Fprintf(&b, "[%q]", s.Key.AsString())
			} else if s.Key.Type() == cty.Number && s.Key.IsKnown() && !s.Key.IsMarked() {
				fmt.Fprintf(&b, "[%s]", s.Key.AsBigFloat().Text('f', 0))
			} else {
				b.WriteString("[…]")
			}
		}
	}
	return b.String()
}

// valueRange is the place of the part of an expression that a conversion
// failed at, as far as it is written out.
func valueRange(e hclsyntax.Expression, err error) hcl.Range {
	pe, ok := err.(cty.PathError)
	if !ok {
		return e.Range()
	}
	for _, step := range pe.Path {
		inner := e
		switch s := step.(type) {
		case cty.GetAttrStep:
			inner = objectItem(e, s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String && s.Key.IsKnown() {
				inner = objectItem(e, s.Key.AsString())
			} else if s.Key.Type() == cty.Number && s.Key.IsKnown() {
				i, _ := s.Key.AsBigFloat().Int64()
				inner = tupleItem(e, int(i))
			}
		}
		if inner == nil {
			return e.Range()
		}
		e = inner
	}
	return e.Range()
}

func unwrap(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expression
	}
}

func objectItem(e hclsyntax.Expression, name string) hclsyntax.Expression {
	o, ok := unwrap(e).(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil
	}
	for _, item := range o.Items {
		if itemKey(item.KeyExpr) == name {
			return item.ValueExpr
		}
	}
	return nil
}

// itemKey returns the key of an object's item where it is written out.
func itemKey(e hclsyntax.Expression) string {
	if k, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		if word := hcl.ExprAsKeyword(k.Wrapped); word != "" && !k.ForceNonLiteral {
			return word
		}
		e = k.Wrapped
	}
	if v, diags := e.Value(nil); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
		return v.AsString()
	}
	return ""
}

func tupleItem(e hclsyntax.Expression, i int) hclsyntax.Expression {
	t, ok := unwrap(e).(*hclsyntax.TupleConsExpr)
	if !ok || i < 0 || i >= len(t.Exprs) {
		return nil
	}
	return t.Exprs[i]
}

// resolve finds the values of a playbook's variables that don't depend on a
// host or play: defaults, and what Options give.
func (l *loader) resolve(u *unit) {
	u.values = map[string]varState{}
	for _, name := range u.order {
		v := u.variables[name]
		state := varState{value: v.Default}
		for i := range l.o.Vars {
			src := &l.o.Vars[i]
			if src.Name != name {
				continue
			}
			value, ok := l.sourceValue(v, src)
			if !ok {
				value = cty.UnknownVal(v.Type)
			}
			state = varState{value: value, origin: src.Origin, final: true}
		}
		u.values[name] = state
		if state.value == cty.NilVal {
			continue
		}
	}
	l.hostValues(u)
}

// sourceValue converts a value given outside the playbook.
func (l *loader) sourceValue(v *Variable, src *VarSource) (cty.Value, bool) {
	at := v.Range
	if src.Range != nil {
		at = *src.Range
	}
	value := src.Value
	if value == cty.NilVal {
		value = cty.StringVal(src.Text)
		if v.Type != cty.String && v.Type != cty.Number && v.Type != cty.Bool && v.Type != cty.DynamicPseudoType {
			e, diags := hclguard.ParseExpression(src.Origin, []byte(src.Text))
			if !diags.HasErrors() {
				value, diags = e.Value(nil)
			}
			if diags.HasErrors() {
				l.errorAt(at, "Wrong value", fmt.Sprintf("--var '%s=[\"a\", \"b\"]'", v.Name), "The value of %q from %s is to be written as in HCL, because its type is %s: %s", v.Name, src.Origin, typeexpr.TypeString(v.Type), diags[0].Detail)
				return cty.NilVal, false
			}
		}
	}
	out, err := v.convert(value)
	if err != nil {
		l.errorAt(at, "Wrong type", "", "The value of %q from %s isn't of type %s: %s.", v.Name, src.Origin, typeexpr.TypeString(v.Type), typeError(err))
		return cty.NilVal, false
	}
	return out, true
}

// hostValues checks the values that hosts set variables to.
func (l *loader) hostValues(u *unit) {
	for _, name := range u.order {
		v := u.variables[name]
		if !l.fleet.varNames[name] {
			continue
		}
		said := map[string]bool{}
		for i := range l.fleet.hosts {
			h := &l.fleet.hosts[i]
			value, ok := h.Vars[name]
			if !ok {
				continue
			}
			if _, err := v.convert(value); err != nil && !said[err.Error()] {
				said[err.Error()] = true
				l.errorAt(v.Range, "Wrong type", "", "The inventory sets %q for %s to a value that isn't of type %s: %s.", name, h.Name, typeexpr.TypeString(v.Type), typeError(err))
			}
		}
	}
}

// checkSources reports values given for variables that no playbook declares.
func (l *loader) checkSources() {
	declared := map[string]bool{}
	for _, u := range l.units {
		for name := range u.variables {
			declared[name] = true
		}
	}
	for i := range l.o.Vars {
		src := &l.o.Vars[i]
		if declared[src.Name] || src.Optional {
			continue
		}
		d := errorAt(hcl.Range{}, "Unknown variable", didYouMean(src.Name, sortedKeys(declared)), "%s sets %q, but %s declares no such variable.", src.Origin, src.Name, l.p.File)
		d.Subject = src.Range
		l.diags = append(l.diags, d)
	}
}

// ParseVarFile reads a file of variable values, NAME = VALUE each.
func ParseVarFile(filename string, src []byte) ([]VarSource, hcl.Diagnostics) {
	f, diags := hclguard.Parse(filename, src)
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok || diags.HasErrors() {
		return nil, diags
	}
	var out []VarSource
	for _, b := range body.Blocks {
		diags = append(diags, errorAt(header(b), "Unknown block", "", "A file of variables has lines of NAME = VALUE alone."))
	}
	for _, a := range sortedAttributes(body) {
		value, more := a.Expr.Value(nil)
		diags = append(diags, polish(more, nil)...)
		if more.HasErrors() {
			continue
		}
		at := a.Expr.Range()
		out = append(out, VarSource{Name: a.Name, Value: value, Origin: place(a.NameRange), Range: &at})
	}
	return out, diags
}

var roleArgs = append([]string{"for_each"}, blockArgs...)
var blockArgs = []string{"when", "tags", "become"}

// noValue is the default of a variable that has none.
var noValue cty.Value
