package docker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/modules"
)

// composeProblem is what is wrong with a compose file, and where.
type composeProblem struct {
	line  int
	text  string
	value bool // of a value, which a variable may have a part in
}

// composeReader reads a compose file's nodes, and gathers all that is wrong with them.
type composeReader struct {
	env      map[string]string
	open     bool // env isn't known yet
	refers   bool // some value has a variable
	nodes    int  // seen, aliases as often as they are used
	problems []composeProblem
}

// maxComposeNodes is more than any file has: aliases could make a small one stand for a
// huge one.
const maxComposeNodes = 50_000

// refuse notes that the file has what isn't supported, or isn't one.
func (r *composeReader) refuse(n *yaml.Node, format string, a ...any) {
	r.problems = append(r.problems, composeProblem{line: n.Line, text: fmt.Sprintf(format, a...)})
}

// wrong notes that a value can't be.
func (r *composeReader) wrong(n *yaml.Node, format string, a ...any) {
	r.problems = append(r.problems, composeProblem{line: n.Line, text: fmt.Sprintf(format, a...), value: true})
}

// all returns what is wrong, by line. Of values nothing can be said while variables that
// they have aren't known.
func (r *composeReader) all() []composeProblem {
	if r.open && r.refers {
		r.problems = slices.DeleteFunc(r.problems, func(p composeProblem) bool { return p.value })
	}
	slices.SortStableFunc(r.problems, func(a, b composeProblem) int { return a.line - b.line })
	return slices.Compact(r.problems)
}

// document returns the file's mapping, nil where it has none.
func (r *composeReader) document(src []byte) *yaml.Node {
	d := yaml.NewDecoder(strings.NewReader(string(src)))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			_, text, _ = strings.Cut(text, ": ")
		} else if err.Error() == "EOF" {
			text = "the file is empty"
		}
		r.problems = append(r.problems, composeProblem{line: max(line, 1), text: text})
		return nil
	}
	if d.Decode(&more) == nil {
		r.refuse(&more, "a second document: a compose file is one")
	}
	return doc.Content[0]
}

// resolved is what a node stands for.
func (r *composeReader) resolved(n *yaml.Node) *yaml.Node {
	r.nodes++
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// pair is an entry of a mapping.
type pair struct {
	key   string
	at    *yaml.Node // the key
	value *yaml.Node
}

// mapping returns a mapping's entries in their order, those that it merges first.
func (r *composeReader) mapping(n *yaml.Node, what string) []pair {
	n = r.resolved(n)
	if isNull(n) {
		return nil
	}
	if r.nodes > maxComposeNodes {
		r.refuse(n, "the file's aliases stand for too much")
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.wrong(n, "%s takes a mapping, not %s", what, kindOf(n))
		return nil
	}
	var merged, list []pair
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := r.resolved(n.Content[i]), n.Content[i+1]
		if key.Tag == "!!merge" {
			from := []*yaml.Node{value}
			if v := r.resolved(value); v.Kind == yaml.SequenceNode {
				from = slices.Clone(v.Content)
				slices.Reverse(from) // the first one goes before the others
			}
			for _, f := range from {
				merged = append(merged, r.mapping(f, "<<")...)
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			r.refuse(key, "%s: a name is a word", what)
			continue
		}
		if line, ok := first[key.Value]; ok {
			r.refuse(key, "%s has %q already, on line %d", what, key.Value, line)
			continue
		}
		first[key.Value] = key.Line
		list = append(list, pair{key.Value, n.Content[i], r.resolved(value)})
	}
	seen := map[string]bool{}
	for _, p := range list {
		seen[p.key] = true
	}
	var inherited []pair
	for _, p := range slices.Backward(merged) {
		if !seen[p.key] {
			seen[p.key] = true
			inherited = append(inherited, p)
		}
	}
	slices.Reverse(inherited)
	return append(inherited, list...)
}

// fields has what a mapping holds read by its names. A name that isn't among them is
// refused, but for extensions ("x-…").
func (r *composeReader) fields(n *yaml.Node, what string, known map[string]func(pair), why map[string]string) {
	for _, p := range r.mapping(n, what) {
		read, ok := known[p.key]
		switch {
		case ok && isNull(p.value):
		case ok:
			read(p)
		case strings.HasPrefix(p.key, "x-"):
		case why[p.key] != "":
			r.refuse(p.at, "%s: %q isn't supported: %s", what, p.key, why[p.key])
		case slices.Contains(composeNames(), p.key):
			r.refuse(p.at, "%s: %q isn't supported", what, p.key)
		default:
			hint := ""
			if near := modules.Nearest(p.key, append(sortedKeys(known), sortedKeys(why)...)); near != "" {
				hint = fmt.Sprintf(": did you mean %q?", near)
			}
			r.refuse(p.at, "%s has no %q%s", what, p.key, hint)
		}
	}
}

// text is a scalar with its variables filled in. ok is false where it isn't one.
func (r *composeReader) text(n *yaml.Node, what string) (s string, ok bool) {
	n = r.resolved(n)
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.wrong(n, "%s takes a text, not %s", what, kindOf(n))
		return "", false
	}
	s, err := interpolate(n.Value, func(name string) (string, bool) {
		r.refers = true
		value, set := r.env[name]
		return value, set || r.open
	})
	if err != nil {
		r.wrong(n, "%s: %s", what, err)
	}
	return s, err == nil
}

// texts is a list of scalars. A scalar alone counts as one where single says so.
func (r *composeReader) texts(n *yaml.Node, what string, single bool) (list []string, at []*yaml.Node) {
	for _, item := range r.items(n, what, single) {
		if s, ok := r.text(item, what); ok {
			list, at = append(list, s), append(at, item)
		}
	}
	return list, at
}

// items are the nodes of a list.
func (r *composeReader) items(n *yaml.Node, what string, single bool) []*yaml.Node {
	n = r.resolved(n)
	if n.Kind == yaml.ScalarNode && single {
		return []*yaml.Node{n}
	}
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, "%s takes a list, not %s", what, kindOf(n))
		return nil
	}
	list := make([]*yaml.Node, 0, len(n.Content))
	for _, item := range n.Content {
		list = append(list, r.resolved(item))
	}
	return list
}

// truth is a bool.
func (r *composeReader) truth(n *yaml.Node, what string) bool {
	s, ok := r.text(n, what)
	if ok && s != "true" && s != "false" {
		r.wrong(n, "%s is true or false, not %q", what, s)
	}
	return s == "true"
}

// table is a mapping of texts, or a list of "NAME=VALUE". A name without a value has the
// one that the variable of the name has.
func (r *composeReader) table(n *yaml.Node, what string) map[string]string {
	n = r.resolved(n)
	table := map[string]string{}
	inherit := func(at *yaml.Node, name string) {
		value, ok := r.env[name]
		if r.refers = true; !ok && !r.open {
			r.wrong(at, "%s: %s has no value, and the task's env has none for it", what, name)
		}
		table[name] = value
	}
	if n.Kind == yaml.SequenceNode {
		list, at := r.texts(n, what, false)
		for i, s := range list {
			name, value, ok := strings.Cut(s, "=")
			if _, twice := table[name]; twice {
				r.wrong(at[i], "%s has %s twice", what, name)
			}
			if table[name] = value; !ok {
				inherit(at[i], name)
			}
		}
		return table
	}
	for _, p := range r.mapping(n, what) {
		if isNull(p.value) {
			inherit(p.at, p.key)
		} else if s, ok := r.text(p.value, what+" "+p.key); ok {
			table[p.key] = s
		}
	}
	return table
}

func kindOf(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "nothing"
	case n.Kind == yaml.ScalarNode:
		return fmt.Sprintf("%q", n.Value)
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "a mapping"
}

var errUnclosed = errors.New(`"${" has no "}"`)

// interpolate fills in variables as compose does: $NAME, ${NAME}, ${NAME:-default},
// ${NAME:?error}, ${NAME:+instead}, each also without the colon, by which an empty value
// counts as none; "$$" is "$". A variable that isn't set, and has no default, is an error.
func interpolate(s string, env func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		out.WriteString(before)
		switch {
		case !found:
			return out.String(), nil
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			end := closing(rest)
			if end < 0 {
				return "", errUnclosed
			}
			value, err := substitute(rest[1:end], env)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = rest[end+1:]
		default:
			n := nameLength(rest)
			if n == 0 {
				return "", fmt.Errorf(`%q: write "$$" where "$" is meant`, "$"+rest)
			}
			value, err := substitute(rest[:n], env)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = rest[n:]
		}
	}
}

// closing is where the brace is closed that s begins with; -1 where it isn't.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '{' && (i == 0 || s[i-1] == '$'):
			depth++
		case s[i] == '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// nameLength is how long the name of a variable is that s begins with.
func nameLength(s string) int {
	for i, c := range []byte(s) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// substitute is the value of what stands between the braces.
func substitute(s string, env func(string) (string, bool)) (string, error) {
	n := nameLength(s)
	name, rest := s[:n], s[n:]
	if name == "" {
		return "", fmt.Errorf("%q is no name of a variable", s)
	}
	value, set := env(name)
	if after, ok := strings.CutPrefix(rest, ":"); ok && after != "" {
		set, rest = set && value != "", after
	}
	switch {
	case rest == "" && !set:
		return "", fmt.Errorf("${%s} has no value: give the task's env one, or the file a default, ${%s:-…}", name, name)
	case rest == "":
		return value, nil
	case rest[0] == '-' && set, rest[0] == '?' && set:
		return value, nil
	case rest[0] == '-', rest[0] == '+' && set:
		return interpolate(rest[1:], env)
	case rest[0] == '+':
		return "", nil
	case rest[0] == '?':
		why, err := interpolate(rest[1:], env)
		if why == "" {
			why = "it has no value"
		}
		return "", errors.Join(fmt.Errorf("${%s}: %s", name, why), err)
	}
	return "", fmt.Errorf("${%s} is no variable: write ${NAME}, ${NAME:-default} or ${NAME:?error}", s)
}

// shellWords splits a command as a shell does, without running anything of it.
func shellWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\':
			if i++; i == len(s) {
				return nil, errors.New(`it ends in "\"`)
			}
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(s[i])) {
				word.WriteByte('\\')
			}
			word.WriteByte(s[i])
			begun = true
		case c == '\'' || c == '"':
			quote, begun = c, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("it has a %c too many", quote)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
