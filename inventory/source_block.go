package inventory

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// defaultTimeout is how long a remote source may take where its block doesn't
// say: a listing of some thousand instances takes seconds.
const defaultTimeout = time.Minute

// sourceBlock reads a source block and opens the source.
func (d *decoder) sourceBlock(b *hclsyntax.Block) {
	labels, ok := d.labels(b, "type", "name")
	if !ok {
		return
	}
	typ, name := labels[0], labels[1]
	source, ok := d.registry[typ]
	if !ok {
		types := slices.Sorted(maps.Keys(d.registry))
		d.report(b.LabelRanges[0], "Unknown source", "There is no source of type %s.%s", quote(typ), hint(typ, types, "There are: %s."))
		return
	}
	s := &sourceNode{
		at: b.LabelRanges[1], remote: source.Remote(), timeout: defaultTimeout, args: map[string]hcl.Range{},
		scope: scope{where: "source " + typ + "." + name},
		block: Block{Type: typ, Name: name, File: d.file, Args: map[string]cty.Value{}},
	}
	for _, other := range d.sources {
		if other.block.Type == typ && other.block.Name == name {
			d.report(s.at, "Duplicate source", "There is a source %s %s already, at %s. Give this one another name.", quote(typ), quote(name), position(other.at))
			return
		}
	}
	before := len(d.diags)
	d.name(name, b.LabelRanges[1])
	s.settings = d.settings(b.Body, reach)
	d.arguments(s, source.Arguments(), b.Body)
	if len(d.diags) > before {
		d.sources = append(d.sources, s) // so that names it would bring are not held against others
		return
	}
	lister, err := source.Open(s.block)
	for _, e := range unjoin(err) {
		at, why := s.argument(e)
		d.report(at, "Invalid source", "%s.", capital(why.Error()))
	}
	s.lister = lister
	d.sources = append(d.sources, s)
}

// arguments reads the arguments that a source asks for, and those of remote
// sources.
func (d *decoder) arguments(s *sourceNode, want []Argument, body *hclsyntax.Body) {
	if s.remote {
		want = append(slices.Clone(want), Argument{Name: "cache", Type: cty.String}, Argument{Name: "timeout", Type: cty.String})
	}
	known := slices.Clone(reach)
	for _, a := range want {
		known = append(known, a.Name)
		attr, given := body.Attributes[a.Name]
		if !given {
			if a.Required {
				d.report(s.at, "Missing argument", "A source %s needs %s.", quote(s.block.Type), a.Name)
			}
			continue
		}
		v, ok := d.constant(attr.Expr)
		if !ok || v.IsNull() {
			continue
		}
		converted, err := convert.Convert(v, a.Type)
		if err != nil || !converted.IsWhollyKnown() || hasNull(converted) {
			d.report(attr.Expr.Range(), "Invalid "+a.Name, "%s is a %s, and this is %s.", capital(a.Name), a.Type.FriendlyName(), article(v.Type()))
			continue
		}
		s.args[a.Name] = attr.Expr.Range()
		s.block.Args[a.Name] = converted
	}
	d.known(body, fmt.Sprintf("a source %q", s.block.Type), known, nil)
	if s.remote {
		d.duration(s, "cache", &s.fresh)
		d.duration(s, "timeout", &s.timeout)
	}
}

func (d *decoder) duration(s *sourceNode, name string, to *time.Duration) {
	text := s.block.Text(name)
	delete(s.block.Args, name)
	if text == "" {
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil || t <= 0 {
		d.report(s.args[name], "Invalid "+name, "This is a length of time, such as \"30s\", \"5m\" or \"1h\".")
		return
	}
	*to = t
}

// hasNull reports whether v is null or has a null in it.
func hasNull(v cty.Value) bool {
	found := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		found = found || v.IsNull()
		return !found, nil
	})
	return found
}
