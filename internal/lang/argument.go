package lang

import (
	"sync/atomic"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/files"
	"muster/modules"
)

// argument is an argument of a task, or a role's input, as it is written.
type argument struct {
	name string
	at   hcl.Range    // of its name
	arg  *modules.Arg // nil for what is no argument of the kind
	raw  hclsyntax.Expression
	expr *expr
	// done is what a constant argument evaluates to, once it has been.
	done atomic.Pointer[converted]
}

type retryBlock struct {
	at                     hcl.Range
	raw                    rawTask
	attempts, delay, until *expr
}

// rawTask is the meta arguments of a task, not yet analysed.
type rawTask map[string]*hclsyntax.Attribute

func (t *Task) arg(name string) *argument {
	for _, a := range t.args {
		if a.name == name {
			return a
		}
	}
	return nil
}

// converted is an argument as modules.Decode takes it. It is never changed.
type converted struct {
	value     any // nil: not given
	bodies    []files.Body
	sensitive bool
	unknown   bool
}

var anyType = &modules.Type{Base: modules.Any}

func fieldType(t *modules.Type, name string) *modules.Type {
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
	return anyType
}
