// Package doc says what kinds and their arguments are for, from the comments in their source.
package doc

import (
	"cmp"
	"embed"
	"encoding/json"
	"strings"

	"muster/internal/doc/source"
	"muster/modules"
)

// comments.json is made by the generator beside this file; a test keeps it
// current.
//
//go:generate go run ./gen ../../modules comments.json
//go:embed comments.json
var comments []byte

// An example of each kind, tasks as they stand in a play. A test reads each
// with the kinds as they are.
//
//go:embed examples/*.hcl
var examples embed.FS

// Kind is a kind with its documentation. Texts are paragraphs, each a line,
// with a line between them; indented lines are to be shown as they are.
type Kind struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Key  string `json:"key,omitempty"` // the argument that a task's label stands for
	// KeyPath says that the label stands for it only where it begins with "/".
	KeyPath bool   `json:"key_path,omitempty"`
	Args    []Arg  `json:"arguments"`
	Output  []Arg  `json:"output,omitempty"`
	Example string `json:"example,omitempty"` // HCL
}

// Arg is an argument, an attribute of one, or a part of the output; or an input
// or output of a role.
type Arg struct {
	Name     string   `json:"name"`
	Type     string   `json:"type,omitempty"` // a role's outputs have none
	Text     string   `json:"text"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
	Args     []Arg    `json:"attributes,omitempty"`
	// Like is where an argument with the same attributes stands before this one:
	// "frontend.bind". Texts show them once.
	Like string `json:"-"`
	// Of a role's inputs and outputs.
	Sensitive  bool   `json:"sensitive,omitempty"`
	Deprecated string `json:"deprecated,omitempty"` // what to use instead
}

func all() map[string]source.Comments {
	var m map[string]source.Comments
	if err := json.Unmarshal(comments, &m); err != nil {
		panic("doc: comments.json: " + err.Error())
	}
	return m
}

// Of returns the documentation of a kind, which must be in the registry.
func Of(r *modules.Registry, name string) Kind {
	return of(r, name, all())
}

// All returns the documentation of every kind, in the registry's order.
func All(r *modules.Registry) []Kind {
	c := all()
	var list []Kind
	for _, k := range r.Kinds() {
		list = append(list, of(r, k.Name, c))
	}
	return list
}

func of(r *modules.Registry, name string, c map[string]source.Comments) Kind {
	s := r.Schema(name)
	k := Kind{Name: name, Text: c[s.GoType].Text}
	if key := s.Key(); key != nil {
		k.Key, k.KeyPath = key.Name, key.Path
	}
	k.Args = args(s.Args, c)
	once(k.Args, s.Args, "", map[string]string{})
	k.Output = args(modules.OutputOf(s.Kind), c)
	if example, err := examples.ReadFile("examples/" + name + ".hcl"); err == nil {
		k.Example = string(example)
	}
	return k
}

func args(list []modules.Arg, c map[string]source.Comments) []Arg {
	var out []Arg
	for _, a := range list {
		d := Arg{Name: a.Name, Type: typeText(a.Type), Text: c[a.GoType].Fields[a.GoName], Required: a.Required, Default: cmp.Or(a.Default, a.Means), OneOf: a.OneOf}
		fields := a.Type.Fields
		if a.Type.Elem != nil {
			fields = a.Type.Elem.Fields
		}
		d.Args = args(fields, c)
		out = append(out, d)
	}
	return out
}

// once marks the objects whose attributes have been told before: those of the same struct.
func once(list []Arg, from []modules.Arg, in string, told map[string]string) {
	for i := range list {
		fields := from[i].Type.Fields
		if from[i].Type.Elem != nil {
			fields = from[i].Type.Elem.Fields
		}
		path := in + list[i].Name
		if len(fields) > 0 {
			of := fields[0].GoType
			if list[i].Like = told[of]; list[i].Like != "" {
				continue
			}
			told[of] = path
		}
		once(list[i].Args, fields, path+".", told)
	}
}

// Shown is the attributes that texts show, and a sentence in their place where there are none.
func (a Arg) Shown() (list []Arg, instead string) {
	if a.Like != "" {
		return nil, "Its attributes are those of " + a.Like + "."
	}
	return a.Args, ""
}

// typeText is a type in words.
func typeText(t modules.Type) string {
	if t.Elem != nil && t.Elem.Base == modules.Any {
		return string(t.Base) + " of any values"
	}
	return t.String()
}

// Notes is what there is to say of an argument beside its text: its type or
// its values, whether it is required, its default.
func (a Arg) Notes() string {
	var notes []string
	switch {
	case len(a.OneOf) > 0:
		notes = append(notes, strings.Join(a.OneOf, ", "))
	case a.Type != "":
		notes = append(notes, a.Type)
	}
	if a.Required {
		notes = append(notes, "required")
	}
	if a.Default != "" {
		notes = append(notes, "default "+a.Default)
	}
	if a.Sensitive {
		notes = append(notes, "sensitive")
	}
	if a.Deprecated != "" {
		notes = append(notes, "deprecated")
	}
	return strings.Join(notes, "; ")
}

// Label says what a task's label stands for; "" where it is only a name.
func (k Kind) Label() string {
	switch {
	case k.Key == "":
		return ""
	case k.KeyPath:
		return "A task's label stands for \"" + k.Key + "\" where it begins with \"/\" and that isn't given."
	}
	return "A task's label stands for \"" + k.Key + "\" where that isn't given."
}

// FirstSentence is the first sentence of the kind's text, without its full stop.
func (k Kind) FirstSentence() string { return firstSentence(k.Text) }

func firstSentence(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	s, _, _ := strings.Cut(line, ". ")
	return strings.TrimSuffix(s, ".")
}
