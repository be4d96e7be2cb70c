// Package source reads the comments of structs from Go source.
package source

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
)

// Comments are the comments of one struct: its own and its fields'.
type Comments struct {
	Text   string            `json:"text"`
	Fields map[string]string `json:"fields"` // those of embedded structs of the package too

	embeds []string
}

// Read returns the comments of every struct below dir that has a field with
// an arg or json tag, by PACKAGE.TYPE.
func Read(dir string) (map[string]Comments, error) {
	out := map[string]Comments{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				for _, spec := range g.Specs {
					if t, ok := spec.(*ast.TypeSpec); ok {
						read(out, f.Name.Name, t, g.Doc)
					}
				}
			}
		}
		return nil
	})
	for _, c := range out {
		for _, name := range c.embeds { // one level: no kind needs more
			for field, text := range out[name].Fields {
				if _, own := c.Fields[field]; !own {
					c.Fields[field] = text
				}
			}
		}
	}
	maps.DeleteFunc(out, func(_ string, c Comments) bool { return len(c.Fields) == 0 })
	return out, err
}

func read(out map[string]Comments, pkg string, t *ast.TypeSpec, groupDoc *ast.CommentGroup) {
	st, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	text := t.Doc
	if text == nil {
		text = groupDoc
	}
	c := Comments{Text: strip(t.Name.Name, clean(text)), Fields: map[string]string{}}
	tagged := false
	for _, f := range st.Fields.List {
		if id, ok := f.Type.(*ast.Ident); ok && len(f.Names) == 0 {
			c.embeds = append(c.embeds, pkg+"."+id.Name)
			tagged = true
		}
		if f.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		if tag.Get("arg") == "" && tag.Get("json") == "" {
			continue
		}
		tagged = true
		d := clean(f.Doc)
		if d == "" {
			d = clean(f.Comment)
		}
		for _, n := range f.Names {
			c.Fields[n.Name] = strip(n.Name, d)
		}
	}
	if tagged {
		out[pkg+"."+t.Name.Name] = c
	}
}

// clean is a comment's text, a paragraph a line.
func clean(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	var p comment.Parser
	pr := comment.Printer{TextWidth: -1}
	return strings.TrimSpace(string(pr.Text(p.Parse(g.Text()))))
}

// strip drops the Go name that a comment begins with: "File is a regular
// file." becomes "A regular file.", "Command runs a program." becomes "Runs a
// program."
func strip(name, text string) string {
	for _, verb := range []string{" is ", " are ", " "} {
		if rest, ok := strings.CutPrefix(text, name+verb); ok && rest != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}
