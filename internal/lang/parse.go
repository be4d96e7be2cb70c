package lang

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
	"muster/internal/lang/diag"
	"muster/internal/lang/files"
)

// repeated is the parser's summary where an argument is set a second time. The
// first then counts, and the rest of the file can be checked.
const repeated = "Attribute redefined"

// parse reads a file and returns its body; nil where that failed. at is what
// names the file; nil for the first.
func (l *loader) parse(f files.File, at *hcl.Range) *hclsyntax.Body {
	src, err := l.files.Source(f)
	if err != nil {
		where := hcl.Range{Filename: f.Name, Start: hcl.InitialPos, End: hcl.InitialPos}
		if at != nil {
			where = *at
		}
		summary, hint := "Can't read file", ""
		if errors.Is(err, fs.ErrNotExist) {
			summary = "No such file"
			hint = diag.DidYouMean(filepath.Base(f.Path), l.files.Neighbours(files.Folder{Dir: filepath.Dir(f.Path)}, filepath.Base(f.Path), ""))
		}
		l.errorAt(where, summary, hint, "Reading %s: %s.", f.Name, files.PlainError(err))
		return nil
	}
	file, diags := hclguard.Parse(f.Name, src)
	l.diags = append(l.diags, diag.OtherFormat(diag.SyntaxHints(diags, src, hclsyntax.LexConfig), f.Name, `Playbooks are written in HCL: play "NAME" { hosts = ["all"] … }`)...)
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Summary != repeated {
			return nil
		}
	}
	l.diags = append(l.diags, diag.Jinja(f.Name, src, hclsyntax.LexConfig, "var.")...)
	body, _ := file.Body.(*hclsyntax.Body)
	return body
}
