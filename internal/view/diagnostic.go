package view

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
)

// Diagnostics shows each as FILE:LINE:COLUMN: error: SUMMARY, the source line
// with a mark under the place, the detail and the hint.
func (v *textView) Diagnostics(diags hcl.Diagnostics, sources map[string][]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range diags {
		label := v.style.fail.Render("error:")
		if d.Severity == hcl.DiagWarning {
			label = v.style.change.Render("warning:")
		}
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf("%s:%d:%d: ", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		fmt.Fprintf(v.o.Err, "%s%s %s\n", at, label, indented(Clean(d.Summary), "  "))
		if d.Subject != nil {
			v.source(d.Subject, sources[d.Subject.Filename])
		}
		if d.Detail != "" {
			fmt.Fprintln(v.o.Err, "  "+indented(Clean(d.Detail), "  "))
		}
		if hint := diag.Hint(d); hint != "" && !strings.Contains(d.Detail, hint) {
			fmt.Fprintln(v.o.Err, "  "+indented(Clean(hint), "  "))
		}
		fmt.Fprintln(v.o.Err)
	}
}

// source shows the line of a range, and where in it the range lies.
func (v *textView) source(r *hcl.Range, src []byte) {
	line := lineOf(src, r.Start.Line)
	if line == "" {
		return
	}
	number := fmt.Sprintf("%5d | ", r.Start.Line)
	fmt.Fprintln(v.o.Err, v.style.faint.Render(number)+Clean(line))
	length := 1
	if r.End.Line == r.Start.Line {
		length = max(1, r.End.Column-r.Start.Column)
	}
	// Tabs stay tabs, so that the mark stands below what it marks.
	pad := strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, firstRunes(line, r.Start.Column-1))
	fmt.Fprintln(v.o.Err, strings.Repeat(" ", len(number)-2)+v.style.faint.Render("| ")+pad+v.style.fail.Render(strings.Repeat("^", min(length, 80))))
}

func firstRunes(s string, n int) string {
	r := []rune(s)
	return string(r[:min(max(n, 0), len(r))])
}

// lineOf returns a line by its number, from 1; "" if there is none, or if it
// is too long to be shown.
func lineOf(src []byte, number int) string {
	for i := 1; len(src) > 0; i++ {
		line, rest, _ := strings.Cut(string(src[:min(len(src), 1<<16)]), "\n")
		if i == number {
			if len(line) > 400 {
				return ""
			}
			return strings.TrimRight(line, "\r")
		}
		if len(line) >= 1<<16-1 {
			return ""
		}
		_ = rest
		src = src[min(len(line)+1, len(src)):]
	}
	return ""
}
