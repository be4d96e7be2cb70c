package inventory

import (
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"muster/transport"
)

// assignment gives a setting or a variable its value.
type assignment struct {
	name  string
	value cty.Value // of a setting: a string, a number (port), or null, which turns off what is further away
	at    hcl.Range
}

func find(list []assignment, name string) (assignment, bool) {
	for _, a := range list {
		if a.name == name {
			return a, true
		}
	}
	return assignment{}, false
}

// settings reads those settings of a body that are named, in that order.
func (d *decoder) settings(body *hclsyntax.Body, names []string) []assignment {
	var list []assignment
	for _, name := range names {
		attr, ok := body.Attributes[name]
		if !ok {
			continue
		}
		v, ok := d.constant(attr.Expr)
		if !ok {
			continue
		}
		v, why := setting(name, v, d.file)
		if why != "" {
			d.report(attr.Expr.Range(), "Invalid "+name, "%s", why)
			continue
		}
		list = append(list, assignment{name: name, value: v, at: attr.Expr.Range()})
	}
	return list
}

// setting checks the value of a setting that stands in file, and says what is
// wrong with it. The empty string is null.
func setting(name string, v cty.Value, file string) (_ cty.Value, why string) {
	want := cty.String
	if name == "port" {
		want = cty.Number
	}
	if v.IsNull() {
		return cty.NullVal(want), ""
	}
	converted, err := convert.Convert(v, want)
	if err != nil {
		return v, fmt.Sprintf("A %s is a %s, and this is %s.", name, want.FriendlyName(), article(v.Type()))
	}
	if name == "port" {
		return converted, badPort(converted.AsBigFloat())
	}
	s := converted.AsString()
	if s == "" {
		return cty.NullVal(cty.String), ""
	}
	switch name {
	case "address":
		return converted, badAddress(s)
	case "user":
		if err := (transport.Target{Name: "h", User: s}).Validate(); err != nil {
			return v, capital(err.Error()) + "."
		}
	case "connection":
		if s != "ssh" && s != "local" {
			return v, fmt.Sprintf("There is no connection %s. It is \"ssh\", or \"local\" for this machine.", quote(s))
		}
	case "identity":
		if strings.ContainsAny(s, "\x00\n") {
			return v, "An identity is the path of a private key file."
		}
		home, err := os.UserHomeDir()
		if err != nil && strings.HasPrefix(s, "~") {
			return v, fmt.Sprintf("The home folder is unknown: %s.", err)
		}
		return cty.StringVal(beside(file, s, home)), ""
	}
	return converted, ""
}

func badPort(f *big.Float) string {
	if n, exact := f.Int64(); exact != big.Exact || n < 1 || n > 65535 {
		return "A port is a whole number from 1 to 65535."
	}
	return ""
}

func badAddress(s string) string {
	if user, rest, ok := strings.Cut(s, "@"); ok {
		return fmt.Sprintf("An address is a host name or an IP address alone. Write address = %s and user = %s.", quote(rest), quote(user))
	}
	if host, port, err := net.SplitHostPort(s); err == nil && host != "" && port != "" {
		return fmt.Sprintf("An address is a host name or an IP address alone. Write address = %s and port = %s.", quote(host), port)
	}
	if err := (transport.Target{Name: "h", Address: s}).Validate(); err != nil {
		return capital(err.Error()) + "."
	}
	return ""
}

// constant evaluates an expression that may name and call nothing.
func (d *decoder) constant(expr hclsyntax.Expression) (cty.Value, bool) {
	if vars := expr.Variables(); len(vars) > 0 {
		t := vars[0]
		d.report(t.SourceRange(), "Not a constant", "What an inventory says is constant, so %s means nothing here. Write the value, in quotes if it is text; compute what depends on others in a play's vars.", quote(t.RootName()))
		return cty.NilVal, false
	}
	if call := firstCall(expr); call != nil {
		d.report(call.NameRange, "Not a constant", "What an inventory says is constant: no function is called here. Write the result of %s(), or compute it in a play's vars.", call.Name)
		return cty.NilVal, false
	}
	v, diags := expr.Value(nil)
	d.diags = append(d.diags, diags...)
	return v, !diags.HasErrors() && v.IsWhollyKnown()
}

// firstCall returns the first function call in expr, or nil.
func firstCall(expr hclsyntax.Expression) *hclsyntax.FunctionCallExpr {
	var found *hclsyntax.FunctionCallExpr
	hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && found == nil {
			found = call
		}
		return nil
	})
	return found
}

// vars reads the variables of a body, in the order of their declaration.
func (d *decoder) vars(body *hclsyntax.Body) []assignment {
	attr, ok := body.Attributes["vars"]
	if !ok {
		return nil
	}
	object, ok := attr.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		d.report(attr.Expr.Range(), "Invalid vars", "Variables are an object: vars = { name = value }.")
		return nil
	}
	list := make([]assignment, 0, len(object.Items))
	for _, item := range object.Items {
		key, ok := d.constant(item.KeyExpr)
		if !ok {
			continue
		}
		value, ok := d.constant(item.ValueExpr)
		if !ok {
			continue
		}
		if key.IsNull() || key.Type() != cty.String || key.AsString() == "" {
			d.report(item.KeyExpr.Range(), "Invalid vars", "The name of a variable is text.")
			continue
		}
		a := assignment{name: key.AsString(), value: value, at: item.KeyExpr.Range()}
		if first, ok := find(list, a.name); ok {
			d.report(a.at, "Duplicate variable", "%s has a value already, at %s. Keep one.", quote(a.name), position(first.at))
			continue
		}
		list = append(list, a)
	}
	return list
}

// refs reads a list of names.
func (d *decoder) refs(body *hclsyntax.Body, name string) []ref {
	attr, ok := body.Attributes[name]
	if !ok {
		return nil
	}
	tuple, ok := attr.Expr.(*hclsyntax.TupleConsExpr)
	if object, is := attr.Expr.(*hclsyntax.ObjectConsExpr); is && name == "hosts" && len(object.Items) == 0 {
		return nil // hosts of which none is declared
	}
	if !ok {
		d.report(attr.Expr.Range(), "Invalid "+name, "This is a list of names: %s = [\"a\", \"b\"].", name)
		return nil
	}
	refs := make([]ref, 0, len(tuple.Exprs))
	for _, e := range tuple.Exprs {
		v, ok := d.constant(e)
		if !ok {
			continue
		}
		if v.IsNull() || v.Type() != cty.String {
			d.report(e.Range(), "Invalid "+name, "This is a list of names, and here stands %s.", article(v.Type()))
			continue
		}
		refs = append(refs, ref{name: v.AsString(), at: e.Range()})
	}
	return refs
}

// article names a type with its article: "a string", "an object".
func article(t cty.Type) string {
	name := t.FriendlyName()
	if strings.ContainsAny(name[:1], "aeiou") {
		return "an " + name
	}
	return "a " + name
}
