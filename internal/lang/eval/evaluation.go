package eval

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

// evaluation is the making of one Evaluated.
type evaluation struct {
	s       *Scope
	t       *plays.Task
	l       layer
	out     *Evaluated
	waits   Waits
	diags   hcl.Diagnostics
	secrets map[string]bool
	spread  bool // something sensitive may stand anywhere in what is shown
}

func (e *evaluation) fail(at hcl.Range, summary, hint, detail string, a ...any) {
	e.diags = append(e.diags, diag.Error(at, summary, hint, "%s", e.withhold(fmt.Sprintf(detail, a...))))
}

// value evaluates an expression of the task; ok is false where it waits or is
// wrong.
func (e *evaluation) value(x *plays.Expr) (cty.Value, bool) {
	v, waits, diags := e.s.value(x, e.l)
	e.waits, e.diags = append(e.waits, waits...), append(e.diags, diags...)
	return v, len(waits) == 0 && !diags.HasErrors()
}

// withhold leaves sensitive texts out of a message.
func (e *evaluation) withhold(text string) string { return withhold(e.secrets, text) }

func withhold(sensitive map[string]bool, text string) string {
	secrets := slices.Sorted(maps.Keys(sensitive))
	sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) })
	for _, s := range secrets {
		quoted := fmt.Sprintf("%q", s)
		text = strings.ReplaceAll(text, quoted, `"(sensitive)"`)
		if len(s) > 3 { // a shorter one would be found in the message's own words
			text = strings.ReplaceAll(text, s, "(sensitive)")
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], "(sensitive)")
		}
	}
	return text
}
