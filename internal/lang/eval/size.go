package eval

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// How large a value may be that an expression makes. A few locals that each double the
// one before would otherwise be evaluated for ever; what sites have is far below.
const (
	largestParts = 1 << 20  // values in it, those in these among them
	largestText  = 64 << 20 // bytes of its texts and names
)

// tooLarge says so where a value is larger than it may be. It looks at no more of it than
// that takes.
func tooLarge(v cty.Value, at hcl.Range) hcl.Diagnostics {
	parts, text := largestParts, largestText
	if fits(v, &parts, &text) {
		return nil
	}
	detail := fmt.Sprintf("This makes a value of more than %d parts.", largestParts)
	if text < 0 {
		detail = fmt.Sprintf("This makes a value with more than %d MiB of text.", largestText>>20)
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Value too large", Detail: detail + " Does it hold a value several times that holds another several times?", Subject: &at}}
}

// fits takes what a value consists of from what is left.
func fits(v cty.Value, parts, text *int) bool {
	v, _ = v.Unmark()
	*parts--
	switch t := v.Type(); {
	case v.IsNull() || !v.IsKnown():
	case t == cty.String:
		*text -= len(v.AsString())
	case t.IsCollectionType() || t.IsTupleType() || t.IsObjectType():
		for it := v.ElementIterator(); it.Next(); {
			key, part := it.Element()
			if key.Type() == cty.String && !t.IsSetType() {
				*text -= len(key.AsString())
			}
			if !fits(part, parts, text) {
				return false
			}
		}
	}
	return *parts >= 0 && *text >= 0
}
