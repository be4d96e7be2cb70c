package lang

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// RoleDoc is what a role says of itself.
type RoleDoc struct {
	Name, Description string
	Dir               string // as Options.Root gives it; "" for a role that comes with muster
	Inputs            []RoleInput
	Outputs           []RoleOutput
}

// RoleInput is what an input of a role says of itself.
type RoleInput struct {
	Name, Description string
	Type              string // as HCL writes it
	Required          bool
	Default           string // as HCL writes it, "…" where it is sensitive; "" where it is required
	Sensitive         bool
	Deprecated        string // what to use instead
}

// RoleOutput is what an output of a role says of itself.
type RoleOutput struct {
	Name, Description string
	Sensitive         bool
}

// RoleNames lists the roles that playbooks can use, sorted.
func RoleNames(o plays.Options) []string { return newLoader("", o).roleNames() }

// ReadRole reads a role, of those that RoleNames lists, for its documentation.
// It is nil where it can't be read at all. Sources are the files that the
// diagnostics are about.
func ReadRole(name string, o plays.Options) (d *RoleDoc, sources map[string][]byte, diags hcl.Diagnostics) {
	l := newLoader("", o)
	if r := l.roleFile(name, hcl.Range{}); r != nil && !r.failed {
		d = l.roleDoc(name, r)
	}
	return d, l.files.Sources(), diag.Dedupe(l.diags, l.files.InOrder())
}

func (l *loader) roleDoc(name string, r *roleFile) *RoleDoc {
	d := &RoleDoc{Name: name, Description: l.constString(r.body.Attributes["description"])}
	if r.dir.Embedded == nil {
		d.Dir = r.dir.Dir
	}
	for _, n := range r.unit.Order {
		v := r.unit.Variables[n]
		in := RoleInput{Name: n, Description: v.Description, Type: diag.TypeText(v.Type), Required: v.Default == cty.NilVal, Sensitive: v.Sensitive, Deprecated: v.Deprecated}
		if !in.Required {
			in.Default = eval.HCLText(v.Default)
		}
		d.Inputs = append(d.Inputs, in)
	}
	for _, n := range slices.Sorted(maps.Keys(r.unit.Outputs)) {
		out := r.unit.Outputs[n]
		d.Outputs = append(d.Outputs, RoleOutput{n, out.Description, out.Sensitive})
	}
	return d
}
