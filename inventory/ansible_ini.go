package inventory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// readINI reads an inventory of the form
//
//	host1 ansible_host=10.0.0.1
//	[web]
//	web[01:10].example.com:2222 colour=red
//	[web:vars]
//	key=value
//	[site:children]
//	web
//
// Values are Python literals where they look like ones (12, True, ['a']),
// else text, as in Ansible.
func (a *ansible) readINI(file string, src []byte) error {
	var problems []error
	group, kind := a.group("ungrouped"), "hosts"
	for i, line := range strings.Split(string(src), "\n") {
		line = strings.TrimSpace(line)
		at := lineRange(file, i+1, line)
		var err error
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && !strings.Contains(beforeComment(line), "="):
			group, kind, err = a.section(line, at)
		case kind == "children":
			name := beforeComment(line)
			child := a.group(name)
			if child.at.Filename == "" {
				child.at = at
			}
			group.addChild(child)
		case kind == "vars":
			var v Value
			if v, err = iniVar(line, at); err == nil {
				group.set([]Value{v})
			}
		case kind == "hosts":
			err = a.iniHosts(group, line, at)
		}
		if err != nil {
			problems = append(problems, &FileError{at, err})
		}
	}
	return errors.Join(problems...)
}

// section reads "[group]", "[group:vars]" or "[group:children]". Where it is
// none of these the lines below are passed over.
func (a *ansible) section(line string, at hcl.Range) (*ansibleGroup, string, error) {
	line = beforeComment(line)
	if !strings.HasSuffix(line, "]") {
		return nil, "", errors.New("a section's bracket is not closed")
	}
	name, kind, ok := strings.Cut(line[1:len(line)-1], ":")
	if !ok {
		kind = "hosts"
	}
	if kind != "hosts" && kind != "vars" && kind != "children" {
		return nil, "", fmt.Errorf("there is no section %s: it is [group], [group:vars] or [group:children]", quote(line))
	}
	g := a.group(name)
	if g.at.Filename == "" || kind == "hosts" {
		g.at = at
	}
	return g, kind, nil
}

func iniVar(line string, at hcl.Range) (Value, error) {
	name, text, ok := strings.Cut(line, "=")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return Value{}, errors.New("a line of variables is name = value")
	}
	return Value{Name: name, Value: literal(beforeComment(text)), At: at}, nil
}

// iniHosts reads a line of hosts with their variables.
func (a *ansible) iniHosts(group *ansibleGroup, line string, at hcl.Range) error {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return err
	}
	pattern, port := splitPort(words[0])
	names, err := expand(pattern)
	if err != nil {
		return err
	}
	var vars []Value
	if port != "" {
		vars = append(vars, Value{Name: "ansible_port", Value: literal(port), At: at})
	}
	for _, word := range words[1:] {
		name, text, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fmt.Errorf("%s is no name=value", quote(word))
		}
		vars = append(vars, Value{Name: name, Value: literal(text), At: at})
	}
	for _, name := range names {
		h := a.host(name)
		if h.at.Filename == "" {
			h.at = at
		}
		h.set(vars)
		group.addHost(h)
	}
	return nil
}

// splitPort separates "host:2222"; colons inside brackets are of a range.
func splitPort(word string) (name, port string) {
	i := strings.LastIndexByte(word, ':')
	if i <= strings.LastIndexByte(word, ']') || strings.Count(word[strings.LastIndexByte(word, ']')+1:], ":") > 1 {
		return word, ""
	}
	if _, err := strconv.Atoi(word[i+1:]); err != nil {
		return word, ""
	}
	return word[:i], word[i+1:]
}

// beforeComment cuts off a comment: a "#" at the start or after a space, and
// outside quotes.
func beforeComment(s string) string {
	var quoted byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted != 0:
			if c == '\\' && quoted == '"' {
				i++
			} else if c == quoted {
				quoted = 0
			}
		case c == '"' || c == '\'':
			quoted = c
		case c == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t'):
			return strings.TrimSpace(s[:i])
		}
	}
	return strings.TrimSpace(s)
}

// splitWords splits a line as a shell does, with comments: quotes hold words
// together and are taken away.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quoted byte
	inWord := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quoted != '\'' && i+1 < len(line):
			i++
			if quoted == '"' && line[i] != '"' && line[i] != '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
			inWord = true
		case quoted != 0:
			if c == quoted {
				quoted = 0
			} else {
				word.WriteByte(c)
			}
		case c == '"' || c == '\'':
			quoted, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case c == '#' && !inWord:
			return words, nil
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quoted != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// literal reads a value as Ansible does: a Python literal, else text.
func literal(text string) cty.Value {
	text = strings.TrimSpace(text)
	p := python{text: text}
	if v, ok := p.value(0); ok && p.rest() == "" {
		return v
	}
	return cty.StringVal(strings.ToValidUTF8(text, "\uFFFD"))
}
