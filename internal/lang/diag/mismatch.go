package diag

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// wrongParts is what of a value is of another type, each an error with the path
// to it.
type wrongParts []error

// Error puts them into one sentence.
func (w wrongParts) Error() string {
	texts := make([]string, len(w))
	for i, err := range w {
		texts[i] = TypeError(err)
	}
	return strings.Join(texts, "; ")
}

// maxParts is how many wrong parts of one value are told.
const maxParts = 20

// Mismatch finds what of a value is not of type t; none where nothing in
// particular can be named. cty's own error is about one part alone, names
// attributes in words, and only by the type.
func Mismatch(v cty.Value, t cty.Type, path cty.Path) wrongParts {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() || t == cty.DynamicPseudoType {
		return nil
	}
	given := v.Type()
	wrong := wrongParts{path.NewErrorf("%s is required, not %s", TypeWord(t), TypeWord(given))}
	switch {
	case t.IsObjectType():
		if !given.IsObjectType() && !given.IsMapType() {
			return wrong
		}
		return wrongAttributes(v.AsValueMap(), t, path)
	case t.IsListType(), t.IsSetType(), t.IsMapType():
		keyed := given.IsObjectType() || given.IsMapType()
		if !v.CanIterateElements() || keyed != t.IsMapType() {
			return wrong
		}
		var all wrongParts
		for it := v.ElementIterator(); it.Next() && len(all) < maxParts; {
			key, item := it.Element()
			all = append(all, Mismatch(item, t.ElementType(), append(path.Copy(), cty.IndexStep{Key: key}))...)
		}
		return all
	case t.IsTupleType():
		if !given.IsTupleType() && !given.IsListType() || v.LengthInt() != t.Length() {
			return wrongParts{path.NewErrorf("a list of %s is required", Count(t.Length(), "element"))}
		}
		var all wrongParts
		for i, typ := range t.TupleElementTypes() {
			key := cty.NumberIntVal(int64(i))
			all = append(all, Mismatch(v.Index(key), typ, append(path.Copy(), cty.IndexStep{Key: key}))...)
		}
		return all
	}
	if _, err := convert.Convert(v, t); err != nil {
		return wrong
	}
	return nil
}

// wrongAttributes is mismatch for what is given as an object of type t.
func wrongAttributes(items map[string]cty.Value, t cty.Type, path cty.Path) wrongParts {
	var all wrongParts
	var missing []string
	for _, name := range Attributes(t) {
		item, ok := items[name]
		switch {
		case ok:
			all = append(all, Mismatch(item, t.AttributeType(name), append(path.Copy(), cty.GetAttrStep{Name: name}))...)
		case !t.AttributeOptional(name):
			missing = append(missing, strconv.Quote(name))
		}
	}
	switch len(missing) {
	case 0:
		return all
	case 1:
		return append(all, path.NewErrorf("the attribute %s is missing", missing[0]))
	}
	return append(all, path.NewErrorf("the attributes %s are missing", strings.Join(missing, ", ")))
}

// WrongType reports each part of the value of an expression that is of another
// type than the one asked for. what says whose value it is, up to the colon.
func WrongType(e hclsyntax.Expression, err error, what string, a ...any) hcl.Diagnostics {
	parts, ok := err.(wrongParts)
	if !ok {
		parts = wrongParts{err}
	}
	var diags hcl.Diagnostics
	for _, part := range parts {
		diags = append(diags, Error(valueRange(e, part), "Wrong type", "", "%s: %s.", fmt.Sprintf(what, a...), TypeError(part)))
	}
	return diags
}

// TypeWord names a type in a sentence.
func TypeWord(t cty.Type) string {
	switch {
	case t.IsObjectType():
		return "an object"
	case t.IsMapType():
		return "a map"
	case t.IsTupleType(), t.IsListType():
		return "a list"
	case t.IsSetType():
		return "a set"
	}
	return "a " + t.FriendlyName()
}

// TypeText writes a type as a variable declares it.
func TypeText(t cty.Type) string {
	switch {
	case t == cty.DynamicPseudoType:
		return "any"
	case t.IsListType():
		return "list(" + TypeText(t.ElementType()) + ")"
	case t.IsSetType():
		return "set(" + TypeText(t.ElementType()) + ")"
	case t.IsMapType():
		return "map(" + TypeText(t.ElementType()) + ")"
	case t.IsTupleType():
		var items []string
		for _, item := range t.TupleElementTypes() {
			items = append(items, TypeText(item))
		}
		return "tuple([" + strings.Join(items, ", ") + "])"
	case t.IsObjectType():
		var items []string
		for _, name := range Attributes(t) {
			item := TypeText(t.AttributeType(name))
			if t.AttributeOptional(name) {
				item = "optional(" + item + ")"
			}
			items = append(items, name+" = "+item)
		}
		return "object({ " + strings.Join(items, ", ") + " })"
	}
	return t.FriendlyName()
}

// ValueWord names what a value is, in a sentence.
func ValueWord(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	return TypeWord(v.Type())
}

// TypeError words an error of a conversion, which may begin with a path.
func TypeError(err error) string {
	text := err.Error()
	if pe, ok := err.(cty.PathError); ok && len(pe.Path) > 0 {
		text = PathText(pe.Path) + ": " + text
	}
	return text
}

// PathText writes a path as HCL does.
func PathText(path cty.Path) string {
	var b strings.Builder
	for _, step := range path {
		switch s := step.(type) {
		case cty.GetAttrStep:
			b.WriteString("." + s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsMarked() {
				fmt.Fprintf(&b, "[%q]", s.Key.AsString())
			} else if s.Key.Type() == cty.Number && s.Key.IsKnown() && !s.Key.IsMarked() {
				fmt.Fprintf(&b, "[%s]", s.Key.AsBigFloat().Text('f', 0))
			} else {
				b.WriteString("[…]")
			}
		}
	}
	return b.String()
}

// valueRange is the place of the part of an expression that a conversion
// failed at, as far as it is written out.
func valueRange(e hclsyntax.Expression, err error) hcl.Range {
	pe, ok := err.(cty.PathError)
	if !ok {
		return e.Range()
	}
	return PartRange(e, pe.Path)
}

// PartRange is the place of a part of an expression's value, as far as it is
// written out.
func PartRange(e hclsyntax.Expression, path cty.Path) hcl.Range {
	for _, step := range path {
		inner := e
		switch s := step.(type) {
		case cty.GetAttrStep:
			inner = ObjectItem(e, s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String && s.Key.IsKnown() {
				inner = ObjectItem(e, s.Key.AsString())
			} else if s.Key.Type() == cty.Number && s.Key.IsKnown() {
				i, _ := s.Key.AsBigFloat().Int64()
				inner = TupleItem(e, int(i))
			}
		}
		if inner == nil {
			return e.Range()
		}
		e = inner
	}
	return e.Range()
}
