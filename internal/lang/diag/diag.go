// Package diag words what is wrong with a playbook: at the smallest place where it is
// written, and with what was probably meant.
package diag

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/spelling"
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

// AddHint gives a diagnostic a hint, beside what it has.
func AddHint(d *hcl.Diagnostic, hint string) { d.Extra = extra{hint: hint, inner: d.Extra} }

// Error makes an error. Its detail is full sentences that say what to do.
func Error(at hcl.Range, summary, hint, detail string, a ...any) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, a...), Subject: &at}
	if hint != "" {
		d.Extra = extra{hint: hint}
	}
	return d
}

// Warning makes a warning.
func Warning(at hcl.Range, summary, hint, detail string, a ...any) *hcl.Diagnostic {
	d := Error(at, summary, hint, detail, a...)
	d.Severity = hcl.DiagWarning
	return d
}

// DidYouMean is the hint for a name that doesn't exist.
func DidYouMean(name string, names []string) string {
	sort.Strings(names)
	if near := spelling.Nearest(name, names); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return ""
}

// DidYouMeanKind is DidYouMean for the name of a kind.
func DidYouMeanKind(name string, kinds []string) string {
	sort.Strings(kinds)
	if near := modules.NearestKind(name, kinds); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	return ""
}

// List writes names as a sentence does, at most a dozen of them.
func List(names []string) string {
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
	for _, d := range Dedupe(diags, nil) {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf("%s:%d: ", Place(*d.Subject), d.Subject.Start.Column)
		}
		lines = append(lines, at+d.Summary+": "+d.Detail)
		if hint := Hint(d); hint != "" {
			lines = append(lines, hint)
		}
	}
	return strings.Join(lines, "\n")
}

// Place writes where something stands, for a sentence.
func Place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

// Dedupe sorts diagnostics by where they stand and leaves out repetitions:
// the same summary at the same place.
func Dedupe(diags hcl.Diagnostics, order map[string]int) hcl.Diagnostics {
	seen := map[Problem]bool{}
	out := diags[:0:0]
	for _, d := range diags {
		if k := ProblemOf(d); !seen[k] {
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

// Problem is what makes two diagnostics the same: a detail that names the host
// or the user of a template doesn't make another problem of it.
type Problem struct {
	file    string
	at      int
	summary string
}

// ProblemOf is what a diagnostic is about.
func ProblemOf(d *hcl.Diagnostic) Problem {
	switch {
	case d.Subject == nil:
		return Problem{summary: d.Summary + d.Detail}
	case d.Summary == "Missing argument" || d.Summary == "Missing input":
		// Several may be missing at one place.
		return Problem{d.Subject.Filename, d.Subject.Start.Byte, d.Summary + d.Detail}
	}
	return Problem{d.Subject.Filename, d.Subject.Start.Byte, d.Summary}
}

// Attributes are the names of those that values of an object's type have, sorted.
func Attributes(t cty.Type) []string {
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

// OtherFormat says what the format is where a file's name is of another.
func OtherFormat(diags hcl.Diagnostics, name, hint string) hcl.Diagnostics {
	if slices.Contains([]string{".yml", ".yaml", ".json", ".toml", ".ini"}, filepath.Ext(name)) && diags.HasErrors() && Hint(diags[0]) == "" {
		AddHint(diags[0], hint)
	}
	return diags
}

// Capital begins a sentence with a text.
func Capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Count writes how many of something there are.
func Count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
