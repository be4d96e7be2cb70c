package repository

import (
	"fmt"
	"slices"
	"strings"
)

// stanza is a source in deb822 form: fields by name in lower case (deb822(5)). A value of several
// lines keeps them, without what they are indented by.
type stanza map[string]string

// fields are those that a source is written with, in this order; others follow by name.
var fields = []string{"Types", "URIs", "Suites", "Components", "Architectures"}

const signedBy = "Signed-By"

// parse reads a file that holds one source; nil where it holds none, several, or anything else.
func parse(text string) stanza {
	s, last, over := stanza{}, "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			over = len(s) > 0
		case over:
			return nil
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil
			}
			if line = line[1:]; line == "." {
				line = ""
			}
			s[last] += "\n" + line
		default:
			name, value, ok := strings.Cut(line, ":")
			if last = strings.ToLower(name); !ok || s[last] != "" {
				return nil
			}
			s[last] = strings.TrimSpace(value)
		}
	}
	if len(s) == 0 {
		return nil
	}
	return s
}

// same reports whether two sources mean the same: lists are the same in any order.
func (s stanza) same(other stanza) bool {
	if s == nil || other == nil || len(s) != len(other) {
		return false
	}
	for name, value := range s {
		was, ok := other[name]
		if !ok || !sameValue(name, value, was) {
			return false
		}
	}
	return true
}

func sameValue(name, a, b string) bool {
	if a == b {
		return true
	}
	if name == strings.ToLower(signedBy) {
		x, err := dearmor(a)
		y, err2 := dearmor(b)
		return err == nil && err2 == nil && x != nil && string(x) == string(y)
	}
	x, y := strings.Fields(strings.ReplaceAll(a, ",", " ")), strings.Fields(strings.ReplaceAll(b, ",", " "))
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// desired is the source that the task asks for, signed by a key's text or file.
func (r *AptRepository) desired(signed string) (stanza, string) {
	s := stanza{}
	var text strings.Builder
	put := func(name, value string) {
		if value != "" {
			s[strings.ToLower(name)] = value
			fmt.Fprintf(&text, "%s: %s\n", name, strings.ReplaceAll(value, "\n", "\n "))
		}
	}
	types := r.Types
	if len(types) == 0 {
		types = []string{"deb"}
	}
	for i, list := range [][]string{types, r.URIs, r.Suites, r.Components, r.Architectures} {
		put(fields[i], strings.Join(list, " "))
	}
	var names []string
	for name := range r.Options {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		put(name, r.Options[name])
	}
	if strings.HasPrefix(signed, "/") || signed == "" {
		put(signedBy, signed)
		return s, text.String()
	}
	s[strings.ToLower(signedBy)] = signed
	text.WriteString(signedBy + ":\n")
	for line := range strings.Lines(signed) {
		if line = strings.TrimSpace(line); line == "" {
			line = "."
		}
		text.WriteString(" " + line + "\n")
	}
	return s, text.String()
}

// shown is a source's file as people read it: a key is its fingerprint.
func shown(text string) string {
	s := parse(text)
	data, err := dearmor(s[strings.ToLower(signedBy)])
	keys, err2 := keysIn(data)
	if s == nil || err != nil || err2 != nil {
		return text
	}
	head, rest, _ := strings.Cut(text, signedBy+":")
	_, tail, _ := strings.Cut(rest, armorEnd)
	var list []string
	for _, k := range keys {
		list = append(list, k.fingerprint)
	}
	return head + signedBy + ": key " + strings.Join(list, ", ") + tail
}
