package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
)

// declarations is what the files of an inventory say, as they say it.
type declarations struct {
	files map[string]*hcl.File
	names []string // of files, in the order they were read

	defaults   *scope
	defaultsAt hcl.Range
	bastions   []*node
	groups     []*groupNode
	hosts      []*node
	sources    []*sourceNode

	registry map[string]Source
	broken   map[string]bool // files that could not be parsed: names may be missing
}

// scope is the settings and variables that were given in one place.
type scope struct {
	where    string // "host", "group db", "defaults", "source program.cloud"
	settings []assignment
	vars     []assignment
}

// node declares a host or a bastion.
type node struct {
	scope
	name   string
	at     hcl.Range
	from   *sourceNode // nil: a file of the inventory
	source []*scope    // of the source blocks that listed it
}

// groupNode declares a group.
type groupNode struct {
	scope
	name     string
	at       hcl.Range
	children []ref
	hosts    []ref
	from     *sourceNode
}

// ref names a host or a group.
type ref struct {
	name string
	at   hcl.Range
}

// read parses the files of the inventory at path.
func read(path string) (*declarations, hcl.Diagnostics) {
	d := &declarations{files: map[string]*hcl.File{}, broken: map[string]bool{}}
	names, diags := list(path)
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			d.broken[name] = true
			diags = diags.Append(problem(start(name), "Unreadable inventory", err.Error()+"."))
			continue
		}
		file, parsed := hclguard.Parse(name, src)
		d.files[name] = file
		d.names = append(d.names, name)
		if parsed.HasErrors() {
			d.broken[name] = true
		}
		diags = append(diags, parsed...)
	}
	return d, diags
}

// list returns the files of the inventory at path, sorted by name.
func list(path string) ([]string, hcl.Diagnostics) {
	at := start(path)
	info, err := os.Stat(path)
	if err != nil {
		return nil, hcl.Diagnostics{problem(at, "No such inventory", fmt.Sprintf("%s. Name an inventory with -i, or with inventory in muster.hcl.", err))}
	}
	if !info.IsDir() {
		if !strings.HasSuffix(path, ".hcl") {
			return nil, hcl.Diagnostics{problem(at, "Not an HCL file", fmt.Sprintf("An inventory is a file that ends in .hcl, or a folder of them. Other forms are read through one: source \"ansible\" \"old\" { path = %q } for an Ansible inventory, source \"program\" for a program that prints one.", filepath.Base(path)))}
		}
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, hcl.Diagnostics{problem(at, "Unreadable inventory", err.Error()+".")}
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".hcl") && !strings.HasPrefix(name, ".") && !e.IsDir() {
			names = append(names, filepath.Join(path, name))
		}
	}
	if len(names) == 0 {
		return nil, hcl.Diagnostics{problem(at, "Empty inventory", "This folder holds no file that ends in .hcl.")}
	}
	return names, nil
}

// decode reads the declarations out of the files.
func (d *declarations) decode() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range d.names {
		body, ok := d.files[name].Body.(*hclsyntax.Body)
		if !ok || d.broken[name] {
			continue // reported; what is left of it would be misread
		}
		dec := decoder{declarations: d, file: name}
		dec.root(body)
		diags = append(diags, dec.diags...)
		d.files[name] = &hcl.File{Bytes: d.files[name].Bytes} // the tree is ten times as large
	}
	return diags
}

// start is the first position of a file.
func start(file string) hcl.Range {
	return hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos}
}

func problem(at hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at}
}

func warning(at hcl.Range, summary, detail string) *hcl.Diagnostic {
	p := problem(at, summary, detail)
	p.Severity = hcl.DiagWarning
	return p
}

// position names a place in a sentence: "production.hcl:12".
func position(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }
