package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
	"muster/internal/lang"
	"muster/internal/lang/plays"
	"muster/modules"
)

// holdsRotation reports whether a file has a rotation of one of these names. One that can't
// be read may have.
func holdsRotation(file string, names []string) bool {
	src, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	f, diags := hclguard.Parse(file, src)
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok || diags.HasErrors() {
		return true
	}
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool {
		return b.Type == "rotation" && len(b.Labels) > 0 && slices.Contains(names, b.Labels[0])
	})
}

// undeclared reports what the command line gives to variables that none of these rotations
// declares, nor a playbook that they apply.
func (a *app) undeclared(p *rotations, list []*rotationFile) error {
	strict := *p.loaded
	strict.given = toAll
	vars, diags, err := a.varSources(&strict)
	if err != nil || diags.HasErrors() { // which has been said
		return err
	}
	vars = slices.DeleteFunc(vars, func(v plays.VarSource) bool { return v.Optional })
	var declared []string
	for _, f := range list {
		declared = append(declared, f.declares...)
	}
	missing := func() []plays.VarSource {
		return slices.DeleteFunc(slices.Clone(vars), func(v plays.VarSource) bool { return slices.Contains(declared, v.Name) })
	}
	if len(missing()) == 0 {
		return nil
	}
	for _, f := range list {
		for _, file := range f.Applies {
			optional, _, err := a.varSources(p.loaded)
			if err != nil {
				return err
			}
			pb, diags := lang.Load(file, a.readingOf(p.loaded, optional))
			if diags.HasErrors() {
				return nil // what it declares isn't known; its part says what is wrong with it
			}
			for _, v := range pb.Declared() {
				declared = append(declared, v.Name)
			}
		}
	}
	var unknown hcl.Diagnostics
	for _, v := range missing() {
		hint := ""
		if near := modules.Nearest(v.Name, declared); near != "" {
			hint = fmt.Sprintf(" Did you mean %q?", near)
		}
		unknown = append(unknown, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unknown variable", Subject: v.Range,
			Detail: fmt.Sprintf("%s sets %q, but no rotation that this is about declares such a variable, nor does a playbook that it applies.%s", v.Origin, v.Name, hint)})
	}
	return a.fail(a.withoutLines(p.loaded, unknown), p.loaded.sources)
}
