package modules

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"muster/host"
)

// Base is the basic form of an argument's value.
type Base string

// The forms of values. File, Template and Tree are written in a playbook as
// the path of something in the project, Text as a string; all four reach the
// module as a host.Content. A tree's content is its encoded Manifest.
const (
	String   Base = "string"
	Number   Base = "number"
	Bool     Base = "bool"
	List     Base = "list"
	Map      Base = "map"
	Object   Base = "object"
	Any      Base = "any"
	Text     Base = "text"
	File     Base = "file"
	Template Base = "template"
	Tree     Base = "tree"
)

// Type is the type of an argument.
type Type struct {
	Base   Base
	Elem   *Type // of List and Map
	Fields []Arg // of Object
	// OneOrMore lists take a single element too.
	OneOrMore bool
	// Quoted strings are parsed further (a mode, a duration): a number or a
	// bool in their place is an error, not turned into a string.
	Quoted bool
	// Whole numbers have no fraction.
	Whole bool
	// Read: a Checker is given the file's bytes, up to ReadLimit, before any host is asked.
	Read bool

	parse func(string) error // of Quoted strings
}

func (t Type) String() string {
	switch {
	case t.OneOrMore:
		return t.Elem.String() + " or list of " + t.Elem.plural()
	case t.Base == List:
		return "list of " + t.Elem.plural()
	case t.Base == Map:
		return "map of " + t.Elem.plural()
	case t.Base == Text:
		return "string"
	case t.Base == File, t.Base == Template:
		return "path of a project's " + string(t.Base)
	case t.Base == Tree:
		return "path of a project's folder"
	}
	return string(t.Base)
}

// plural names several of a type: "strings", "maps of strings".
func (t Type) plural() string {
	switch {
	case t.OneOrMore:
		return t.Elem.plural() + " or lists of " + t.Elem.plural()
	case t.Base == List:
		return "lists of " + t.Elem.plural()
	case t.Base == Map:
		return "maps of " + t.Elem.plural()
	case t.Base == Any:
		return "any values"
	case t.Base == File, t.Base == Template, t.Base == Tree:
		return "paths"
	}
	return t.String() + "s"
}

// Has reports whether an object has an attribute of that name.
func (t *Type) Has(name string) bool {
	return slices.ContainsFunc(t.Fields, func(a Arg) bool { return a.Name == name })
}

// Arg is one argument of a kind, or one attribute of an object.
type Arg struct {
	Name     string
	Type     Type
	Required bool
	OneOf    []string // the only values taken; none: any
	Default  string   // the value of an absent argument: Decode fills it in
	Means    string   // what an absent argument means where that is no single value
	// Key marks the argument that the task's label stands for; Path that the
	// value is an absolute path, so that the label counts only from "/".
	Key, Path bool
	// Sensitive arguments are never shown, whatever their value came from.
	Sensitive bool
	// Empty marks a string that may be empty. Any other can't, but for those in
	// which the kind tells "" from what isn't given: pointers.
	Empty bool
	// United marks a list of credentials: while a secret in them is rotated, those that are
	// made with each version that is valid are set together.
	United bool
	// Single marks a credential of which what it lets in to keeps one value at a time: another
	// one ends it at once. In a map that holds for each name.
	Single bool

	// GoType and GoName lead to the argument's documentation: the struct that
	// declares it, as PACKAGE.TYPE, and the field's name there.
	GoType, GoName string

	field    []int
	versions []int // the field for all of its versions; nil where there is none
}

// Versions reports whether the kind asks for all versions of the argument that are valid:
// it takes a Versions, too.
func (a *Arg) Versions() bool { return a.versions != nil }

// Schema is the arguments of a kind.
type Schema struct {
	Kind   *Kind
	Args   []Arg
	GoType string // of the module, as PACKAGE.TYPE

	byName map[string]*Arg
}

// Arg returns the argument of that name, nil if there is none.
func (s *Schema) Arg(name string) *Arg { return s.byName[name] }

// Key returns the argument that a task's label stands for, nil if none.
func (s *Schema) Key() *Arg {
	for i := range s.Args {
		if s.Args[i].Key {
			return &s.Args[i]
		}
	}
	return nil
}

// TaskArgs are the arguments that every task takes, whatever its kind. No
// kind has an argument of these names.
func TaskArgs() []string {
	return []string{"when", "for_each", "tags", "become", "on", "once", "timeout", "on_error", "sensitive", "environment", "retry"}
}

// schemaOf reads the tags of a kind's struct:
//
//	arg:"NAME[,key][,path][,required][,sensitive][,empty][,united][,single][,file|template|tree][,read]"  oneof:"a b"  default:"a"  means:"a, or b"
//
// The last four words of arg are for fields of type *host.Content, which are Text
// without; "read" goes with "file". A default is filled in by Decode; means is only told to the user.
//
// A field of type []string with the tag versions:"NAME" is none of the arguments: it gets all
// versions that are valid of what the argument NAME, a string, says; see Versions.
func schemaOf(k *Kind) *Schema {
	t := reflect.TypeOf(k.New())
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("modules: kind %s: New must return a pointer to a struct", k.Name))
	}
	s := &Schema{Kind: k, Args: argsOf(t.Elem(), k.Name), GoType: t.Elem().String(), byName: map[string]*Arg{}}
	for i := range s.Args {
		a := &s.Args[i]
		for _, name := range TaskArgs() {
			if a.Name == name {
				panic(fmt.Sprintf("modules: kind %s: argument %s belongs to every task", k.Name, name))
			}
		}
		s.byName[a.Name] = a
	}
	return s
}

func argsOf(t reflect.Type, where string) []Arg {
	var args []Arg
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("arg")
		if !ok {
			continue
		}
		words := strings.Split(tag, ",")
		a := Arg{Name: words[0], Default: f.Tag.Get("default"), Means: f.Tag.Get("means"), GoType: t.String(), GoName: f.Name, field: f.Index}
		a.Type = typeOf(f.Type, where+"."+f.Name)
		for _, w := range words[1:] {
			switch w {
			case "key":
				a.Key = true
			case "path":
				a.Path = true
			case "required":
				a.Required = true
			case "sensitive":
				a.Sensitive = true
			case "empty":
				a.Empty = true
			case "united":
				a.United = true
			case "single":
				a.Single = true
			case "file", "template", "tree":
				a.Type.Base = Base(w)
			case "read":
				a.Type.Read = true
			default:
				panic(fmt.Sprintf("modules: %s.%s: unknown tag word %q", where, f.Name, w))
			}
		}
		if a.United && f.Type != reflect.TypeFor[[]string]() {
			panic(fmt.Sprintf("modules: %s.%s: united is for lists of strings", where, f.Name))
		}
		if oneof := f.Tag.Get("oneof"); oneof != "" {
			a.OneOf = strings.Fields(oneof)
		}
		if a.Default != "" {
			if _, errs := defaultOf(f.Type, &a); len(errs) > 0 {
				panic(fmt.Sprintf("modules: %s.%s: its default: %v", where, f.Name, errs[0]))
			}
		}
		args = append(args, a)
	}
	for _, f := range reflect.VisibleFields(t) {
		name, ok := f.Tag.Lookup("versions")
		if !ok {
			continue
		}
		at := slices.IndexFunc(args, func(a Arg) bool { return a.Name == name })
		if at < 0 || args[at].Type.Base != String || args[at].Type.parse != nil || f.Type != reflect.TypeFor[[]string]() {
			panic(fmt.Sprintf("modules: %s.%s: versions of %q: a []string beside an argument that is a string", where, f.Name, name))
		}
		args[at].versions = f.Index
	}
	if n := tagged(t); n != len(args) {
		panic(fmt.Sprintf("modules: %s: a field of one of the structs that %s embeds is hidden by another name: %d of %d arguments are left", where, t, len(args), n))
	}
	return args
}

// tagged counts the arguments of a struct and of those that it embeds.
func tagged(t reflect.Type) int {
	n := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if _, ok := f.Tag.Lookup("arg"); ok {
			n++
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			n += tagged(f.Type)
		}
	}
	return n
}

var (
	contentType = reflect.TypeFor[host.Content]()
	oneOrMore   = reflect.TypeFor[OneOrMore]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// ReadLimit is the size, in bytes, up to which a file is read to be checked.
const ReadLimit = 1 << 20

func typeOf(t reflect.Type, where string) Type {
	switch t {
	case contentType:
		return Type{Base: Text}
	case oneOrMore:
		return Type{Base: List, Elem: &Type{Base: String}, OneOrMore: true}
	}
	if t.Kind() == reflect.Pointer {
		return typeOf(t.Elem(), where)
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return Type{Base: String, Quoted: true, parse: func(s string) error {
			return reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
		}}
	}
	switch t.Kind() {
	case reflect.String:
		return Type{Base: String}
	case reflect.Bool:
		return Type{Base: Bool}
	case reflect.Int, reflect.Int64:
		return Type{Base: Number, Whole: true}
	case reflect.Float64:
		return Type{Base: Number}
	case reflect.Slice:
		e := typeOf(t.Elem(), where)
		return Type{Base: List, Elem: &e}
	case reflect.Map:
		e := typeOf(t.Elem(), where)
		return Type{Base: Map, Elem: &e}
	case reflect.Struct:
		return Type{Base: Object, Fields: argsOf(t, where)}
	case reflect.Interface:
		return Type{Base: Any}
	}
	panic(fmt.Sprintf("modules: %s: type %s can't be an argument", where, t))
}

// OutputOf returns the parts of what tasks of a kind offer as output, nil if
// they offer nothing.
func OutputOf(k *Kind) []Arg {
	if k.Output == nil {
		return nil
	}
	t := reflect.TypeOf(k.Output)
	var list []Arg
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			list = append(list, Arg{Name: name, Type: typeOf(f.Type, k.Name+" output"), GoType: t.String(), GoName: f.Name})
		}
	}
	return list
}
