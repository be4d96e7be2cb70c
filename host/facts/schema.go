package facts

import (
	"fmt"
	"reflect"
)

// Kind is the form of a fact's value.
type Kind string

// The forms of facts.
const (
	String Kind = "string"
	Number Kind = "number"
	Bool   Kind = "bool"
	List   Kind = "list"
	Map    Kind = "map"
	Object Kind = "object"
)

// Field is one fact, or a part of one.
type Field struct {
	Name   string // as its JSON has it; "" for the element of a list or map
	Kind   Kind
	Elem   *Field  // of List and Map
	Fields []Field // of Object, in the order of the struct
	// Type and GoName lead to the field's documentation: the struct that
	// declares it, and its name there. "" for elements.
	Type, GoName string
}

// Schema returns the facts that Gather gathers, in the order of Facts.
func Schema() []Field { return fieldsOf(reflect.TypeFor[Facts]()) }

func fieldsOf(t reflect.Type) []Field {
	var list []Field
	for i := range t.NumField() {
		f := t.Field(i)
		field := fieldOf(f.Type)
		field.Name, field.Type, field.GoName = f.Tag.Get("json"), t.Name(), f.Name
		list = append(list, field)
	}
	return list
}

func fieldOf(t reflect.Type) Field {
	switch t.Kind() {
	case reflect.String:
		return Field{Kind: String}
	case reflect.Int, reflect.Int64:
		return Field{Kind: Number}
	case reflect.Bool:
		return Field{Kind: Bool}
	case reflect.Slice:
		e := fieldOf(t.Elem())
		return Field{Kind: List, Elem: &e}
	case reflect.Map:
		e := fieldOf(t.Elem())
		return Field{Kind: Map, Elem: &e}
	case reflect.Struct:
		return Field{Kind: Object, Fields: fieldsOf(t)}
	}
	panic(fmt.Sprintf("facts: a fact can't have the type %s", t))
}
