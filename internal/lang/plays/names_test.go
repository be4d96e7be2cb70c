package plays

import (
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestIdentifiersAreThoseOfHCL(t *testing.T) {
	for c := range rune(0x250) {
		for _, s := range []string{string(c), "a" + string(c), "é" + string(c), string(c) + "a"} {
			if got, want := IsIdentifier(s), hclsyntax.ValidIdentifier(s); got != want {
				t.Errorf("%q: %v, want %v", s, got, want)
			}
		}
	}
	for _, s := range []string{"", "a-b_9", "\xff", "a\xff", "漢字", "if", "null"} {
		if got, want := IsIdentifier(s), hclsyntax.ValidIdentifier(s); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}
