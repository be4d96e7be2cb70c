// Package doc says what kinds and their arguments are for, from the comments in their source.
package doc

import (
	_ "embed"
	"encoding/json"
	"fmt"
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

// Kind is a kind with its documentation.
type Kind struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	Key    string `json:"key,omitempty"` // the argument that a task's label stands for
	Args   []Arg  `json:"arguments"`
	Output []Arg  `json:"output,omitempty"`
}

// Arg is an argument, an attribute of one, or a part of the output.
type Arg struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Text     string   `json:"text"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
	Args     []Arg    `json:"attributes,omitempty"`
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

// All returns the documentation of every kind.
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
		k.Key = key.Name
	}
	k.Args = args(s.Args, c)
	for _, f := range modules.OutputOf(s.Kind) {
		k.Output = append(k.Output, Arg{Name: f.Name, Type: f.Type.String(), Text: c[f.GoType].Fields[f.GoName]})
	}
	return k
}

func args(list []modules.Arg, c map[string]source.Comments) []Arg {
	var out []Arg
	for _, a := range list {
		d := Arg{Name: a.Name, Type: a.Type.String(), Text: c[a.GoType].Fields[a.GoName], Required: a.Required, Default: a.Default, OneOf: a.OneOf}
		fields := a.Type.Fields
		if a.Type.Elem != nil {
			fields = a.Type.Elem.Fields
		}
		d.Args = args(fields, c)
		out = append(out, d)
	}
	return out
}

// List is a line for each kind.
func List(r *modules.Registry) string {
	var b strings.Builder
	for _, k := range All(r) {
		fmt.Fprintf(&b, "%-16s %s\n", k.Name, firstSentence(k.Text))
	}
	b.WriteString("\n\"muster doc KIND\" shows the arguments of one.\n")
	return b.String()
}

// firstSentence drops the Go name that a comment begins with.
func firstSentence(text string) string {
	s, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), ". ")
	return strings.TrimSuffix(s, ".")
}

// Text is the documentation of a kind for a terminal.
func Text(r *modules.Registry, name string) string {
	k := Of(r, name)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", k.Name, indent(k.Text, "  "))
	if k.Key != "" {
		fmt.Fprintf(&b, "A task's label stands for %q where that isn't given.\n\n", k.Key)
	}
	b.WriteString("Arguments\n")
	writeArgs(&b, k.Args, "  ")
	if len(k.Output) > 0 {
		b.WriteString("\nOutput\n")
		writeArgs(&b, k.Output, "  ")
	}
	return b.String()
}

func writeArgs(b *strings.Builder, list []Arg, by string) {
	for _, a := range list {
		notes := a.Type
		if len(a.OneOf) > 0 {
			notes = strings.Join(a.OneOf, ", ")
		}
		if a.Required {
			notes += "; required"
		}
		if a.Default != "" {
			notes += "; default " + a.Default
		}
		fmt.Fprintf(b, "%s%s (%s)\n", by, a.Name, notes)
		if a.Text != "" {
			fmt.Fprintln(b, indent(a.Text, by+"    "))
		}
		writeArgs(b, a.Args, by+"    ")
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}
