package doc

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"muster/modules"
)

// width is the columns of a terminal that everybody has.
const width = 80

// List is a line for each kind, or several, and then for each role.
func List(r *modules.Registry, roles []Role) string {
	list := All(r)
	width := 0
	for _, k := range list {
		width = max(width, len(k.Name))
	}
	var b strings.Builder
	for _, k := range list {
		writeLine(&b, k.Name, k.FirstSentence(), width)
	}
	b.WriteString("\n\"muster doc KIND\" shows the arguments of one.\n")
	if len(roles) == 0 {
		return b.String()
	}
	width = 0
	for _, r := range roles {
		width = max(width, utf8.RuneCountInString(r.Name))
	}
	b.WriteString("\nRoles\n\n")
	for _, r := range roles {
		writeLine(&b, r.Name, r.FirstSentence(), width)
	}
	b.WriteString("\n\"muster doc role.NAME\" shows the inputs and outputs of one.\n")
	return b.String()
}

// writeLine writes a name, and what it is in a column beside it.
func writeLine(b *strings.Builder, name, text string, width int) {
	indent := strings.Repeat(" ", width+2)
	beside := strings.TrimPrefix(wrap(text, indent), indent)
	fmt.Fprintln(b, strings.TrimRight(name+strings.Repeat(" ", width+2-utf8.RuneCountInString(name))+beside, " "))
}

// Text is the documentation of a kind for a terminal.
func Text(r *modules.Registry, name string) string {
	k := Of(r, name)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", k.Name)
	if k.Text != "" {
		fmt.Fprintf(&b, "%s\n\n", wrap(k.Text, "  "))
	}
	if label := k.Label(); label != "" {
		fmt.Fprintf(&b, "%s\n\n", wrap(label, "  "))
	}
	b.WriteString("Arguments\n")
	writeArgs(&b, k.Args, "  ")
	fmt.Fprintf(&b, "\n%s\n", wrap("Every task also takes "+strings.Join(modules.TaskArgs(), ", ")+".", "  "))
	if len(k.Output) > 0 {
		b.WriteString("\nOutput\n")
		writeArgs(&b, k.Output, "  ")
	}
	if k.Example != "" {
		fmt.Fprintf(&b, "\nExample\n%s", wrap(asIs(k.Example), "  "))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func writeArgs(b *strings.Builder, list []Arg, by string) {
	for _, a := range list {
		head := a.Name
		if notes := a.Notes(); notes != "" {
			head += " (" + notes + ")"
		}
		fmt.Fprintln(b, wrap(head, by))
		if a.Text != "" {
			fmt.Fprintln(b, wrap(a.Text, by+"    "))
		}
		if a.Deprecated != "" {
			fmt.Fprintln(b, wrap("Deprecated: "+a.Deprecated, by+"    "))
		}
		attributes, instead := a.Shown()
		if instead != "" {
			fmt.Fprintln(b, wrap(instead, by+"    "))
		}
		writeArgs(b, attributes, by+"    ")
	}
}

// asIs marks lines as ones that wrap doesn't join or break.
func asIs(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n\t")
}

// wrap breaks the lines of text between words, so that none is wider than the
// terminal where that can be, and indents them. Lines that are indented
// already keep their form.
func wrap(text, by string) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		if rest, ok := strings.CutPrefix(line, "\t"); ok {
			b.WriteString(strings.TrimRight(by+rest, " "))
			continue
		}
		words := strings.Fields(line)
		hang := by + line[:len(line)-len(strings.TrimLeft(line, " "))]
		at := 0
		for _, w := range words {
			n := utf8.RuneCountInString(w)
			switch {
			case at == 0:
				b.WriteString(hang)
				at = len(hang)
			case at+1+n > width:
				b.WriteString("\n" + hang)
				at = len(hang)
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(w)
			at += n
		}
	}
	return b.String()
}
