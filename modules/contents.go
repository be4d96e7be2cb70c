package modules

import (
	"reflect"

	"muster/host"
)

// ContentArg is content among a task's arguments.
type ContentArg struct {
	host.Content
	Tree bool // it is an encoded Manifest, whose files are the task's, too
}

// Contents returns all content that a module of the kind was given, wherever it
// stands in its arguments.
func (s *Schema) Contents(m Module) []ContentArg {
	var list []ContentArg
	contentsOf(reflect.ValueOf(m).Elem(), s.Args, &list)
	return list
}

func contentsOf(v reflect.Value, args []Arg, list *[]ContentArg) {
	for i := range args {
		contentsIn(v.FieldByIndex(args[i].field), &args[i].Type, list)
	}
}

func contentsIn(v reflect.Value, t *Type, list *[]ContentArg) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch t.Base {
	case Text, File, Template, Tree:
		if c, ok := v.Interface().(host.Content); ok && c.Sum != "" {
			*list = append(*list, ContentArg{Content: c, Tree: t.Base == Tree})
		}
	case List:
		for i := range v.Len() {
			contentsIn(v.Index(i), t.Elem, list)
		}
	case Map:
		for _, key := range v.MapKeys() {
			contentsIn(v.MapIndex(key), t.Elem, list)
		}
	case Object:
		contentsOf(v, t.Fields, list)
	}
}
