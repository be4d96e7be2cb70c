package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// variable reads a variable block.
func (l *loader) variable(b *hclsyntax.Block, role bool) *plays.Variable {
	v := &plays.Variable{Type: cty.DynamicPseudoType, Nullable: true, Range: header(b)}
	if !l.labels(b, 1, `variable "NAME"`) {
		return nil
	}
	v.Name = b.Labels[0]
	if !hclsyntax.ValidIdentifier(v.Name) {
		l.errorAt(b.LabelRanges[0], "Wrong name", "", "A variable's name is letters, digits, \"_\" and \"-\", not beginning with a digit.")
	}
	if role && slices.Contains(roleArgs, v.Name) {
		l.errorAt(b.LabelRanges[0], "Reserved name", "", "%q is an argument that every role takes: an input can't have its name.", v.Name)
	}
	attrs := []string{"type", "default", "description", "sensitive", "nullable", "deprecated"}
	a := l.attributes(b.Body, fmt.Sprintf("variable %q", v.Name), attrs, []string{"validation"})
	if t := a["type"]; t != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(t.Expr)
		l.diags = append(l.diags, diag.TypeHints(diags, t.Expr)...)
		if !diags.HasErrors() {
			v.Type, v.Defaults = typ, defaults
		}
	}
	v.Description = l.constString(a["description"])
	v.Deprecated = l.constString(a["deprecated"])
	v.Sensitive = l.constBool(a["sensitive"], false)
	v.Nullable = l.constBool(a["nullable"], true)
	if d := a["default"]; d != nil {
		v.Default = v.Unknown() // until it is known to be right
		value, ok := l.constant(d.Expr, "a variable's default")
		if ok {
			converted, err := v.Convert(value)
			if err != nil {
				l.diags = append(l.diags, diag.WrongType(d.Expr, err, "The default of %q isn't of its type", v.Name)...)
			} else {
				v.Default = converted
			}
		}
		l.diags = append(l.diags, diag.StrayAttributes(d.Expr, v.Type, v.Declared())...)
	}
	for _, vb := range b.Body.Blocks {
		if vb.Type == "validation" {
			if val := l.validation(vb); val != nil {
				v.Validation = append(v.Validation, val)
			}
		}
	}
	return v
}

func (l *loader) validation(b *hclsyntax.Block) *plays.Validation {
	l.labels(b, 0, "validation")
	a := l.attributes(b.Body, "validation", []string{"condition", "message"}, nil)
	if a["condition"] == nil || a["message"] == nil {
		l.errorAt(header(b), "Missing argument", "", "A validation needs a condition and a message.")
		return nil
	}
	return &plays.Validation{Condition: &plays.Expr{Expression: a["condition"].Expr}, Message: &plays.Expr{Expression: a["message"].Expr}}
}

// resolve finds the values of a playbook's variables that don't depend on a
// host or play: defaults, and what Options give.
func (l *loader) resolve(u *plays.Unit) {
	u.Values = map[string]plays.VarState{}
	for _, name := range u.Order {
		v := u.Variables[name]
		state := plays.VarState{Value: v.Default}
		for i := range l.o.Vars {
			src := &l.o.Vars[i]
			if src.Name != name {
				continue
			}
			value, ok := l.sourceValue(v, src)
			if !ok {
				value = cty.UnknownVal(v.Type)
			}
			state = plays.VarState{Value: value, Origin: src.Origin, Final: true}
		}
		u.Values[name] = state
	}
	l.hostValues(u)
}

// sourceValue converts a value given outside the playbook.
func (l *loader) sourceValue(v *plays.Variable, src *plays.VarSource) (cty.Value, bool) {
	at := v.Range
	if src.Range != nil {
		at = *src.Range
	}
	value, e := src.Value, src.Expr
	if value == cty.NilVal {
		if !utf8.ValidString(src.Text) {
			l.errorAt(at, "Not UTF-8", "", "The value of %q from %s holds bytes that are no UTF-8 text.", v.Name, src.Origin)
			return cty.NilVal, false
		}
		value = cty.StringVal(src.Text)
		if readAsHCL(v.Type, src.Text) {
			var diags hcl.Diagnostics
			if e, diags = hclguard.ParseExpression(src.Origin, []byte(src.Text)); !diags.HasErrors() {
				value, diags = e.Value(nil)
			}
			if !diags.HasErrors() {
				diags = diag.AllDuplicateKeys(e)
			}
			if diags.HasErrors() {
				l.errorAt(at, "Wrong value", fmt.Sprintf("--var '%s=%s'", v.Name, sample(v.Type)), "The value of %q from %s is to be written as in HCL, because its type is %s: %s", v.Name, src.Origin, diag.TypeText(v.Type), diags[0].Detail)
				return cty.NilVal, false
			}
		}
	}
	out, err := v.Convert(value)
	if err != nil {
		what := fmt.Sprintf("The value of %q from %s isn't of type %s", v.Name, src.Origin, diag.TypeText(v.Type))
		if e != nil && src.Range != nil {
			l.diags = append(l.diags, diag.WrongType(e, err, "%s", what)...)
			return cty.NilVal, false
		}
		l.errorAt(at, "Wrong type", "", "%s: %s.", what, diag.TypeError(err))
		return cty.NilVal, false
	}
	if e != nil {
		stray := diag.StrayAttributes(e, v.Type, v.Declared())
		for _, d := range stray {
			if src.Range == nil { // of a text that is no file's
				d.Subject, d.Detail = &at, fmt.Sprintf("In the value of %q from %s: %s", v.Name, src.Origin, d.Detail)
			}
		}
		l.diags = append(l.diags, stray...)
	}
	return out, true
}

// readAsHCL reports whether a text that is given for a variable is HCL: where its type takes
// no plain text, and, of any type, where it is written as a list or an object.
func readAsHCL(t cty.Type, text string) bool {
	switch t {
	case cty.String, cty.Number, cty.Bool:
		return false
	case cty.DynamicPseudoType:
		text = strings.TrimSpace(text)
		return strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}") || strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")
	}
	return true
}

// sample is how a value of a type is written, for hints.
func sample(t cty.Type) string {
	if t.IsMapType() || t.IsObjectType() {
		return "{ name = \"value\" }"
	}
	return "[\"a\", \"b\"]"
}

// hostValues checks the values that hosts set variables to.
func (l *loader) hostValues(u *plays.Unit) {
	for _, name := range u.Order {
		v := u.Variables[name]
		if !l.Fleet.VarNames[name] {
			continue
		}
		said := map[string]bool{}
		for i := range l.Fleet.Hosts {
			h := &l.Fleet.Hosts[i]
			value, ok := h.Vars[name]
			if !ok {
				continue
			}
			if _, err := v.Convert(value); err != nil && !said[err.Error()] {
				said[err.Error()] = true
				l.errorAt(v.Range, "Wrong type", "", "The inventory sets %q for %s to a value that isn't of type %s: %s.", name, h.Name, diag.TypeText(v.Type), diag.TypeError(err))
			}
		}
	}
}

// checkSources reports values given for variables that no playbook declares.
func (l *loader) checkSources() {
	if l.unreadable {
		return
	}
	declared := map[string]bool{}
	for _, u := range l.p.Units {
		for name := range u.Variables {
			declared[name] = true
		}
	}
	for i := range l.o.Vars {
		src := &l.o.Vars[i]
		if declared[src.Name] || src.Optional {
			continue
		}
		d := diag.Error(hcl.Range{}, "Unknown variable", diag.DidYouMean(src.Name, slices.Sorted(maps.Keys(declared))), "%s sets %q, but %s declares no such variable.", src.Origin, src.Name, l.p.File)
		d.Subject = src.Range
		l.diags = append(l.diags, d)
	}
}

// ParseVarFile reads a file of variable values, NAME = VALUE each.
func ParseVarFile(filename string, src []byte) ([]plays.VarSource, hcl.Diagnostics) {
	f, diags := hclguard.Parse(filename, src)
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok || diags.HasErrors() {
		return nil, diag.OtherFormat(diags, filename, "A file of variables is written in HCL: NAME = VALUE on each line.")
	}
	var out []plays.VarSource
	for _, b := range body.Blocks {
		diags = append(diags, diag.Error(header(b), "Unknown block", "", "A file of variables has lines of NAME = VALUE alone."))
	}
	for _, a := range sortedAttributes(body) {
		value, more := a.Expr.Value(nil)
		if more.HasErrors() {
			if more = notPlain(a.Expr); more == nil {
				_, more = a.Expr.Value(nil)
			}
		}
		more = append(more, diag.AllDuplicateKeys(a.Expr)...)
		diags = append(diags, eval.Polish(more, nil)...)
		if more.HasErrors() {
			continue
		}
		at := a.Expr.Range()
		out = append(out, plays.VarSource{Name: a.Name, Value: value, Origin: diag.Place(a.NameRange), Range: &at, Expr: a.Expr})
	}
	return out, diags
}

// notPlain says what a value in a file of variables can't be; nil if it isn't
// that which is wrong with it.
func notPlain(e hclsyntax.Expression) hcl.Diagnostics {
	const what = "A file of variables holds plain values: it reads no names and calls no functions."
	if names := e.Variables(); len(names) > 0 {
		hint := ""
		if len(names[0]) == 1 {
			hint = fmt.Sprintf("For the text itself write %q.", names[0].RootName())
		}
		return hcl.Diagnostics{diag.Error(names[0].SourceRange(), "Not a value", hint, what)}
	}
	var diags hcl.Diagnostics
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && diags == nil {
			diags = hcl.Diagnostics{diag.Error(call.NameRange, "Not a value", "", what)}
		}
		return nil
	})
	return diags
}

var roleArgs = append([]string{"for_each"}, blockArgs...)
var blockArgs = []string{"when", "tags", "become"}

// RoleArgs are the arguments that every role takes beside its inputs.
func RoleArgs() []string { return slices.Clone(roleArgs) }
