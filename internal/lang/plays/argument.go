package plays

import (
	"sync/atomic"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/files"
	"muster/modules"
)

// Argument is an argument of a task, or a role's input, as it is written.
type Argument struct {
	Name string
	At   hcl.Range    // of its name
	Arg  *modules.Arg // nil for what is no argument of the kind
	Raw  hclsyntax.Expression
	Expr *Expr
	// Done is what a constant argument evaluates to, once it has been.
	Done atomic.Pointer[Converted]
}

// RetryBlock is a task's retry, as it is written.
type RetryBlock struct {
	At                     hcl.Range
	Raw                    RawTask
	Attempts, Delay, Until *Expr
}

// RawTask is the meta arguments of a task, not yet analysed.
type RawTask map[string]*hclsyntax.Attribute

// Arg returns an argument of the kind that is written; nil where it isn't.
func (t *Task) Arg(name string) *Argument {
	for _, a := range t.Args {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Converted is an argument as modules.Decode takes it. It is never changed.
type Converted struct {
	Value     any // nil: not given
	Bodies    []files.Body
	Sensitive bool
	Unknown   bool
}

// AnyType takes whatever there is.
var AnyType = &modules.Type{Base: modules.Any}

// FieldType is the type of an item of what has a type.
func FieldType(t *modules.Type, name string) *modules.Type {
	switch t.Base {
	case modules.Map:
		return t.Elem
	case modules.Object:
		for i := range t.Fields {
			if t.Fields[i].Name == name {
				return &t.Fields[i].Type
			}
		}
	}
	return AnyType
}
