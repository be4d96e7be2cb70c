package plays

import (
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
)

// Variable is a declared variable, of a playbook or a role's input.
type Variable struct {
	Name        string
	Description string
	Type        cty.Type  // cty.DynamicPseudoType: any
	Default     cty.Value // cty.NilVal: none
	Sensitive   bool
	Nullable    bool
	Deprecated  string    // what to use instead, "" if it isn't
	Range       hcl.Range // of its header

	Defaults   typeDefaults
	Validation []*Validation
}

type typeDefaults = *typeexpr.Defaults

// Validation is a condition that a variable's value has to meet, and what is said where it doesn't.
type Validation struct {
	Condition *Expr
	Message   *Expr
}

// VarState is what a playbook's variable is before hosts and plays have set it.
type VarState struct {
	Value  cty.Value // NilVal: none
	Origin string    // "" for the default
	Final  bool      // set by Options: neither hosts nor plays matter
}

// Declared names the variable and its place in a sentence.
func (v *Variable) Declared() string {
	return fmt.Sprintf("variable %q, declared at %s,", v.Name, diag.Place(v.Range))
}

// Convert gives a value the variable's type. The value may be unknown, and
// sensitive; the error is about the type, or a null where none may be.
func (v *Variable) Convert(value cty.Value) (cty.Value, error) {
	value, marks := value.Unmark()
	if v.Sensitive {
		hidden := funcs.Hide(value).Marks()
		for m := range marks {
			hidden[m] = struct{}{}
		}
		marks = hidden
	}
	if value.IsNull() && !v.Nullable {
		if v.Default == cty.NilVal {
			return cty.NilVal, fmt.Errorf("null isn't allowed")
		}
		return v.Default, nil
	}
	if v.Defaults != nil && !value.IsNull() {
		value = v.Defaults.Apply(value)
	}
	out, err := convert.Convert(value, v.Type)
	if err != nil {
		if parts := diag.Mismatch(value, v.Type, nil); len(parts) > 0 {
			err = parts
		}
		if _, sensitive := marks[funcs.Sensitive]; sensitive {
			err = errors.New("it is of another type, and because it is sensitive no more is said")
		}
		return cty.NilVal, err
	}
	return out.WithMarks(marks), nil
}

// Unknown is the value of a variable that has none.
func (v *Variable) Unknown() cty.Value {
	u := cty.UnknownVal(v.Type)
	if v.Sensitive {
		u = u.Mark(funcs.Sensitive)
	}
	return u
}

// Missing is the problem of a variable that nobody gave a value.
func (v *Variable) Missing(host string) *hcl.Diagnostic {
	on := ""
	if host != "" {
		on = " on " + host
	}
	return diag.Error(v.Range, "Missing value", fmt.Sprintf("--var %s=VALUE", v.Name), "Variable %q has no value%s and no default. Give it one with --var, --var-file or MUSTER_VAR_%s, or in the inventory.", v.Name, on, v.Name)
}

// PlayVar is a variable that a play sets.
type PlayVar struct {
	Name     string
	At       hcl.Range
	Expr     *Expr
	Variable *Variable
}
