package lang

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/modules"
)

// blockValue turns blocks into the object, or the list of objects, that they
// are another way to write.
func (l *loader) blockValue(name string, blocks []*hclsyntax.Block, schema *modules.Schema, body *hclsyntax.Body) hclsyntax.Expression {
	arg := schema.Arg(name)
	if arg == nil {
		l.unknownArgument(name, header(blocks[0]), schema)
		return nil
	}
	if body.Attributes[name] != nil {
		l.errorAt(header(blocks[0]), "Duplicate argument", "", "%q is given at %s already.", name, place(body.Attributes[name].NameRange))
		return nil
	}
	isList := arg.Type.Base == modules.List && arg.Type.Elem.Base == modules.Object
	if arg.Type.Base != modules.Object && arg.Type.Base != modules.Map && arg.Type.Base != modules.Any && !isList {
		l.errorAt(header(blocks[0]), "Wrong form", name+" = …", "%q takes a %s: it is written with \"=\".", name, arg.Type)
		return nil
	}
	if len(blocks) > 1 && !isList {
		l.errorAt(header(blocks[1]), "Duplicate argument", "", "%q is given at %s already.", name, place(header(blocks[0])))
		return nil
	}
	var exprs []hclsyntax.Expression
	for _, b := range blocks {
		if len(b.Labels) > 0 {
			l.errorAt(b.LabelRanges[0], "Wrong labels", name+" { … }", "%q has no label.", name)
		}
		t := &arg.Type
		if isList {
			t = arg.Type.Elem
		}
		exprs = append(exprs, blockObject(b.Body, t))
	}
	if !isList {
		return exprs[0]
	}
	return &hclsyntax.TupleConsExpr{Exprs: exprs, SrcRange: hcl.RangeBetween(exprs[0].Range(), exprs[len(exprs)-1].Range()), OpenRange: exprs[0].Range()}
}

// blockObject returns the object that a block's body writes. t is its type;
// what the type doesn't name is reported later.
func blockObject(body *hclsyntax.Body, t *modules.Type) hclsyntax.Expression {
	o := &hclsyntax.ObjectConsExpr{SrcRange: body.SrcRange, OpenRange: body.SrcRange}
	item := func(name string, at hcl.Range, e hclsyntax.Expression) {
		key := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: at}
		o.Items = append(o.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: e})
	}
	for _, a := range sortedAttributes(body) {
		item(a.Name, a.NameRange, a.Expr)
	}
	lists := map[string]*hclsyntax.TupleConsExpr{}
	for _, b := range body.Blocks {
		field := fieldType(t, b.Type)
		if field.Base != modules.List {
			item(b.Type, header(b), blockObject(b.Body, field))
			continue
		}
		if lists[b.Type] == nil {
			lists[b.Type] = &hclsyntax.TupleConsExpr{SrcRange: b.Range(), OpenRange: b.OpenBraceRange}
			item(b.Type, header(b), lists[b.Type])
		}
		lists[b.Type].Exprs = append(lists[b.Type].Exprs, blockObject(b.Body, field.Elem))
	}
	return o
}
