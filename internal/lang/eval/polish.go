package eval

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
)

// Polish adds to the evaluator's own diagnostics what it can't know: the name
// that was probably meant, why a task gave no output, and that sensitive values
// don't belong in a message.
func Polish(diags hcl.Diagnostics, ctx *hcl.EvalContext) hcl.Diagnostics {
	for _, d := range diags {
		if d.Expression != nil && fromFunction(d) && readsSensitive(d.Expression, ctx) {
			d.Detail = "The call failed; what it said is left out, because a value that it was given is sensitive."
		}
		if d.Summary == "Unsupported attribute" && diag.Hint(d) == "" {
			if hint := attributeHint(d, ctx); hint != "" {
				diag.AddHint(d, hint)
			}
		}
		if d.Summary == "Attempt to get attribute from null value" || d.Summary == "Attempt to index null value" {
			readsNoOutput(d)
		}
		d.EvalContext, d.Expression = nil, nil
	}
	return diags
}

func fromFunction(d *hcl.Diagnostic) bool {
	_, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d)
	return ok
}

func readsSensitive(e hcl.Expression, ctx *hcl.EvalContext) bool {
	for _, t := range e.Variables() {
		v, diags := t.TraverseAbs(ctx)
		if diags.HasErrors() {
			v = rootValue(t.RootName(), ctx)
		}
		if v != cty.NilVal && HasSensitive(v) {
			return true
		}
	}
	found := false
	if node, ok := e.(hclsyntax.Expression); ok {
		hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
			if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && (call.Name == "sensitive") {
				found = true
			}
			return nil
		})
	}
	return found
}

func rootValue(name string, ctx *hcl.EvalContext) cty.Value {
	for ; ctx != nil; ctx = ctx.Parent() {
		if v, ok := ctx.Variables[name]; ok {
			return v
		}
	}
	return cty.NilVal
}

// attributeHint finds the attribute that was meant along a traversal.
func attributeHint(d *hcl.Diagnostic, ctx *hcl.EvalContext) string {
	e, ok := d.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return ""
	}
	for i := 1; i < len(e.Traversal); i++ {
		before, diags := e.Traversal[:i].TraverseAbs(ctx)
		if diags.HasErrors() {
			return ""
		}
		name, ok := diag.StepName(e.Traversal[i])
		if !ok || !before.Type().IsObjectType() || before.Type().HasAttribute(name) {
			continue
		}
		return diag.DidYouMean(name, diag.Attributes(before.Type()))
	}
	return ""
}
