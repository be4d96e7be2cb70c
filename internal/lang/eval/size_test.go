package eval

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

func TestLargeValuesAreCountedAsDeepAsTheyGo(t *testing.T) {
	doubled := func(v cty.Value, times int, twice func(a, b cty.Value) cty.Value) cty.Value {
		for range times {
			v = twice(v, v)
		}
		return v
	}
	object := func(a, b cty.Value) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{"a": a, "b": b})
	}
	tuple := func(a, b cty.Value) cty.Value { return cty.TupleVal([]cty.Value{a, b.Mark(afterApply)}) }
	text := cty.StringVal(strings.Repeat("x", 1<<20))
	for name, c := range map[string]struct {
		v    cty.Value
		want string
	}{
		"a word":                       {cty.StringVal("x"), ""},
		"nothing":                      {cty.NullVal(cty.List(cty.String)), ""},
		"what isn't known":             {cty.UnknownVal(cty.DynamicPseudoType), ""},
		"a thousand objects":           {doubled(cty.True, 10, object), ""},
		"objects in objects":           {doubled(cty.True, 20, object), "1048576 parts"},
		"marked values in tuples":      {doubled(cty.True, 20, tuple), "1048576 parts"},
		"64 texts of 1 MiB":            {doubled(text, 6, tuple), ""},
		"128 texts of 1 MiB":           {doubled(text, 7, tuple), "64 MiB of text"},
		"the names of a map, as texts": {cty.ListVal([]cty.Value{cty.MapVal(map[string]cty.Value{strings.Repeat("k", 65<<20): cty.True})}), "64 MiB of text"},
	} {
		t.Run(name, func(t *testing.T) {
			diags := tooLarge(c.v, hcl.Range{})
			if c.want == "" && diags != nil || c.want != "" && (diags == nil || !strings.Contains(diags[0].Detail, c.want)) {
				t.Errorf("%v, not %q", diags, c.want)
			}
		})
	}
}
