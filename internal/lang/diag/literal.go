package diag

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Unwrap returns what stands in parentheses.
func Unwrap(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expression
	}
}

// ObjectItem returns the value of an object's item, as far as the object is
// written out; nil if there is none.
func ObjectItem(e hclsyntax.Expression, name string) hclsyntax.Expression {
	o, ok := Unwrap(e).(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil
	}
	for _, item := range o.Items {
		if ItemKey(item.KeyExpr) == name {
			return item.ValueExpr
		}
	}
	return nil
}

// ItemKey returns the key of an object's item where it is written out.
func ItemKey(e hclsyntax.Expression) string {
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

// TupleItem returns an item of a list, as far as it is written out; nil if there is none.
func TupleItem(e hclsyntax.Expression, i int) hclsyntax.Expression {
	t, ok := Unwrap(e).(*hclsyntax.TupleConsExpr)
	if !ok || i < 0 || i >= len(t.Exprs) {
		return nil
	}
	return t.Exprs[i]
}

// DuplicateKeys reports the items of an object that hide an earlier one: the
// evaluator takes the last without a word.
func DuplicateKeys(o *hclsyntax.ObjectConsExpr) hcl.Diagnostics {
	if len(o.Items) < 2 {
		return nil
	}
	var diags hcl.Diagnostics
	seen := make(map[string]hcl.Range, len(o.Items))
	for _, item := range o.Items {
		key := ItemKey(item.KeyExpr)
		if key == "" {
			continue
		}
		at := item.KeyExpr.Range()
		if first, ok := seen[key]; ok {
			diags = append(diags, Error(at, "Duplicate key", "", "%q is set at %s already.", key, Place(first)))
			continue
		}
		seen[key] = at
	}
	return diags
}

// AllDuplicateKeys is DuplicateKeys for every object in an expression.
func AllDuplicateKeys(e hclsyntax.Expression) hcl.Diagnostics {
	return hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if o, ok := n.(*hclsyntax.ObjectConsExpr); ok {
			return DuplicateKeys(o)
		}
		return nil
	})
}

// StrayAttributes reports attributes that are written out where an object of
// type t is given, and that t doesn't have: converting the value would leave
// them out without a word. whose says whose type it is, and where it stands.
func StrayAttributes(e hclsyntax.Expression, t cty.Type, whose string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	switch e := Unwrap(e).(type) {
	case *hclsyntax.TupleConsExpr:
		if !t.IsListType() && !t.IsSetType() {
			return nil
		}
		for _, x := range e.Exprs {
			diags = append(diags, StrayAttributes(x, t.ElementType(), whose)...)
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			switch key := ItemKey(item.KeyExpr); {
			case t.IsMapType():
				diags = append(diags, StrayAttributes(item.ValueExpr, t.ElementType(), whose)...)
			case !t.IsObjectType() || key == "":
			case t.HasAttribute(key):
				diags = append(diags, StrayAttributes(item.ValueExpr, t.AttributeType(key), whose)...)
			default:
				names := Attributes(t)
				diags = append(diags, Error(item.KeyExpr.Range(), "Unknown attribute", DidYouMean(key, names), "The type of %s has no attribute %q here. It has %s.", whose, key, List(names)))
			}
		}
	}
	return diags
}

// StepName is the name that a step of a traversal reads.
func StepName(step hcl.Traverser) (string, bool) {
	switch s := step.(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
			return s.Key.AsString(), true
		}
	}
	return "", false
}

// SecondName is the name behind the first of a traversal.
func SecondName(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	return StepName(t[1])
}
