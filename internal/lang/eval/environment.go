package eval

import (
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/lang/diag"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
)

// The environment of programs: a play's, and over it a task's. It is given to every program that
// a task runs on its host, whatever its kind: to look, to change, and to take back. What a kind
// sets itself (env of a command) stands over it. Nothing sensitive may be in it; see publicArgs.

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment evaluates the play's and the task's.
func (e *evaluation) environment() {
	if e.t.KindOf == nil || e.t.KindOf.NoPrograms {
		return
	}
	set := map[string]string{}
	if a := e.t.Play.Environment; a != nil {
		v, waits, diags := e.s.playScope().value(a.Expr, layer{})
		e.waits, e.diags = append(e.waits, waits...), append(e.diags, diags...)
		if len(waits) == 0 && !diags.HasErrors() {
			e.variables(a, v, set)
		}
	}
	if a := e.t.Environment; a != nil {
		if v, ok := e.value(a.Expr); ok {
			e.variables(a, v, set)
		}
	}
	for name, value := range set {
		e.out.Environment = append(e.out.Environment, name+"="+value)
	}
	sort.Strings(e.out.Environment)
}

// variables adds what a value of an environment sets.
func (e *evaluation) variables(a *plays.Argument, v cty.Value, set map[string]string) {
	if a.Expr.Bad {
		return
	}
	if diags := e.exposed(a, v); diags != nil {
		e.diags = append(e.diags, diags...)
		return
	}
	e.out.from = append(e.out.from, funcs.Sources(v)...)
	plain, _ := v.UnmarkDeep()
	t := plain.Type()
	switch {
	case plain.IsNull():
		return
	case t != cty.DynamicPseudoType && !t.IsObjectType() && !t.IsMapType():
		e.fail(a.Raw.Range(), "Wrong type", `environment = { NAME = "value" }`, "An environment is a map of strings, not %s.", diag.TypeWord(t))
		return
	case !plain.IsKnown():
		e.out.Unknown = append(e.out.Unknown, a.Name)
		return
	}
	values := plain.AsValueMap()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := a.Raw.Range()
		if item := diag.ObjectItem(a.Raw, name); item != nil {
			at = item.Range()
		}
		value, err := convert.Convert(values[name], cty.String)
		switch {
		case !variableName.MatchString(name):
			e.fail(at, "Wrong value", "", "%q is no name of an environment variable: it has letters, digits and \"_\", and begins with no digit.", name)
		case err != nil:
			e.fail(at, "Wrong type", "", "%s is a string, not %s.", name, diag.TypeWord(values[name].Type()))
		case !value.IsKnown():
			e.out.Unknown = append(e.out.Unknown, a.Name)
		case value.IsNull():
		case strings.ContainsRune(value.AsString(), 0):
			e.fail(at, "Wrong value", "", "The value of %s holds a NUL, which no environment variable can.", name)
		default:
			set[name] = value.AsString()
		}
	}
}
