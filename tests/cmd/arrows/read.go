package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// listed is a package as go list tells it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// read finds the arrows between the files of a folder.
func read(folder string) (*graph, error) {
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "./...")
	cmd.Dir, cmd.Stderr = folder, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages of %s: %w", folder, err)
	}
	export := map[string]string{} // by import path: the file that tells what a package has
	var ours []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		export[p.ImportPath] = p.Export
		if !p.DepOnly {
			ours = append(ours, p)
		}
	}
	root, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	g := newGraph(len(ours))
	fset := token.NewFileSet()
	compiled := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })
	for _, p := range ours {
		var files []*ast.File
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
			if path, err = filepath.Rel(root, path); err != nil {
				return nil, err
			}
			g.file(path)
		}
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		if _, err := (&types.Config{Importer: compiled}).Check(p.ImportPath, fset, files, info); err != nil {
			return nil, err
		}
		for ident, used := range info.Uses {
			if !top(used) {
				continue
			}
			from, err1 := filepath.Rel(root, fset.Position(ident.Pos()).Filename)
			to, err2 := filepath.Rel(root, fset.Position(used.Pos()).Filename)
			if err1 == nil && err2 == nil {
				g.add(from, to, used.Name())
			}
		}
	}
	return g, nil
}

// top reports whether something is declared by a file itself, or is a method: what is
// local to a function isn't used by another file, and a field comes with its type.
func top(o types.Object) bool {
	if f, ok := o.(*types.Func); ok {
		o = f.Origin()
		return o.Pkg() != nil
	}
	return o.Pkg() != nil && o.Parent() == o.Pkg().Scope()
}
