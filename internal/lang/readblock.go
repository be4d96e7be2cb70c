package lang

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
	"muster/modules"
)

// blockValue returns what the blocks of an argument's name are another way to write.
func (l *loader) blockValue(name string, blocks []*hclsyntax.Block, schema *modules.Schema, body *hclsyntax.Body) hclsyntax.Expression {
	arg := schema.Arg(name)
	if arg == nil {
		l.unknownArgument(name, header(blocks[0]), schema)
		return nil
	}
	if body.Attributes[name] != nil {
		l.errorAt(header(blocks[0]), "Duplicate argument", "", "%q is given at %s already.", name, diag.Place(body.Attributes[name].NameRange))
		return nil
	}
	return l.blocksOf(name, blocks, &arg.Type)
}

// blocksOf returns the value of type t that blocks of one name write: an object is one
// block, a list of objects a block for each, and a map a block of its keys or, where it
// is of objects, a labelled block for each. It is nil where they can't write it.
func (l *loader) blocksOf(name string, blocks []*hclsyntax.Block, t *modules.Type) hclsyntax.Expression {
	isList := t.Base == modules.List && t.Elem.Base == modules.Object
	isMap := t.Base == modules.Map && (t.Elem.Base == modules.Object || t.Elem.Base == modules.Any)
	if t.Base != modules.Object && t.Base != modules.Map && t.Base != modules.Any && !isList {
		l.errorAt(header(blocks[0]), "Wrong form", name+" = …", "%q takes a %s: it is written with \"=\".", name, t)
		return nil
	}
	if isMap && len(blocks[0].Labels) > 0 {
		return l.labelled(name, blocks, t.Elem)
	}
	if len(blocks) > 1 && !isList {
		l.errorAt(header(blocks[1]), "Duplicate argument", "", "%q is given at %s already.", name, diag.Place(header(blocks[0])))
		return nil
	}
	if isList {
		t = t.Elem
	}
	var exprs []hclsyntax.Expression
	for _, b := range blocks {
		if len(b.Labels) > 0 {
			l.errorAt(b.LabelRanges[0], "Wrong labels", name+" { … }", "%q has no label.", name)
		}
		exprs = append(exprs, l.blockObject(b.Body, t))
	}
	if !isList {
		return exprs[0]
	}
	return &hclsyntax.TupleConsExpr{Exprs: exprs, SrcRange: hcl.RangeBetween(exprs[0].Range(), exprs[len(exprs)-1].Range()), OpenRange: exprs[0].Range()}
}

// labelled returns the map that labelled blocks write. Labels that recur are reported
// as keys of one object are.
func (l *loader) labelled(name string, blocks []*hclsyntax.Block, elem *modules.Type) hclsyntax.Expression {
	o := &hclsyntax.ObjectConsExpr{SrcRange: hcl.RangeBetween(blocks[0].Range(), blocks[len(blocks)-1].Range()), OpenRange: header(blocks[0])}
	for _, b := range blocks {
		if len(b.Labels) != 1 {
			l.errorAt(header(b), "Wrong labels", "", "%q has one label here, as at %s: %s", name, diag.Place(header(blocks[0])), fmt.Sprintf("%s \"NAME\" { … }", name))
			continue
		}
		key := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(b.Labels[0]), SrcRange: b.LabelRanges[0]}
		o.Items = append(o.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: l.blockObject(b.Body, elem)})
	}
	return o
}

// blockObject returns the object that a block's body writes. t is its type;
// what the type doesn't name is reported later.
func (l *loader) blockObject(body *hclsyntax.Body, t *modules.Type) hclsyntax.Expression {
	o := &hclsyntax.ObjectConsExpr{SrcRange: body.SrcRange, OpenRange: body.SrcRange}
	item := func(name string, at hcl.Range, e hclsyntax.Expression) {
		key := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: at}
		o.Items = append(o.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: e})
	}
	for _, a := range sortedAttributes(body) {
		item(a.Name, a.NameRange, a.Expr)
	}
	blocks := map[string][]*hclsyntax.Block{}
	var order []string
	for _, b := range body.Blocks {
		if blocks[b.Type] == nil {
			order = append(order, b.Type)
		}
		blocks[b.Type] = append(blocks[b.Type], b)
	}
	for _, name := range order {
		at := header(blocks[name][0])
		if t.Base == modules.Object && !t.Has(name) {
			item(name, at, &hclsyntax.ObjectConsExpr{SrcRange: at, OpenRange: at}) // which is told when it is decoded
			continue
		}
		if e := l.blocksOf(name, blocks[name], plays.FieldType(t, name)); e != nil {
			item(name, at, e)
		}
	}
	return o
}
