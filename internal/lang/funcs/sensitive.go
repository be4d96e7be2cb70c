package funcs

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"muster/secret"
)

type mark string

// Sensitive marks a value that is never shown. It clings to whatever is
// computed from it.
const Sensitive = mark("sensitive")

// Of is a mark, beside Sensitive, with a text that a value was made of: what is computed
// from a secret may be shown by nobody, and the secret itself may be shown by a program
// that got it inside of something else.
type Of struct{ Text secret.String }

// From is a mark of what isn't sensitive, with a sensitive text that it was made of: the public
// half of a key, say. It says what becomes of it where that is changed, and hides nothing.
type From struct{ Text secret.String }

// mostTexts is how many texts of one value are kept as marks.
const mostTexts = 100

// Hide returns a value as a sensitive one, with marks for the texts in it.
func Hide(v cty.Value) cty.Value {
	marks := cty.NewValueMarks(Sensitive)
	plain, _ := v.UnmarkDeep()
	_ = cty.Walk(plain, func(_ cty.Path, x cty.Value) (bool, error) {
		if len(marks) <= mostTexts && x.IsKnown() && !x.IsNull() && x.Type() == cty.String && x.AsString() != "" {
			marks[Of{secret.New(x.AsString())}] = struct{}{}
		}
		return len(marks) <= mostTexts, nil
	})
	return v.WithMarks(marks)
}

// Texts returns what a sensitive value was made of.
func Texts(v cty.Value) []string {
	var list []string
	for m := range v.Marks() {
		if of, ok := m.(Of); ok {
			list = append(list, of.Text.Reveal())
		}
	}
	return list
}

var anyValue = function.Parameter{
	Name: "value", Type: cty.DynamicPseudoType,
	AllowUnknown: true, AllowNull: true, AllowMarked: true, AllowDynamicType: true,
}

func sameType(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil }

var sensitive = function.New(&function.Spec{
	Params: []function.Parameter{anyValue},
	Type:   sameType,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return Hide(args[0]), nil
	},
})

var nonSensitive = function.New(&function.Spec{
	Params: []function.Parameter{anyValue},
	Type:   sameType,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, marks := withoutSensitive(args[0])
		return v.WithMarks(marks), nil
	},
})

// Sources returns the texts that a value, and what it holds, were made of.
func Sources(v cty.Value) []string {
	_, marks := v.UnmarkDeep()
	var list []string
	for m := range marks {
		switch x := m.(type) {
		case From:
			list = append(list, x.Text.Reveal())
		case Of:
			list = append(list, x.Text.Reveal())
		}
	}
	return list
}

// withoutSensitive returns a value without its marks, and those that it has where it isn't
// sensitive: what it was made of stays.
func withoutSensitive(v cty.Value) (cty.Value, cty.ValueMarks) {
	plain, marks := v.Unmark()
	for m := range marks {
		if of, ok := m.(Of); ok {
			marks[From(of)] = struct{}{}
			delete(marks, m)
		}
		if m == Sensitive {
			delete(marks, m)
		}
	}
	return plain, marks
}

var isSensitive = function.New(&function.Spec{
	Params: []function.Parameter{anyValue},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch {
		case args[0].HasMark(Sensitive):
			return cty.True, nil
		case !args[0].IsKnown():
			return cty.UnknownVal(cty.Bool), nil
		}
		return cty.False, nil
	},
})
