package refs

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/diag"
)

// hostVars notes the vars that follow a host in a traversal: all of them where
// the host, or its vars, are taken as a whole.
func (w *walker) hostVars(t hcl.Traversal) {
	if len(t) == 0 {
		w.allVars = true
		return
	}
	attr, ok := diag.StepName(t[0])
	switch {
	case !ok:
		w.allVars = true
	case attr == "vars":
		w.varsAfter(t[1:])
	}
}

// varsAfter notes which of the vars is read, by what follows "vars".
func (w *walker) varsAfter(t hcl.Traversal) {
	if len(t) > 0 {
		if name, ok := diag.StepName(t[0]); ok {
			w.readVars = append(w.readVars, name)
			return
		}
	}
	w.allVars = true
}

// everyHost returns the name "hosts" in an expression that gives the hosts, one
// after the other, to what stands around it; nil where it is none.
func (w *walker) everyHost(e hclsyntax.Expression) *hclsyntax.ScopeTraversalExpr {
	e = diag.Unwrap(e)
	if call, ok := e.(*hclsyntax.FunctionCallExpr); ok && call.Name == "values" && len(call.Args) == 1 {
		e = diag.Unwrap(call.Args[0])
	}
	if !w.isRoot(e, "hosts") {
		return nil
	}
	return e.(*hclsyntax.ScopeTraversalExpr)
}

// forHosts notes that a for goes over the hosts: what is read of its elements
// is read of hosts, and "hosts" itself isn't taken as a whole.
func (w *walker) forHosts(x *hclsyntax.ForExpr) {
	loop := loop{}
	if hosts := w.everyHost(x.CollExpr); hosts != nil {
		w.parted, loop.host = hosts, x.ValVar
	}
	w.loops = append(w.loops, loop)
}

// splatHosts is forHosts for values(hosts)[*].
func (w *walker) splatHosts(x *hclsyntax.SplatExpr) {
	if _, call := diag.Unwrap(x.Source).(*hclsyntax.FunctionCallExpr); !call {
		return // hosts[*] is a list of one: all of them
	}
	hosts := w.everyHost(x.Source)
	if hosts == nil {
		return
	}
	w.parted = hosts
	if each, ok := x.Each.(*hclsyntax.RelativeTraversalExpr); ok && each.Source == hclsyntax.Expression(x.Item) {
		w.hostElement(append(hcl.Traversal{hcl.TraverseRoot{Name: "hosts[…]"}}, each.Traversal...))
		return
	}
	w.allVars = true
}

// hostElement checks what is read of one of the hosts, by whatever name.
func (w *walker) hostElement(t hcl.Traversal) {
	w.hostVars(t[1:])
	if name, ok := diag.SecondName(t); ok && w.attribute(t, hostAttributes) && name == "facts" {
		w.factPath(t, 2)
	}
}

// loop is a for around an expression.
type loop struct {
	host string // the name of an element that is a host; "" if none is
}

// isHost reports whether a name belongs to a for, and is a host there.
func (w *walker) isHost(name string) bool {
	for i := len(w.locals) - 1; i >= 0; i-- {
		if _, ok := w.locals[i].names[name]; ok {
			return w.locals[i].host == name
		}
	}
	return false
}
