package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decoder turns the body of one file into declarations.
type decoder struct {
	*declarations
	file  string
	diags hcl.Diagnostics
}

// The settings each block takes.
var (
	reach           = []string{"user", "via", "port", "identity", "connection"}
	hostSettings    = append([]string{"address"}, reach...)
	bastionSettings = []string{"address", "port", "user", "identity", "via"}
)

func (d *decoder) report(at hcl.Range, summary, format string, args ...any) {
	d.diags = d.diags.Append(problem(at, summary, fmt.Sprintf(format, args...)))
}

func (d *decoder) root(body *hclsyntax.Body) {
	d.known(body, "an inventory", []string{"hosts"}, []string{"defaults", "bastion", "group", "host", "source"})
	if a := body.Attributes["hosts"]; a != nil {
		if _, ok := a.Expr.(*hclsyntax.ObjectConsExpr); !ok {
			d.report(a.Expr.Range(), "Invalid hosts", "Hosts are declared as an object: hosts = { app1 = { address = \"10.0.1.21\" } }.")
		}
	}
	before := len(d.hosts)
	d.hosts = append(d.hosts, d.hostLines(body)...)
	for _, b := range body.Blocks {
		switch b.Type {
		case "defaults":
			d.defaultsBlock(b)
		case "bastion":
			d.bastionBlock(b)
		case "group":
			d.groupBlock(b)
		case "host":
			if n := d.hostBlock(b); n != nil {
				d.hosts = append(d.hosts, n)
			}
		case "source":
			d.sourceBlock(b)
		}
	}
	// Hosts have the order in which they are written, whichever way they are.
	slices.SortStableFunc(d.hosts[before:], func(a, b *node) int { return a.at.Start.Byte - b.at.Start.Byte })
}

func (d *decoder) defaultsBlock(b *hclsyntax.Block) {
	if _, ok := d.labels(b); !ok {
		return
	}
	d.known(b.Body, "defaults", reach, nil)
	if d.defaults != nil {
		d.report(b.TypeRange, "Duplicate defaults", "An inventory has one defaults block, and the first stands at %s. Make them one.", position(d.defaultsAt))
		return
	}
	d.defaults = &scope{where: "defaults", settings: d.settings(b.Body, reach)}
	d.defaultsAt = b.TypeRange
}

func (d *decoder) bastionBlock(b *hclsyntax.Block) {
	labels, ok := d.labels(b, "name")
	if !ok {
		return
	}
	d.known(b.Body, "a bastion", append([]string{"vars"}, bastionSettings...), nil)
	d.name(b.Labels[0], b.LabelRanges[0])
	d.bastions = append(d.bastions, &node{
		scope: scope{where: "host", settings: d.settings(b.Body, bastionSettings), vars: d.vars(b.Body)},
		name:  labels[0], at: b.LabelRanges[0],
	})
}

func (d *decoder) hostBlock(b *hclsyntax.Block) *node {
	labels, ok := d.labels(b, "name")
	if !ok {
		return nil
	}
	return d.hostNode(labels[0], b.LabelRanges[0], b.Body)
}

// hostNode declares a host, whose name stands at a place.
func (d *decoder) hostNode(name string, at hcl.Range, body *hclsyntax.Body) *node {
	d.known(body, "a host", append([]string{"vars"}, hostSettings...), nil)
	d.name(name, at)
	return &node{
		scope: scope{where: "host", settings: d.settings(body, hostSettings), vars: d.vars(body)},
		name:  name, at: at,
	}
}

func (d *decoder) groupBlock(b *hclsyntax.Block) {
	labels, ok := d.labels(b, "name")
	if !ok {
		return
	}
	d.known(b.Body, "a group", append([]string{"vars", "children", "hosts"}, reach...), []string{"host"})
	name := labels[0]
	d.name(name, b.LabelRanges[0])
	g := &groupNode{
		scope: scope{where: "group " + name, settings: d.settings(b.Body, reach), vars: d.vars(b.Body)},
		name:  name, at: b.LabelRanges[0],
		children: d.refs(b.Body, "children"),
	}
	if lines := d.hostLines(b.Body); lines != nil {
		for _, n := range lines {
			d.hosts = append(d.hosts, n)
			g.hosts = append(g.hosts, ref{name: n.name, at: n.at})
		}
	} else {
		g.hosts = d.refs(b.Body, "hosts")
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "host" {
			continue
		}
		if n := d.hostBlock(inner); n != nil {
			d.hosts = append(d.hosts, n)
			g.hosts = append(g.hosts, ref{name: n.name, at: n.at})
		}
	}
	if name == All && len(g.children)+len(g.hosts) > 0 {
		var at hcl.Range
		if len(g.children) > 0 {
			at = g.children[0].at
		} else {
			at = g.hosts[0].at
		}
		d.report(at, "Hosts in all", "Every host is in the group \"all\" without being named there. Give it variables and settings only.")
		g.children, g.hosts = nil, nil
	}
	d.groups = append(d.groups, g)
}

// labels checks the labels of a block against what they stand for.
func (d *decoder) labels(b *hclsyntax.Block, want ...string) ([]string, bool) {
	form := b.Type
	for _, w := range want {
		form += fmt.Sprintf(" %q", strings.ToUpper(w))
	}
	switch {
	case len(b.Labels) < len(want):
		d.report(b.TypeRange, "Missing label", "Write %s { … }.", form)
		return nil, false
	case len(b.Labels) > len(want):
		d.report(b.LabelRanges[len(want)], "Extra label", "This label is one more than are written before the brace of %s { … }.", form)
		return nil, false
	}
	return b.Labels, true
}

// known reports the arguments and blocks of a body that its owner lacks.
func (d *decoder) known(body *hclsyntax.Body, owner string, attrs, blocks []string) {
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		a := body.Attributes[name]
		switch {
		case slices.Contains(attrs, name):
		case slices.Contains(blocks, name):
			d.report(a.NameRange, "Unknown argument", "%s is a block: write %s { … } without \"=\".", quote(name), name)
		default:
			d.report(a.NameRange, "Unknown argument", "%s takes no argument %s.%s", capital(owner), quote(name), hint(name, attrs, "It takes %s."))
		}
	}
	for _, b := range body.Blocks {
		switch {
		case slices.Contains(blocks, b.Type):
		case slices.Contains(attrs, b.Type):
			d.report(b.TypeRange, "Unknown block", "%s is an argument: write %s = { … }, or what else its value is.", quote(b.Type), b.Type)
		case b.Type == "group":
			d.report(b.TypeRange, "Unknown block", "Groups don't stand inside others. Declare it beside this one, and name it in children = [%q].", strings.Join(b.Labels, " "))
		default:
			d.report(b.TypeRange, "Unknown block", "%s holds no block %s.%s", capital(owner), quote(b.Type), hint(b.Type, blocks, "It holds %s."))
		}
	}
}

// name checks the name of a host, a bastion or a group.
func (d *decoder) name(name string, at hcl.Range) {
	if why := badName(name); why != "" {
		d.report(at, "Invalid name", "%s", why)
	}
}

// badName says what is wrong with the name of a host or a group, or "".
// Names become words of patterns, lines of known_hosts and names of files.
func badName(name string) string {
	switch {
	case name == "":
		return "A name can't be empty."
	case len(name) > 253: // the longest host name (RFC 1035, 2.3.4)
		return "A name has at most 253 characters."
	case name[0] == '-' || name[0] == '.':
		return fmt.Sprintf("The name %s begins with %q. Names begin with a letter, a digit or an underscore.", quote(name), name[0])
	}
	for _, r := range name {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-') {
			return fmt.Sprintf("The name %s holds %q. Names are made of letters, digits, dots, dashes and underscores; what is dialled goes into address.", quote(name), r)
		}
	}
	return ""
}
