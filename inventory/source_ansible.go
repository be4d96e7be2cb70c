package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// ansibleSource reads a static Ansible inventory, INI or YAML, with the
// group_vars and host_vars beside it. See
// https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html.
type ansibleSource struct{}

func (ansibleSource) Arguments() []Argument {
	return []Argument{{Name: "path", Type: cty.String, Required: true}}
}

func (ansibleSource) Remote() bool { return false }

func (ansibleSource) Open(b Block) (Lister, error) {
	path, err := b.Path("path")
	if err != nil {
		return nil, err
	}
	return ansibleFile(path), nil
}

// ansibleFile is the path of an Ansible inventory.
type ansibleFile string

// maxInventory is the size of the largest Ansible file that is read, in bytes.
const maxInventory = 32 << 20

// List reads the inventory: as YAML where its name says so, else as INI.
func (f ansibleFile) List(context.Context) (*Listing, error) {
	path := string(f)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name a file in it, with a source for each", path)
	}
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	a := newAnsible()
	switch ext := filepath.Ext(path); {
	case ext == ".yml" || ext == ".yaml" || ext == ".json":
		err = a.readYAML(path, src)
	case bytes.HasPrefix(src, []byte("#!")) && info.Mode()&0o111 != 0:
		return nil, fmt.Errorf("%s is a program: use source \"program\" with command = [%q, \"--list\"]", path, path)
	default:
		err = a.readINI(path, src)
	}
	if err != nil {
		return nil, err
	}
	if err := a.readVars(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return a.listing(), nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() > maxInventory {
		return nil, fmt.Errorf("%s has %d bytes, and at most %d are read", path, info.Size(), maxInventory)
	}
	return os.ReadFile(path)
}

// readVars reads group_vars and host_vars in dir: for each group or host the
// file of its name, with or without .yml, .yaml or .json, and the files in the
// folder of its name. They stand before what the inventory itself says.
func (a *ansible) readVars(dir string) error {
	var problems []error
	for _, g := range a.groups {
		vars, err := a.varsOf(filepath.Join(dir, "group_vars"), g.name)
		problems = append(problems, err)
		g.set(vars)
	}
	for _, h := range a.hosts {
		vars, err := a.varsOf(filepath.Join(dir, "host_vars"), h.name)
		problems = append(problems, err)
		h.set(vars)
	}
	return errors.Join(problems...)
}

// varsOf reads the variables of one group or host.
func (a *ansible) varsOf(dir, name string) ([]Value, error) {
	if badName(name) != "" {
		return nil, nil // reported later; it must not become a path
	}
	var vars []Value
	var problems []error
	for _, path := range varsFiles(filepath.Join(dir, name)) {
		src, err := readFile(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if bytes.HasPrefix(src, []byte("$ANSIBLE_VAULT;")) {
			a.warn(start(path), "this file is encrypted with ansible-vault, and its variables are left out; move what is secret with muster secret set")
			continue
		}
		list, err := a.readVarsFile(path, src)
		problems = append(problems, err)
		vars = override(vars, list)
	}
	return vars, errors.Join(problems...)
}

// varsFiles lists the files that hold variables at base, a path without its
// ending.
func varsFiles(base string) []string {
	var files []string
	for _, ext := range []string{"", ".yml", ".yaml", ".json"} {
		info, err := os.Stat(base + ext)
		if err != nil {
			continue
		}
		if !info.IsDir() {
			files = append(files, base+ext)
			continue
		}
		_ = filepath.WalkDir(base+ext, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil || e.Name()[0] == '.' || strings.HasSuffix(e.Name(), "~"):
				if e != nil && e.IsDir() {
					return fs.SkipDir
				}
			case !e.IsDir() && slices.Contains([]string{"", ".yml", ".yaml", ".json"}, filepath.Ext(path)):
				files = append(files, path)
			}
			return nil
		})
	}
	return files
}

// lineRange is the range of a line of text, without its newline.
func lineRange(file string, line int, text string) hcl.Range {
	return hcl.Range{
		Filename: file,
		Start:    hcl.Pos{Line: line, Column: 1},
		End:      hcl.Pos{Line: line, Column: len([]rune(text)) + 1},
	}
}
