package diag

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TypeHints says of each word in a type's expression that is no type which one
// was meant.
func TypeHints(diags hcl.Diagnostics, whole hclsyntax.Expression) hcl.Diagnostics {
	for _, d := range diags {
		if d.Subject == nil {
			continue
		}
		_ = hclsyntax.VisitAll(whole, func(n hclsyntax.Node) hcl.Diagnostics {
			e, ok := n.(*hclsyntax.ScopeTraversalExpr)
			if !ok || e.Range() != *d.Subject {
				return nil
			}
			if hint := typeHint(e); hint != "" {
				AddHint(d, hint)
			}
			return nil
		})
	}
	return diags
}

func typeHint(e hcl.Expression) string {
	switch word := hcl.ExprAsKeyword(e); word {
	case "":
		return ""
	case "list", "set", "map":
		return word + "(string)"
	case "object":
		return "object({ name = string })"
	case "tuple":
		return "tuple([string, number])"
	default:
		return DidYouMean(word, []string{"string", "number", "bool", "any", "list", "set", "map", "object", "tuple"})
	}
}
