package eval

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/modules"
)

// Plain turns an unmarked value into what modules.Decode takes.
func Plain(v cty.Value) any {
	if !v.IsKnown() {
		return modules.UnknownValue{}
	}
	if v.IsNull() {
		return nil
	}
	switch t := v.Type(); {
	case t == cty.String:
		return v.AsString()
	case t == cty.Bool:
		return v.True()
	case t == cty.Number:
		return plainNumber(v.AsBigFloat())
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		out := make([]any, 0, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			out = append(out, Plain(e))
		}
		return out
	case t.IsMapType(), t.IsObjectType():
		out := make(map[string]any, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			out[k.AsString()] = Plain(e)
		}
		return out
	}
	return nil
}

func plainNumber(f *big.Float) any {
	if n, accuracy := f.Int64(); accuracy == big.Exact {
		return n
	}
	n, _ := f.Float64()
	return n
}

// TextOf returns the text that a known value is written as; ok is false for
// what has none.
func TextOf(v cty.Value) (string, bool) {
	v, _ = v.UnmarkDeep()
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() || !s.IsKnown() {
		return "", false
	}
	return s.AsString(), true
}

// sensitiveTexts adds the texts of everything sensitive in v to out.
func sensitiveTexts(v cty.Value, out map[string]bool) {
	if v == cty.NilVal || !v.ContainsMarked() {
		return
	}
	var walk func(v cty.Value, inside bool)
	walk = func(v cty.Value, inside bool) {
		if isMarked(v) {
			inside = true
			for _, text := range funcs.Texts(v) {
				out[text] = true
			}
		}
		v, _ = v.Unmark()
		if v.IsNull() || !v.IsKnown() {
			return
		}
		if v.CanIterateElements() {
			for it := v.ElementIterator(); it.Next(); {
				_, e := it.Element()
				walk(e, inside)
			}
			return
		}
		if s, ok := TextOf(v); ok && inside && s != "" && v.Type() != cty.Bool {
			out[s] = true
		}
	}
	walk(v, false)
}

func isMarked(v cty.Value) bool { return v.HasMark(funcs.Sensitive) }

// FromJSON returns the value of JSON of type t. What t doesn't name is left
// out, and what the JSON lacks is null, so that a host of another version is
// understood. cty.DynamicPseudoType takes any JSON.
func FromJSON(data []byte, t cty.Type) (cty.Value, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return cty.NilVal, err
	}
	return typedValue(v, t), nil
}

func typedValue(v any, t cty.Type) cty.Value {
	if v == nil {
		return cty.NullVal(t)
	}
	switch {
	case t == cty.DynamicPseudoType:
		return impliedValue(v)
	case t.IsObjectType():
		m, _ := v.(map[string]any)
		attrs := map[string]cty.Value{}
		for name, at := range t.AttributeTypes() {
			attrs[name] = typedValue(m[name], at)
		}
		return cty.ObjectVal(attrs)
	case t.IsListType(), t.IsSetType():
		items, _ := v.([]any)
		var elems []cty.Value
		for _, e := range items {
			elems = append(elems, typedValue(e, t.ElementType()))
		}
		return sequence(elems, t)
	case t.IsMapType():
		m, _ := v.(map[string]any)
		elems := map[string]cty.Value{}
		for k, e := range m {
			elems[k] = typedValue(e, t.ElementType())
		}
		if len(elems) == 0 {
			return cty.MapValEmpty(t.ElementType())
		}
		if t.ElementType().HasDynamicTypes() {
			return cty.ObjectVal(elems)
		}
		return cty.MapVal(elems)
	}
	out, err := convert.Convert(impliedValue(v), t)
	if err != nil {
		return cty.NullVal(t)
	}
	return out
}

func sequence(elems []cty.Value, t cty.Type) cty.Value {
	switch {
	case len(elems) == 0 && t.IsSetType():
		return cty.SetValEmpty(t.ElementType())
	case len(elems) == 0:
		return cty.ListValEmpty(t.ElementType())
	case t.ElementType().HasDynamicTypes():
		return cty.TupleVal(elems)
	case t.IsSetType():
		return cty.SetVal(elems)
	}
	return cty.ListVal(elems)
}

func impliedValue(v any) cty.Value {
	switch x := v.(type) {
	case string:
		return cty.StringVal(x)
	case bool:
		return cty.BoolVal(x)
	case json.Number:
		// A host's number must not grow into gigabytes of digits.
		_, huge := x.Float64()
		n, err := cty.ParseNumberVal(x.String())
		if err != nil || huge != nil {
			return cty.NullVal(cty.Number)
		}
		return n
	case []any:
		elems := make([]cty.Value, len(x))
		for i, e := range x {
			elems[i] = impliedValue(e)
		}
		return cty.TupleVal(elems)
	case map[string]any:
		attrs := make(map[string]cty.Value, len(x))
		for k, e := range x {
			attrs[k] = impliedValue(e)
		}
		return cty.ObjectVal(attrs)
	}
	return cty.NullVal(cty.DynamicPseudoType)
}

// HasSensitive reports whether anything in a value is sensitive.
func HasSensitive(v cty.Value) bool {
	if !v.ContainsMarked() {
		return false
	}
	_, marks := v.UnmarkDeep()
	_, ok := marks[funcs.Sensitive]
	return ok
}

// HCLText writes a value as HCL does, in one line: "…" is what is sensitive, or
// wrong, which has been reported.
func HCLText(v cty.Value) string {
	if isMarked(v) || !v.IsKnown() {
		return "…"
	}
	if v.IsNull() || !v.CanIterateElements() {
		return string(hclwrite.TokensForValue(v).Bytes())
	}
	var items []string
	keyed := v.Type().IsMapType() || v.Type().IsObjectType()
	for it := v.ElementIterator(); it.Next(); {
		key, item := it.Element()
		text := HCLText(item)
		if keyed && plays.IsIdentifier(key.AsString()) {
			text = key.AsString() + " = " + text
		} else if keyed {
			text = HCLText(key) + " = " + text
		}
		items = append(items, text)
	}
	switch {
	case keyed && len(items) > 0:
		return fmt.Sprintf("{ %s }", strings.Join(items, ", "))
	case keyed:
		return "{}"
	}
	return fmt.Sprintf("[%s]", strings.Join(items, ", "))
}
