package plays

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/diag"
	"muster/modules"
)

// Place returns the file and line of what an argument's error is about.
func (t *Task) Place(err modules.ArgError) (file string, line int) {
	r := t.At(err)
	return r.Filename, r.Start.Line
}

// At is the smallest range that an argument's error is about.
func (t *Task) At(err modules.ArgError) hcl.Range {
	a := t.Arg(err.Arg)
	if a == nil {
		if t.KeyLabel != nil && t.KeyLabel.Name == err.Arg {
			return t.KeyLabel.At
		}
		return t.Range
	}
	e, rest := a.Raw, err.Path
	for rest != "" {
		var next hclsyntax.Expression
		var name string
		switch {
		case strings.HasPrefix(rest, "["):
			end := strings.Index(rest, "]")
			if strings.HasPrefix(rest, `["`) {
				if i := strings.Index(rest, `"]`); i > 0 {
					end = i + 1
				}
			}
			if end < 0 {
				return e.Range()
			}
			name, rest = rest[1:end], rest[end+1:]
			var i int
			if _, err := fmt.Sscanf(name, "%d", &i); err == nil {
				next = diag.TupleItem(e, i)
			} else {
				next = diag.ObjectItem(e, strings.Trim(name, `"`))
			}
		case strings.HasPrefix(rest, "."):
			name = rest[1:]
			if i := strings.IndexAny(name, ".["); i >= 0 {
				name = name[:i]
			}
			rest = rest[1+len(name):]
			next = diag.ObjectItem(e, name)
			if next == nil && rest == "" {
				if at, ok := objectKey(e, name); ok {
					return at
				}
			}
		default:
			return e.Range()
		}
		if next == nil {
			return e.Range()
		}
		e = next
	}
	if err.Summary == "Unknown argument" && err.Path == "" {
		return a.At
	}
	if err.Summary == "Unknown argument" {
		if at, ok := keyOf(a.Raw, e); ok {
			return at
		}
	}
	return e.Range()
}

func objectKey(e hclsyntax.Expression, name string) (hcl.Range, bool) {
	o, ok := diag.Unwrap(e).(*hclsyntax.ObjectConsExpr)
	if !ok {
		return hcl.Range{}, false
	}
	for _, item := range o.Items {
		if diag.ItemKey(item.KeyExpr) == name {
			return item.KeyExpr.Range(), true
		}
	}
	return hcl.Range{}, false
}

// keyOf finds the key whose value is e, somewhere in an expression.
func keyOf(in, e hclsyntax.Expression) (at hcl.Range, ok bool) {
	hclsyntax.VisitAll(in, func(n hclsyntax.Node) hcl.Diagnostics {
		if o, isObject := n.(*hclsyntax.ObjectConsExpr); isObject {
			for _, item := range o.Items {
				if item.ValueExpr == e {
					at, ok = item.KeyExpr.Range(), true
				}
			}
		}
		return nil
	})
	return at, ok
}
