// Package usage finds where a project's files read its secrets, and which rotations change
// them. It reads the files as they are written and evaluates nothing, so that it needs
// neither an inventory nor a value, and takes no longer for many secrets.
package usage

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
)

// Place is where a secret is read, or rotated.
type Place struct {
	File string `json:"file"` // below the project's folder
	Line int    `json:"line"`
	// In is the blocks around it, outermost first: `play "web"`, `task "file" "config"`.
	In []string `json:"in,omitempty"`
	// Computed: the name is computed there, and may be this one.
	Computed bool `json:"computed,omitempty"`
}

// Uses are all places of a project, in the order of files and lines.
type Uses struct {
	read    map[string][]Place
	matches []match           // of names that are computed
	every   map[string]string // by secret
}

// match is a place that reads each secret whose name fits.
type match struct {
	name  *regexp.Regexp
	place Place
}

// Of returns where a secret is read.
func (u *Uses) Of(name string) []Place {
	list := slices.Clone(u.read[name])
	for _, m := range u.matches {
		if m.name.MatchString(name) {
			list = append(list, m.place)
		}
	}
	slices.SortStableFunc(list, func(a, b Place) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, slices.Compare(a.In, b.In))
	})
	return list
}

// Every returns how often a rotation changes a secret: "30d"; "" where none says so.
func (u *Uses) Every(name string) string { return u.every[name] }

// rotations is the folder that a project's rotations are read from.
const rotations = "playbooks/rotation"

// maxFiles is how many files of a project are read: no project that people write has as many.
const maxFiles = 5000

// reads tells the files that are worth parsing.
var reads = regexp.MustCompile(`\bsecret\s*[\[.=]`)

// Project returns the uses in the HCL files below a folder. Hidden folders, projects of
// their own below it, and what can't be read or parsed, are passed over: others say so.
func Project(dir string) *Uses {
	u := &Uses{read: map[string][]Place{}, every: map[string]string{}}
	n := 0
	_ = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir() && file != dir && (strings.HasPrefix(d.Name(), ".") || isProject(file)):
			return fs.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(file) != ".hcl":
			return nil
		}
		if n++; n > maxFiles {
			return fs.SkipAll
		}
		src, err := os.ReadFile(file)
		if err != nil || !reads.Match(src) {
			return nil
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return nil
		}
		u.File(name, src)
		return nil
	})
	return u
}

func isProject(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "muster.hcl"))
	return err == nil
}

// File adds the uses in one file.
func (u *Uses) File(name string, src []byte) {
	f, diags := hclguard.Parse(name, src)
	if body, ok := f.Body.(*hclsyntax.Body); ok && !diags.HasErrors() {
		u.body(body, nil)
	}
}

func (u *Uses) body(body *hclsyntax.Body, in []string) {
	for _, a := range body.Attributes {
		u.expression(a.Expr, in)
	}
	for _, b := range body.Blocks {
		title := b.Type
		for _, l := range b.Labels {
			title += ` "` + l + `"`
		}
		if b.Type == "rotation" && len(in) == 0 && path.Dir(filepath.ToSlash(b.TypeRange.Filename)) == rotations {
			u.rotation(b.Body)
		}
		u.body(b.Body, append(slices.Clone(in), title))
	}
}

// rotation notes how often a rotation changes its secret.
func (u *Uses) rotation(body *hclsyntax.Body) {
	if name, every := literal(body.Attributes["secret"]), literal(body.Attributes["every"]); name != "" && every != "" {
		u.every[name] = every
	}
}

func literal(a *hclsyntax.Attribute) string {
	if a == nil {
		return ""
	}
	return text(a.Expr)
}

// text is a string that is written out, "" for what is none.
func text(x hclsyntax.Expression) string {
	v, diags := x.Value(&hcl.EvalContext{})
	if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// expression finds secret["NAME"], secret.NAME and secret[…] in an expression.
func (u *Uses) expression(x hclsyntax.Expression, in []string) {
	_ = hclsyntax.VisitAll(x, func(node hclsyntax.Node) hcl.Diagnostics {
		switch x := node.(type) {
		case *hclsyntax.ScopeTraversalExpr:
			if x.Traversal.RootName() != "secret" {
				return nil
			}
			at := place(x.Range(), in)
			if len(x.Traversal) > 1 {
				switch step := x.Traversal[1].(type) {
				case hcl.TraverseIndex:
					if step.Key.Type() == cty.String {
						u.read[step.Key.AsString()] = append(u.read[step.Key.AsString()], at)
					}
				case hcl.TraverseAttr:
					u.read[step.Name] = append(u.read[step.Name], at)
				}
			}
		case *hclsyntax.IndexExpr:
			if of, ok := x.Collection.(*hclsyntax.ScopeTraversalExpr); ok && len(of.Traversal) == 1 && of.Traversal.RootName() == "secret" {
				at := place(x.Range(), in)
				at.Computed = true
				u.matches = append(u.matches, match{pattern(x.Key), at})
			}
		}
		return nil
	})
}

func place(r hcl.Range, in []string) Place {
	return Place{File: r.Filename, Line: r.Start.Line, In: in}
}

// pattern is what a name that is computed looks like: "db/${host.name}" is anything behind
// "db/".
func pattern(key hclsyntax.Expression) *regexp.Regexp {
	expr := ".*"
	if t, ok := key.(*hclsyntax.TemplateExpr); ok {
		expr = ""
		for _, part := range t.Parts {
			if s := text(part); s != "" {
				expr += regexp.QuoteMeta(s)
			} else {
				expr += ".*"
			}
		}
	}
	return regexp.MustCompile("(?s)^" + expr + "$")
}
