package inventory

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"gopkg.in/yaml.v3"
)

// yamlReader turns YAML nodes into groups and values, within limits: aliases
// could make a small file stand for a huge one.
type yamlReader struct {
	*ansible
	file  string
	nodes int // seen so far, aliases counted as often as they are used
	errs  []error
}

const (
	maxYAMLNodes = 5_000_000
	maxYAMLDepth = 100
)

// readYAML reads an inventory of the form
//
//	all:
//	  vars: {…}
//	  hosts: {host1: {ansible_host: 10.0.0.1}}
//	  children: {web: {hosts: {"web[01:10]": }}}
func (a *ansible) readYAML(file string, src []byte) error {
	root, err := parseYAML(file, src)
	if err != nil || root == nil {
		return err
	}
	r := &yamlReader{ansible: a, file: file}
	r.pairs(root, 0, "an inventory is groups by their names", func(key, value *yaml.Node) {
		r.group(key, value, 0)
	})
	return errors.Join(r.errs...)
}

// readVarsFile reads a file of variables.
func (a *ansible) readVarsFile(file string, src []byte) ([]Value, error) {
	root, err := parseYAML(file, src)
	if err != nil || root == nil {
		return nil, err
	}
	r := &yamlReader{ansible: a, file: file}
	vars := r.vars(root, 0)
	return vars, errors.Join(r.errs...)
}

// parseYAML returns the content of the first document, nil where it is empty.
func parseYAML(file string, src []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		line := 1
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		return nil, &FileError{lineRange(file, max(line, 1), ""), errors.New(text)}
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

func (r *yamlReader) at(n *yaml.Node) hcl.Range {
	width := len([]rune(n.Value))
	return hcl.Range{
		Filename: r.file,
		Start:    hcl.Pos{Line: n.Line, Column: n.Column},
		End:      hcl.Pos{Line: n.Line, Column: n.Column + width},
	}
}

func (r *yamlReader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.errs) < 100 {
		r.errs = append(r.errs, &FileError{r.at(n), fmt.Errorf(format, args...)})
	}
}

// follow resolves aliases and counts; it reports whether to go on.
func (r *yamlReader) follow(n *yaml.Node, depth int) (*yaml.Node, bool) {
	if r.nodes > maxYAMLNodes {
		return n, false
	}
	r.nodes++
	switch {
	case r.nodes > maxYAMLNodes:
		r.fail(n, "this file stands for more than %d values", maxYAMLNodes)
		return n, false
	case depth > maxYAMLDepth:
		r.fail(n, "values may stand at most %d deep inside each other", maxYAMLDepth)
		return n, false
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias, true
	}
	return n, true
}

// pairs calls f for each entry of a mapping; what says what it should be.
// Merge keys ("<<") are followed: what stands in the mapping itself comes
// after, and so replaces it.
func (r *yamlReader) pairs(n *yaml.Node, depth int, what string, f func(key, value *yaml.Node)) {
	n, ok := r.follow(n, depth)
	if !ok || n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s", what)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			r.merge(n.Content[i+1], depth+1, what, f)
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag == "!!merge":
		case key.Kind != yaml.ScalarNode:
			r.fail(key, "a key is text")
		default:
			f(key, value)
		}
	}
}

func (r *yamlReader) merge(n *yaml.Node, depth int, what string, f func(key, value *yaml.Node)) {
	target, ok := r.follow(n, depth)
	if !ok {
		return
	}
	if target.Kind != yaml.SequenceNode {
		r.pairs(target, depth, what, f)
		return
	}
	for i := len(target.Content) - 1; i >= 0; i-- { // the first wins
		r.pairs(target.Content[i], depth+1, what, f)
	}
}

// group reads a group and its children.
func (r *yamlReader) group(key, body *yaml.Node, depth int) *ansibleGroup {
	g := r.ansible.group(key.Value)
	if g.at.Filename == "" {
		g.at = r.at(key)
	}
	r.pairs(body, depth, "a group has hosts, vars and children", func(part, value *yaml.Node) {
		switch part.Value {
		case "vars":
			g.set(r.vars(value, depth+1))
		case "hosts":
			r.pairs(value, depth+1, "hosts are a mapping: each name followed by a colon", func(name, vars *yaml.Node) {
				r.hosts(g, name, vars, depth+2)
			})
		case "children":
			r.pairs(value, depth+1, "children are a mapping: each name followed by a colon", func(name, child *yaml.Node) {
				g.addChild(r.group(name, child, depth+2))
			})
		default:
			r.fail(part, "a group has hosts, vars and children, and no %s", quote(part.Value))
		}
	})
	return g
}

func (r *yamlReader) hosts(g *ansibleGroup, key, body *yaml.Node, depth int) {
	pattern, port := splitPort(key.Value)
	names, err := expand(pattern)
	if err != nil {
		r.fail(key, "%w", err)
		return
	}
	var vars []Value
	if port != "" {
		vars = append(vars, Value{Name: "ansible_port", Value: literal(port), At: r.at(key)})
	}
	vars = append(vars, r.vars(body, depth)...)
	for _, name := range names {
		h := r.host(name)
		if h.at.Filename == "" {
			h.at = r.at(key)
		}
		h.set(vars)
		g.addHost(h)
	}
}

// vars reads a mapping of variables.
func (r *yamlReader) vars(n *yaml.Node, depth int) []Value {
	var vars []Value
	r.pairs(n, depth, "variables are a mapping", func(key, value *yaml.Node) {
		if value.Tag == "!vault" {
			r.warn(r.at(key), "the variable %s is encrypted with ansible-vault, and left out; move it with muster secret set", quote(key.Value))
			return
		}
		if v, ok := r.value(value, depth+1); ok {
			vars = override(vars, []Value{{Name: key.Value, Value: v, At: r.at(key)}})
		}
	})
	return vars
}

// value turns a node into a value.
func (r *yamlReader) value(n *yaml.Node, depth int) (cty.Value, bool) {
	n, ok := r.follow(n, depth)
	if !ok {
		return cty.NilVal, false
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := make([]cty.Value, 0, len(n.Content))
		for _, c := range n.Content {
			v, ok := r.value(c, depth+1)
			if !ok {
				return cty.NilVal, false
			}
			list = append(list, v)
		}
		return cty.TupleVal(list), true
	case yaml.MappingNode:
		object, whole := map[string]cty.Value{}, true
		r.pairs(n, depth, "", func(key, value *yaml.Node) {
			v, ok := r.value(value, depth+1)
			object[key.Value], whole = v, whole && ok
		})
		if !whole {
			return cty.NilVal, false
		}
		return cty.ObjectVal(object), true
	}
	return r.scalar(n)
}

func (r *yamlReader) scalar(n *yaml.Node) (cty.Value, bool) {
	switch n.ShortTag() {
	case "!!null":
		return cty.NullVal(cty.DynamicPseudoType), true
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err == nil {
			return cty.BoolVal(b), true
		}
	case "!!int":
		var i int64
		if err := n.Decode(&i); err == nil {
			return cty.NumberIntVal(i), true
		}
		if v, ok := number(n.Value); ok { // one that takes more than 64 bits
			return v, true
		}
	case "!!float":
		var f float64
		if v, ok := number(n.Value); ok {
			return v, true
		}
		if err := n.Decode(&f); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return cty.NumberFloatVal(f), true
		}
	case "!!str":
		// Ansible reads YAML 1.1, in which these words are truth values.
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
			switch n.Value {
			case "yes", "Yes", "YES", "on", "On", "ON":
				return cty.True, true
			case "no", "No", "NO", "off", "Off", "OFF":
				return cty.False, true
			}
		}
	case "!vault":
		r.fail(n, "this value is encrypted with ansible-vault; move it with muster secret set")
		return cty.NilVal, false
	}
	return cty.StringVal(n.Value), true
}
