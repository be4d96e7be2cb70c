package haproxy

import (
	"context"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"encoding/json"

	"muster/host"
	"muster/modules"
)

// declared is a kind that has Config alone.
type declared struct{ Config }

func (d *declared) Check(unknown func(string) bool) []modules.ArgError { return d.check(unknown) }

func (*declared) Plan(context.Context, *host.View) (modules.Plan, error) { return modules.Plan{}, nil }

func declaredKinds() *modules.Registry {
	return modules.NewRegistry(modules.Kind{Name: "declared", New: func() modules.Module { return &declared{} }})
}

// decode returns what a task declares.
func decode(t testing.TB, args map[string]any) (*Config, []modules.ArgError) {
	t.Helper()
	m, errs := declaredKinds().Decode("declared", args)
	return &m.(*declared).Config, errs
}

// argsOf reads a task's arguments, with objects as blocks or not.
func argsOf(t testing.TB, src string) map[string]any {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "task", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return bodyOf(t, f.Body.(*hclsyntax.Body), declaredKinds().Schema("declared").Args)
}

func bodyOf(t testing.TB, body *hclsyntax.Body, fields []modules.Arg) map[string]any {
	args := map[string]any{}
	for name, attr := range body.Attributes {
		v, diags := attr.Expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"unknown": cty.UnknownVal(cty.DynamicPseudoType)}})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		args[name] = valueOf(t, v)
	}
	for _, b := range body.Blocks {
		var typ modules.Type
		for _, f := range fields {
			if f.Name == b.Type {
				typ = f.Type
			}
		}
		switch {
		case typ.Base == modules.Map && len(b.Labels) == 0:
			args[b.Type] = bodyOf(t, b.Body, nil)
		case typ.Base == modules.Map:
			m, _ := args[b.Type].(map[string]any)
			if m == nil {
				m = map[string]any{}
			}
			m[b.Labels[0]] = bodyOf(t, b.Body, typ.Elem.Fields)
			args[b.Type] = m
		case typ.Base == modules.List:
			list, _ := args[b.Type].([]any)
			args[b.Type] = append(list, bodyOf(t, b.Body, typ.Elem.Fields))
		default:
			args[b.Type] = bodyOf(t, b.Body, typ.Fields)
		}
	}
	return args
}

// valueOf is a value as it reaches Decode.
func valueOf(t testing.TB, v cty.Value) any {
	switch {
	case !v.IsKnown():
		return modules.UnknownValue{}
	case v.IsWhollyKnown():
		var out any
		data, err := ctyjson.Marshal(v, v.Type())
		if err == nil {
			err = json.Unmarshal(data, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	case v.Type().IsTupleType():
		list := []any{}
		for _, e := range v.AsValueSlice() {
			list = append(list, valueOf(t, e))
		}
		return list
	}
	m := map[string]any{}
	for k, e := range v.AsValueMap() {
		m[k] = valueOf(t, e)
	}
	return m
}
