// Package naming finds what things are called in a project's files: hosts, users, databases.
//
// A secret that is equal to such a name is no secret: the name stands in every plan, and were
// it hidden there, no plan could be read.
package naming

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/hclguard"
)

// Set is names, each with what it is the name of: "host", "group", "user", "database",
// or "task" for what tasks are about.
type Set map[string]string

// Add adds names of one sort. What is named already stays what it was.
func (s Set) Add(what string, names ...string) {
	for _, name := range names {
		if _, ok := s[name]; !ok && name != "" {
			s[name] = what
		}
	}
}

// List returns the names, in no order.
func (s Set) List() []string {
	list := make([]string, 0, len(s))
	for name := range s {
		list = append(list, name)
	}
	return list
}

// Read adds the names that an HCL file of a project gives literally: an inventory, a
// playbook, a role. What can't be parsed is passed over: others say so.
func (s Set) Read(src []byte) {
	f, diags := hclguard.Parse("", src)
	body, ok := f.Body.(*hclsyntax.Body)
	if diags.HasErrors() || !ok {
		return
	}
	s.body(body)
}

// labelled says what the last label of a block names.
func labelled(b *hclsyntax.Block) string {
	switch b.Type {
	case "host", "bastion":
		return "host"
	case "group":
		return "group"
	case "task":
		return sort(b.Labels[0])
	}
	return ""
}

// sort is what a task of a kind is about.
func sort(kind string) string {
	switch {
	case strings.HasSuffix(kind, "user"):
		return "user"
	case strings.HasSuffix(kind, "database"):
		return "database"
	case kind == "group":
		return "group"
	}
	return "task"
}

// arguments are those whose values are names, with what they name; "" is what the task
// is about.
func arguments() map[string]string {
	return map[string]string{"name": "", "names": "", "user": "user", "owner": "user", "become": "user", "group": "group", "groups": "group", "database": "database"}
}

func (s Set) body(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		what := ""
		if len(b.Labels) > 0 {
			if what = labelled(b); what != "" {
				s.Add(what, b.Labels[len(b.Labels)-1])
			}
		}
		for name, a := range b.Body.Attributes {
			named, ok := arguments()[name]
			if named == "" {
				named = what
			}
			if ok && named != "" {
				s.Add(named, literals(a.Expr)...)
			}
		}
		s.body(b.Body)
	}
}

// literals are the texts of a string, or of a list of strings, that is written out.
func literals(x hclsyntax.Expression) []string {
	v, diags := x.Value(&hcl.EvalContext{})
	if diags.HasErrors() || v.IsNull() || !v.IsWhollyKnown() {
		return nil
	}
	if v.Type() == cty.String {
		return []string{v.AsString()}
	}
	var list []string
	if v.Type().IsTupleType() {
		for _, e := range v.AsValueSlice() {
			if !e.IsNull() && e.Type() == cty.String {
				list = append(list, e.AsString())
			}
		}
	}
	return list
}

// maxFiles is how many files of a project are read: no project that people write has as many.
const maxFiles = 5000

// Project adds the names that the HCL files below a folder give. Hidden folders, and what
// can't be read, are passed over.
func (s Set) Project(dir string) {
	n := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.Type().IsRegular() || filepath.Ext(path) != ".hcl":
			return nil
		}
		if n++; n > maxFiles {
			return fs.SkipAll
		}
		if info, err := d.Info(); err != nil || info.Size() > hclguard.MaxBytes {
			return nil
		}
		if src, err := os.ReadFile(path); err == nil {
			s.Read(src)
		}
		return nil
	})
}
