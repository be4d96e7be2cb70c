package lang

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/lang/refs"
)

// constant evaluates an expression that reads nothing.
func (l *loader) constant(e hclsyntax.Expression, what string) (cty.Value, bool) {
	s := refs.Stand{Known: l.Known, Can: 0, What: what, Unit: &plays.Unit{}}
	x, diags := s.Analyse(e)
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	if x.Reads.Files {
		l.errorAt(e.Range(), "Can't be read here", "Use a local: locals may read files.", "Files can't be read in %s: it is fixed.", what)
		return cty.NilVal, false
	}
	v, more := l.p.Constant(x)
	l.diags = append(l.diags, more...)
	return v, !more.HasErrors()
}

// static evaluates an expression that is the same for all hosts. ok is false
// where that failed, which has been reported.
func (l *loader) static(u *plays.Unit, e hclsyntax.Expression, what string) (v cty.Value, ok bool) {
	s := refs.Stand{Known: l.Known, Unit: u, Can: refs.Static, What: what}
	x, diags := s.Analyse(e)
	l.diags = append(l.diags, diags...)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	v, diags = l.p.Static(u, x)
	l.diags = append(l.diags, diags...)
	return v, !diags.HasErrors()
}

func (l *loader) constString(a *hclsyntax.Attribute) string {
	if a == nil {
		return ""
	}
	v, ok := l.constant(a.Expr, "this argument")
	if !ok {
		return ""
	}
	s, isText := eval.TextOf(v)
	if !isText || v.Type() != cty.String {
		l.errorAt(a.Expr.Range(), "Wrong type", "", "%q takes a string.", a.Name)
	}
	return s
}

func (l *loader) constBool(a *hclsyntax.Attribute, otherwise bool) bool {
	if a == nil {
		return otherwise
	}
	v, ok := l.constant(a.Expr, "this argument")
	if !ok {
		return otherwise
	}
	if v.Type() != cty.Bool || v.IsNull() || !v.IsKnown() {
		l.errorAt(a.Expr.Range(), "Wrong type", a.Name+" = true", "%q takes true or false.", a.Name)
		return otherwise
	}
	return v.True()
}
