package plays

import "github.com/zclconf/go-cty/cty"

// MayBecome reports whether a task of the play may have to run as another
// user than the one who logs in: whether any become in it is something else
// than the constant false.
func (p *Play) MayBecome() bool {
	if mayBecome(p.Become) || anyBecomes(p.Steps) {
		return true
	}
	return p.Rolling != nil && (anyBecomes(p.Rolling.Before) || anyBecomes(p.Rolling.After))
}

func anyBecomes(steps []*Step) bool {
	for _, s := range steps {
		switch {
		case s.Task != nil && mayBecome(s.Task.Become):
			return true
		case s.Block != nil && (mayBecome(s.Block.Become) || anyBecomes(s.Block.Steps) || anyBecomes(s.Block.Rescue) || anyBecomes(s.Block.Always)):
			return true
		}
	}
	return false
}

func mayBecome(x *Expr) bool {
	if x == nil {
		return false
	}
	v, diags := x.Value(nil)
	return diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type() != cty.Bool || v.True()
}
