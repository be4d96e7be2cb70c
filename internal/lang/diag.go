package lang

import (
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/funcs"
	"muster/modules"
)

// extra is what this package attaches to a diagnostic.
type extra struct {
	hint  string
	inner any
}

func (e extra) Hint() string               { return e.hint }
func (e extra) UnwrapDiagnosticExtra() any { return e.inner }

// Hint returns what the author of a diagnostic's place probably meant, as a
// sentence or as the text to write; "" if that is unknown.
func Hint(d *hcl.Diagnostic) string {
	for x := d.Extra; x != nil; {
		if h, ok := x.(interface{ Hint() string }); ok {
			return h.Hint()
		}
		u, ok := x.(hcl.DiagnosticExtraUnwrapper)
		if !ok {
			return ""
		}
		x = u.UnwrapDiagnosticExtra()
	}
	return ""
}

// errorAt makes an error. Its detail is full sentences that say what to do.
func errorAt(at hcl.Range, summary, hint, detail string, a ...any) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, a...), Subject: &at}
	if hint != "" {
		d.Extra = extra{hint: hint}
	}
	return d
}

func warningAt(at hcl.Range, summary, hint, detail string, a ...any) *hcl.Diagnostic {
	d := errorAt(at, summary, hint, detail, a...)
	d.Severity = hcl.DiagWarning
	return d
}

// didYouMean is the hint for a name that doesn't exist.
func didYouMean(name string, names []string) string {
	sort.Strings(names)
	if near := modules.Nearest(name, names); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return ""
}

// didYouMeanKind is didYouMean for the name of a kind.
func didYouMeanKind(name string, kinds []string) string {
	sort.Strings(kinds)
	if near := modules.NearestKind(name, kinds); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return ""
}

// list writes names as a sentence does, at most a dozen of them.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + fmt.Sprintf(" and %d more", len(names)-12)
	}
	return strings.Join(names, ", ")
}

// Text tells the errors among diagnostics without the lines they are about, for
// where an error is a text: each begins FILE:LINE:COLUMN, and its hint is a line of
// its own.
func Text(diags hcl.Diagnostics) string {
	var lines []string
	for _, d := range dedupe(diags, nil) {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf("%s:%d: ", place(*d.Subject), d.Subject.Start.Column)
		}
		lines = append(lines, at+d.Summary+": "+d.Detail)
		if hint := Hint(d); hint != "" {
			lines = append(lines, hint)
		}
	}
	return strings.Join(lines, "\n")
}

// place writes where something stands, for a sentence.
func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

// dedupe sorts diagnostics by where they stand and leaves out repetitions:
// the same summary at the same place.
func dedupe(diags hcl.Diagnostics, order map[string]int) hcl.Diagnostics {
	seen := map[problem]bool{}
	out := diags[:0:0]
	for _, d := range diags {
		if k := problemOf(d); !seen[k] {
			seen[k] = true
			out = append(out, d)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].Subject, out[j].Subject
		if a == nil || b == nil {
			return a == nil && b != nil
		}
		if a.Filename != b.Filename {
			return order[a.Filename] < order[b.Filename]
		}
		return a.Start.Byte < b.Start.Byte
	})
	return out
}

// problem is what makes two diagnostics the same: a detail that names the host
// or the user of a template doesn't make another problem of it.
type problem struct {
	file    string
	at      int
	summary string
}

func problemOf(d *hcl.Diagnostic) problem {
	switch {
	case d.Subject == nil:
		return problem{summary: d.Summary + d.Detail}
	case d.Summary == "Missing argument" || d.Summary == "Missing input":
		// Several may be missing at one place.
		return problem{d.Subject.Filename, d.Subject.Start.Byte, d.Summary + d.Detail}
	}
	return problem{d.Subject.Filename, d.Subject.Start.Byte, d.Summary}
}

// polish adds to the evaluator's own diagnostics what it can't know: the name
// that was probably meant, why a task gave no output, and that sensitive values
// don't belong in a message.
func polish(diags hcl.Diagnostics, ctx *hcl.EvalContext) hcl.Diagnostics {
	for _, d := range diags {
		if d.Expression != nil && fromFunction(d) && readsSensitive(d.Expression, ctx) {
			d.Detail = "The call failed; what it said is left out, because a value that it was given is sensitive."
		}
		if d.Summary == "Unsupported attribute" && Hint(d) == "" {
			if hint := attributeHint(d, ctx); hint != "" {
				d.Extra = extra{hint: hint, inner: d.Extra}
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
		if v != cty.NilVal && hasSensitive(v) {
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
		name, ok := stepName(e.Traversal[i])
		if !ok || !before.Type().IsObjectType() || before.Type().HasAttribute(name) {
			continue
		}
		return didYouMean(name, attributes(before.Type()))
	}
	return ""
}

func attributes(t cty.Type) []string {
	if !t.IsObjectType() {
		return nil
	}
	names := make([]string, 0, len(t.AttributeTypes()))
	for name := range t.AttributeTypes() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func hasSensitive(v cty.Value) bool {
	if !v.ContainsMarked() {
		return false
	}
	_, marks := v.UnmarkDeep()
	_, ok := marks[funcs.Sensitive]
	return ok
}
