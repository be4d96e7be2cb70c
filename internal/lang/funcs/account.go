package funcs

import (
	"errors"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// half takes a value ACCOUNT:PASSWORD apart, which a secret has where two accounts have
// it in turn.
func half(take func(account, password string) cty.Value) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.String, AllowMarked: true, AllowUnknown: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, marks := withoutSensitive(args[0])
			if !v.IsKnown() {
				return take("", "").WithMarks(marks), nil
			}
			name, password, ok := strings.Cut(v.AsString(), ":")
			if !ok || name == "" || password == "" {
				return cty.NilVal, errors.New("the value isn't of the form ACCOUNT:PASSWORD")
			}
			return take(name, password).WithMarks(marks), nil
		},
	})
}

var account = half(func(name, _ string) cty.Value {
	if name == "" {
		return cty.UnknownVal(cty.String)
	}
	return cty.StringVal(name)
})

var password = half(func(_, password string) cty.Value {
	if password == "" {
		return cty.UnknownVal(cty.String).Mark(Sensitive)
	}
	return Hide(cty.StringVal(password))
})
