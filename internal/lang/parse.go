package lang

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
)

// repeated is the parser's summary where an argument is set a second time. The
// first then counts, and the rest of the file can be checked.
const repeated = "Attribute redefined"

// parse reads a file and returns its body; nil where that failed. at is what
// names the file; nil for the first.
func (l *loader) parse(f localFile, at *hcl.Range) *hclsyntax.Body {
	src, err := l.files.source(f)
	if err != nil {
		where := hcl.Range{Filename: f.name, Start: hcl.InitialPos, End: hcl.InitialPos}
		if at != nil {
			where = *at
		}
		summary, hint := "Can't read file", ""
		if errors.Is(err, fs.ErrNotExist) {
			summary = "No such file"
			hint = didYouMean(filepath.Base(f.path), l.files.neighbours(folder{dir: filepath.Dir(f.path)}, filepath.Base(f.path), ""))
		}
		l.errorAt(where, summary, hint, "Reading %s: %s.", f.name, plainPathError(err))
		return nil
	}
	file, diags := hclguard.Parse(f.name, src)
	l.diags = append(l.diags, otherFormat(syntaxHints(diags, src), f.name, `Playbooks are written in HCL: play "NAME" { hosts = ["all"] … }`)...)
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Summary != repeated {
			return nil
		}
	}
	body, _ := file.Body.(*hclsyntax.Body)
	return body
}

// syntaxHints says what to write where a text holds what HCL takes for a
// template.
func syntaxHints(diags hcl.Diagnostics, src []byte) hcl.Diagnostics {
	for _, d := range diags {
		if d.Subject == nil || Hint(d) != "" || hclguard.IsLimit(d) {
			continue
		}
		line := lineAt(src, d.Subject.Start.Byte)
		col := min(max(d.Subject.Start.Byte-lineStart(src, d.Subject.Start.Byte), 0), len(line))
		before := line[:min(col+2, len(line))]
		if i := strings.LastIndex(before, "%{"); i >= 0 && (i == 0 || before[i-1] != '%') {
			d.Extra = extra{hint: `For a literal "%{" write "%%{"; longer texts are better kept in a file that "source" names.`, inner: d.Extra}
		} else if i := strings.LastIndex(before, "${"); i >= 0 && (i == 0 || before[i-1] != '$') || opensComment(src, d.Subject.Start.Byte) {
			d.Extra = extra{hint: `For a literal "${" write "$${".`, inner: d.Extra}
		}
	}
	return diags
}

// otherFormat says what the format is where a file's name is of another.
func otherFormat(diags hcl.Diagnostics, name, hint string) hcl.Diagnostics {
	if isOneOf(filepath.Ext(name), []string{".yml", ".yaml", ".json", ".toml", ".ini"}) && diags.HasErrors() && Hint(diags[0]) == "" {
		diags[0].Extra = extra{hint: hint, inner: diags[0].Extra}
	}
	return diags
}

// opensComment reports whether a "${#" of a shell stands shortly before at: to
// HCL the rest of that line is a comment.
func opensComment(src []byte, at int) bool {
	from := lineStart(src, lineStart(src, at)-1)
	return strings.Contains(string(src[max(from, 0):min(at, len(src))]), "${#")
}

func lineStart(src []byte, at int) int {
	at = max(min(at, len(src)), 0)
	return strings.LastIndexByte(string(src[:at]), '\n') + 1
}

func lineAt(src []byte, at int) string {
	line, _, _ := strings.Cut(string(src[lineStart(src, at):]), "\n")
	return line
}
