package eval

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
	"muster/modules"
)

// noOutput marks the null that stands for the output of a task that gave none,
// so that whoever reads something of it, by whatever name, is told why.
type noOutput struct {
	task string // as references call it
	why  string // a clause: "it was skipped"; "" where nothing can be said
	kind *modules.Kind
}

// whyNoOutput says why a task whose outcome is o gave no output.
func whyNoOutput(t *plays.Task, o Outcome) string {
	switch {
	case o.Why != "":
		return o.Why
	case o.Skipped == modules.True:
		return "it was skipped"
	case o.Failed == modules.True:
		return "it failed"
	}
	for _, guard := range []string{"creates", "removes", "newer_than"} {
		for _, a := range t.Args {
			if a.Name == guard {
				return fmt.Sprintf("its %q kept it from running", guard)
			}
		}
	}
	return ""
}

// readsNoOutput rewords the evaluator's diagnostic that something was read of a
// null, where the null is the output of a task.
func readsNoOutput(d *hcl.Diagnostic) {
	switch e := d.Expression.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		base, diags := e.Traversal[:1].TraverseAbs(d.EvalContext)
		if diags.HasErrors() {
			return
		}
		if n, at, ok := nullAlong(base, e.Traversal[1:]); ok {
			n.reword(d, e.Traversal.RootName()+traversalText(e.Traversal[1:]), "", e.Traversal[1:][at])
		}
	case *hclsyntax.RelativeTraversalExpr:
		if _, splat := e.Source.(*hclsyntax.AnonSymbolExpr); splat {
			if list := nullsIn(d.EvalContext); len(list) > 0 { // which of them the splat came to isn't told
				list[0].reword(d, "t"+traversalText(e.Traversal), "[for t in … : %s]", e.Traversal[len(e.Traversal)-1])
			}
			return
		}
		base, _ := e.Source.Value(d.EvalContext)
		if n, at, ok := nullAlong(base, e.Traversal); ok {
			n.reword(d, n.task+".output"+traversalText(e.Traversal[at:]), "", e.Traversal[at])
		}
	}
}

// nullAlong follows a path to the null that stands for an output, and returns the
// place of the step that reads something of it.
func nullAlong(v cty.Value, path hcl.Traversal) (noOutput, int, bool) {
	for i := range path {
		if v.IsNull() {
			n, ok := noOutputOf(v)
			return n, i, ok
		}
		var diags hcl.Diagnostics
		if v, diags = path[i : i+1].TraverseRel(v); diags.HasErrors() {
			break
		}
	}
	return noOutput{}, 0, false
}

// nullsIn are the outputs that aren't there of all tasks that can be read, sorted
// by name.
func nullsIn(ctx *hcl.EvalContext) []noOutput {
	var list []noOutput
	for ; ctx != nil; ctx = ctx.Parent() {
		for _, v := range ctx.Variables {
			_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
				if n, ok := noOutputOf(v); ok {
					list = append(list, n)
				}
				return true, nil
			})
		}
	}
	slices.SortFunc(list, func(a, b noOutput) int { return strings.Compare(a.task, b.task) })
	return list
}

func noOutputOf(v cty.Value) (noOutput, bool) {
	_, marks := v.Unmark()
	for m := range marks {
		if n, ok := m.(noOutput); ok {
			return n, true
		}
	}
	return noOutput{}, false
}

// reword makes of d the diagnostic of an expression, text, that reads step of an
// output. around is what that is part of, with %s for it; "" for nothing.
func (n noOutput) reword(d *hcl.Diagnostic, text, around string, step hcl.Traverser) {
	d.Summary = "No output"
	d.Detail = n.task + " gave no output"
	if n.why != "" {
		d.Detail += ": " + n.why
	}
	d.Detail += "."
	instead := "null"
	typ := plays.OutputType(n.kind)
	if name, ok := diag.StepName(step); ok && typ.IsObjectType() && typ.HasAttribute(name) && typ.AttributeType(name) == cty.String {
		instead = `""`
	}
	instead = fmt.Sprintf("try(%s, %s)", text, instead)
	if around != "" {
		instead = fmt.Sprintf(around, instead)
	}
	diag.AddHint(d, "For one that may be missing write "+instead+".")
}

// traversalText writes what follows a name as it is written in HCL.
func traversalText(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			b.WriteString("[" + HCLText(s.Key) + "]")
		}
	}
	return b.String()
}
