package plays

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"muster/modules"
)

// OutputType returns the type of what tasks of a kind offer as output;
// cty.NilType if they offer nothing.
func OutputType(k *modules.Kind) cty.Type {
	if k.Output == nil {
		return cty.NilType
	}
	return typeOfGo(reflect.TypeOf(k.Output), 0)
}

// typeOfGo returns the type of a Go value's JSON form.
func typeOfGo(t reflect.Type, depth int) cty.Type {
	if t.Kind() == reflect.Pointer {
		return typeOfGo(t.Elem(), depth)
	}
	if depth > 10 || t == reflect.TypeFor[json.RawMessage]() {
		return cty.DynamicPseudoType
	}
	switch t.Kind() {
	case reflect.String:
		return cty.String
	case reflect.Bool:
		return cty.Bool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return cty.Number
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return cty.String
		}
		return cty.List(typeOfGo(t.Elem(), depth+1))
	case reflect.Map:
		return cty.Map(typeOfGo(t.Elem(), depth+1))
	case reflect.Struct:
		attrs := map[string]cty.Type{}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || f.Anonymous || name == "-" {
				continue
			}
			if name == "" {
				name = f.Name
			}
			attrs[name] = typeOfGo(f.Type, depth+1)
		}
		return cty.Object(attrs)
	}
	return cty.DynamicPseudoType
}
