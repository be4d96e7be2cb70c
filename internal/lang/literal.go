package lang

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// unwrap returns what stands in parentheses.
func unwrap(e hclsyntax.Expression) hclsyntax.Expression {
	for {
		p, ok := e.(*hclsyntax.ParenthesesExpr)
		if !ok {
			return e
		}
		e = p.Expression
	}
}

// objectItem returns the value of an object's item, as far as the object is
// written out; nil if there is none.
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

// duplicateKeys reports the items of an object that hide an earlier one: the
// evaluator takes the last without a word.
func duplicateKeys(o *hclsyntax.ObjectConsExpr) hcl.Diagnostics {
	if len(o.Items) < 2 {
		return nil
	}
	var diags hcl.Diagnostics
	seen := make(map[string]hcl.Range, len(o.Items))
	for _, item := range o.Items {
		key := itemKey(item.KeyExpr)
		if key == "" {
			continue
		}
		at := item.KeyExpr.Range()
		if first, ok := seen[key]; ok {
			diags = append(diags, errorAt(at, "Duplicate key", "", "%q is set at %s already.", key, place(first)))
			continue
		}
		seen[key] = at
	}
	return diags
}

// allDuplicateKeys is duplicateKeys for every object in an expression.
func allDuplicateKeys(e hclsyntax.Expression) hcl.Diagnostics {
	return hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if o, ok := n.(*hclsyntax.ObjectConsExpr); ok {
			return duplicateKeys(o)
		}
		return nil
	})
}

// strayAttributes reports attributes that are written out where an object of
// type t is given, and that t doesn't have: converting the value would leave
// them out without a word. whose says whose type it is, and where it stands.
func strayAttributes(e hclsyntax.Expression, t cty.Type, whose string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	switch e := unwrap(e).(type) {
	case *hclsyntax.TupleConsExpr:
		if !t.IsListType() && !t.IsSetType() {
			return nil
		}
		for _, x := range e.Exprs {
			diags = append(diags, strayAttributes(x, t.ElementType(), whose)...)
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			switch key := itemKey(item.KeyExpr); {
			case t.IsMapType():
				diags = append(diags, strayAttributes(item.ValueExpr, t.ElementType(), whose)...)
			case !t.IsObjectType() || key == "":
			case t.HasAttribute(key):
				diags = append(diags, strayAttributes(item.ValueExpr, t.AttributeType(key), whose)...)
			default:
				names := attributes(t)
				diags = append(diags, errorAt(item.KeyExpr.Range(), "Unknown attribute", didYouMean(key, names), "The type of %s has no attribute %q here. It has %s.", whose, key, list(names)))
			}
		}
	}
	return diags
}

func stepName(step hcl.Traverser) (string, bool) {
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

func secondName(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	return stepName(t[1])
}
