package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/zclconf/go-cty/cty"

	"muster/host/facts"
	"muster/internal/lang/check"
	"muster/inventory"
	"muster/inventory/ec2source"
	"muster/roles"
)

// factsType is the type of host.facts.
func factsType() cty.Type { return objectType(facts.Schema()) }

func objectType(fields []facts.Field) cty.Type {
	types := map[string]cty.Type{}
	for i := range fields {
		types[fields[i].Name] = fieldType(&fields[i])
	}
	return cty.Object(types)
}

func fieldType(f *facts.Field) cty.Type {
	switch f.Kind {
	case facts.Number:
		return cty.Number
	case facts.Bool:
		return cty.Bool
	case facts.List:
		return cty.List(fieldType(f.Elem))
	case facts.Map:
		return cty.Map(fieldType(f.Elem))
	case facts.Object:
		return objectType(f.Fields)
	}
	return cty.String
}

// embeddedRoles are the roles that an installed muster has.
func embeddedRoles() fs.FS { return roles.FS }

// hostSources are the sources of hosts beside those of package inventory.
func hostSources() map[string]inventory.Source {
	return map[string]inventory.Source{"ec2": ec2source.Source{}}
}

// projectPlaybooks lists the playbooks of a project: the HCL files of its
// folder playbooks.
func projectPlaybooks(dir string) ([]string, error) {
	if dir == "" {
		return nil, fmt.Errorf("name a playbook: there is no project here (no muster.hcl in this folder or above)")
	}
	files, err := filepath.Glob(filepath.Join(dir, playbookFolder, "*.hcl"))
	rotations, more := filepath.Glob(filepath.Join(dir, rotationFolder, "*.hcl"))
	files = append(files, rotations...)
	if err != nil || more != nil || len(files) == 0 {
		return nil, fmt.Errorf("name a playbook: the project has none in its folder playbooks")
	}
	sort.Strings(files)
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if rel, err := filepath.Rel(wd, f); err == nil {
			files[i] = rel
		}
	}
	return files, nil
}

// unread looks for the inventory's variables that no playbook reads.
func unread(inv *inventory.Inventory) *check.Unread {
	var set []check.SetVar
	for _, v := range inv.SetVars() {
		set = append(set, check.SetVar(v))
	}
	return check.NewUnread(set)
}

func hostNames(hosts []*inventory.Host) []string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return names
}
