package inventory

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// hostLines reads hosts = { NAME = { … } } of a body: hosts on a line each, which take what
// host blocks take. A list of names, as groups have one, is none.
func (d *decoder) hostLines(body *hclsyntax.Body) []*node {
	attr, ok := body.Attributes["hosts"]
	if !ok {
		return nil
	}
	object, ok := attr.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil
	}
	list := make([]*node, 0, len(object.Items))
	for _, item := range object.Items {
		name, ok := d.key(item.KeyExpr, "Invalid hosts", "A host's name is text: in quotes where it has dots.")
		if !ok {
			continue
		}
		host, ok := item.ValueExpr.(*hclsyntax.ObjectConsExpr)
		if !ok {
			d.report(item.ValueExpr.Range(), "Invalid hosts", "A host is written as an object here: %s = { address = \"10.0.1.21\" }.", name)
			continue
		}
		list = append(list, d.hostNode(name, item.KeyExpr.Range(), d.asBody(host)))
	}
	return list
}

// asBody returns an object as the body of a block that says the same.
func (d *decoder) asBody(object *hclsyntax.ObjectConsExpr) *hclsyntax.Body {
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}, SrcRange: object.SrcRange, EndRange: object.SrcRange}
	for _, item := range object.Items {
		name, ok := d.key(item.KeyExpr, "Invalid hosts", "The name of a setting is text.")
		if !ok {
			continue
		}
		if first := body.Attributes[name]; first != nil {
			d.report(item.KeyExpr.Range(), "Attribute redefined", "%s has a value already, at %s. Keep one.", quote(name), position(first.NameRange))
			continue
		}
		body.Attributes[name] = &hclsyntax.Attribute{Name: name, Expr: item.ValueExpr, NameRange: item.KeyExpr.Range(), SrcRange: item.KeyExpr.Range()}
	}
	return body
}

// key returns a key of an object; where it is none that is written out, that is reported.
func (d *decoder) key(e hclsyntax.Expression, summary, detail string) (string, bool) {
	v, ok := d.constant(e)
	if !ok {
		return "", false
	}
	if v.IsNull() || v.Type() != cty.String {
		d.report(e.Range(), summary, "%s", detail)
		return "", false
	}
	return v.AsString(), true
}
