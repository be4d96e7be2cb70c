package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A config.json holds what other people and programs have put there. So it isn't written
// anew: single members are put into its text, or taken out of it, and all else stays byte
// for byte.

// member is one of an object's, by where it stands in the text.
type member struct {
	name       string
	at         int // where its name begins
	value, end int
}

// object is one in a text, from its brace to behind the other.
type object struct {
	at, end int
	members []member
}

// find returns the member of a name.
func (o object) find(name string) (m member, i int, ok bool) {
	for i := len(o.members) - 1; i >= 0; i-- { // of two, the last one counts
		if o.members[i].name == name {
			return o.members[i], i, true
		}
	}
	return m, 0, false
}

// objectAt reads the object that begins at a place of the text.
func objectAt(text string, at int) (object, error) {
	d := json.NewDecoder(strings.NewReader(text[at:]))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return object{}, errors.New("an object is expected: {…}")
	}
	o := object{at: at}
	for d.More() {
		from := at + int(d.InputOffset())
		t, err := d.Token()
		if err != nil {
			return object{}, err
		}
		name, _ := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return object{}, err
		}
		end := at + int(d.InputOffset())
		from += strings.IndexByte(text[from:], '"')
		o.members = append(o.members, member{name, from, end - len(raw), end})
	}
	if _, err := d.Token(); err != nil {
		return object{}, err
	}
	o.end = at + int(d.InputOffset())
	return o, nil
}

// outermost reads the object that is the whole of a text.
func outermost(text string) (object, error) {
	at := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	o, err := objectAt(text, at)
	if err == nil && strings.TrimSpace(text[o.end:]) != "" {
		err = errors.New("something stands behind the last brace")
	}
	return o, err
}

// namesIn returns the names of the members of an object in the outermost one.
func namesIn(text, name string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	top, err := outermost(text)
	if err != nil {
		return nil, err
	}
	m, _, ok := top.find(name)
	if !ok || text[m.value:m.end] == "null" {
		return nil, nil
	}
	o, err := objectAt(text, m.value)
	var names []string
	for _, m := range o.members {
		names = append(names, m.name)
	}
	return names, err
}

// with returns the text with a string at a path of names. What leads there is made,
// indented by a tab as Docker does, or as what stands beside it.
func with(text, value string, path ...string) (string, error) {
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	o, err := outermost(text)
	for depth := 0; err == nil; depth++ {
		name := path[depth]
		last := depth == len(path)-1
		m, _, ok := o.find(name)
		switch {
		case !ok:
			return insert(text, o, depth, path[depth:], value), nil
		case last:
			return text[:m.value] + quoted(value) + text[m.end:], nil
		case text[m.value:m.end] == "null":
			text = text[:m.value] + "{}" + text[m.end:]
		}
		if o, err = objectAt(text, m.value); err != nil {
			err = fmt.Errorf("%s: %w", strings.Join(path[:depth+1], "."), err)
		}
	}
	return "", err
}

// insert puts a member at the end of an object that lies depth objects deep.
func insert(text string, o object, depth int, path []string, value string) string {
	if len(o.members) == 0 {
		if o.at > 0 && !strings.Contains(strings.TrimSpace(text), "\n") { // all in one line
			return text[:o.at+1] + chain(path, value, "", "") + text[o.end-1:]
		}
		outer := strings.Repeat("\t", depth)
		if depth > 0 {
			outer = indentAt(text, o.at)
		}
		return text[:o.at] + "{\n" + outer + "\t" + chain(path, value, outer+"\t", "\t") + "\n" + outer + "}" + text[o.end:]
	}
	lastEnd := o.members[len(o.members)-1].end
	between := text[o.at+1 : o.members[0].at]
	if !strings.Contains(between, "\n") {
		return text[:lastEnd] + "," + between + chain(path, value, "", "") + text[lastEnd:]
	}
	indent := between[strings.LastIndexByte(between, '\n')+1:]
	unit := strings.TrimPrefix(indent, indentAt(text, o.at))
	return text[:lastEnd] + ",\n" + indent + chain(path, value, indent, unit) + text[lastEnd:]
}

// indentAt is what the line of a place begins with.
func indentAt(text string, at int) string {
	line := text[strings.LastIndexByte(text[:at], '\n')+1 : at]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// chain is a member in objects in each other. A unit of "" puts it in one line.
func chain(path []string, value, indent, unit string) string {
	separator := ": "
	if unit == "" {
		separator = ":"
	}
	if len(path) == 1 {
		return quoted(path[0]) + separator + quoted(value)
	}
	inner := chain(path[1:], value, indent+unit, unit)
	if unit == "" {
		return quoted(path[0]) + separator + "{" + inner + "}"
	}
	return quoted(path[0]) + separator + "{\n" + indent + unit + inner + "\n" + indent + "}"
}

// quoted is a string as Docker writes it.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}

// without returns the text without the member at a path of names, and as it is where
// there is none.
func without(text string, path ...string) (string, error) {
	if strings.TrimSpace(text) == "" {
		return text, nil
	}
	o, err := outermost(text)
	for depth := 0; err == nil; depth++ {
		m, i, ok := o.find(path[depth])
		switch {
		case !ok || depth < len(path)-1 && text[m.value] != '{':
			return text, nil
		case depth < len(path)-1:
			o, err = objectAt(text, m.value)
			continue
		case len(o.members) == 1:
			return text[:o.at] + "{}" + text[o.end:], nil
		case i == 0:
			return text[:m.at] + text[o.members[1].at:], nil
		}
		return text[:o.members[i-1].end] + text[m.end:], nil
	}
	return "", err
}
