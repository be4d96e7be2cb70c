package lang

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// mismatch says what of a value is not of type t, as an error with the path to
// it; nil where nothing in particular can be named. cty's own errors name
// attributes in words, and only by the type.
func mismatch(v cty.Value, t cty.Type, path cty.Path) error {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() || t == cty.DynamicPseudoType {
		return nil
	}
	given := v.Type()
	wrong := func() error {
		return path.NewErrorf("%s is required, not %s", typeWord(t), typeWord(given))
	}
	switch {
	case t.IsObjectType():
		if !given.IsObjectType() && !given.IsMapType() {
			return wrong()
		}
		items := v.AsValueMap()
		for _, name := range attributes(t) {
			item, ok := items[name]
			if !ok && !t.AttributeOptional(name) {
				return path.NewErrorf("the attribute %q is missing", name)
			}
			if !ok {
				continue
			}
			if err := mismatch(item, t.AttributeType(name), append(path.Copy(), cty.GetAttrStep{Name: name})); err != nil {
				return err
			}
		}
		return nil
	case t.IsListType(), t.IsSetType(), t.IsMapType():
		keyed := given.IsObjectType() || given.IsMapType()
		if !v.CanIterateElements() || keyed != t.IsMapType() {
			return wrong()
		}
		for it := v.ElementIterator(); it.Next(); {
			key, item := it.Element()
			if err := mismatch(item, t.ElementType(), append(path.Copy(), cty.IndexStep{Key: key})); err != nil {
				return err
			}
		}
		return nil
	case t.IsTupleType():
		if !given.IsTupleType() && !given.IsListType() || v.LengthInt() != t.Length() {
			return path.NewErrorf("a list of %s is required", count(t.Length(), "element"))
		}
		for i, typ := range t.TupleElementTypes() {
			key := cty.NumberIntVal(int64(i))
			if err := mismatch(v.Index(key), typ, append(path.Copy(), cty.IndexStep{Key: key})); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := convert.Convert(v, t); err != nil {
		return wrong()
	}
	return nil
}

// typeWord names a type in a sentence.
func typeWord(t cty.Type) string {
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

// typeError words an error of a conversion, which may begin with a path.
func typeError(err error) string {
	text := err.Error()
	if pe, ok := err.(cty.PathError); ok && len(pe.Path) > 0 {
		text = pathText(pe.Path) + ": " + text
	}
	return text
}

func pathText(path cty.Path) string {
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
	return partRange(e, pe.Path)
}

// partRange is the place of a part of an expression's value, as far as it is
// written out.
func partRange(e hclsyntax.Expression, path cty.Path) hcl.Range {
	for _, step := range path {
		inner := e
		switch s := step.(type) {
		case cty.GetAttrStep:
			inner = objectItem(e, s.Name)
		case cty.IndexStep:
			if s.Key.Type() == cty.String && s.Key.IsKnown() {
				inner = objectItem(e, s.Key.AsString())
			} else if s.Key.Type() == cty.Number && s.Key.IsKnown() {
				i, _ := s.Key.AsBigFloat().Int64()
				inner = tupleItem(e, int(i))
			}
		}
		if inner == nil {
			return e.Range()
		}
		e = inner
	}
	return e.Range()
}
