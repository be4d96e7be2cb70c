package hclguard

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestPlainKnowsWhatIsSimple(t *testing.T) {
	tests := []struct {
		name, src string
		want      bool
	}{
		{"blocks with strings and objects", "host \"a\" {\n  vars = { id = -1, x = \"]]]\" } # }}}\n}\n", true},
		{"more lines than the limit has levels", strings.Repeat("a = [1, 2]\n", 1000), true},
		{"words that hold for", "platform = \"forty\"\n", true},
		{"a template", "a = \"${x}\"", false},
		{"an escape", `a = "\"["`, false},
		{"a heredoc", "a = <<X\n[\nX\n", false},
		{"a block comment", "/* [ */", false},
		{"a string that goes on", "a = \"\n[\"", false},
		{"a for expression", "a = {\nfor\nx in y : x => x}", false},
		{"a bracket too many", "a = ]", false},
		{"brackets up to the limit", strings.Repeat("{", MaxNesting), false},
		{"many operators in a list", "a = [" + strings.Repeat("\n-1,", 100) + "]", false},
		{"many operators on a line", strings.Repeat("!", 100), false},
		{"many indexes", "a = b" + strings.Repeat("[c]", 100), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := plain([]byte(tt.src)); got != tt.want {
				t.Errorf("plain is %v, want %v", got, tt.want)
			}
		})
	}
}

// FuzzPlain looks for a source that plain lets pass and its tokens don't.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{"a = 1", "{", "[x", "!", "\"[", "x[y]", "// \"\n[", "{\nfor", "'[", "# \r[", "\"a\"{\n", "a = \"b\" == -1 ? ["} { // each is written often, so that little input passes the limits
		f.Add([]byte(s), 300)
	}
	f.Fuzz(func(t *testing.T, part []byte, times int) {
		if times < 1 || times > 3000 || len(part) > 40 || !utf8.Valid(part) { // which check refuses
			return
		}
		src := []byte(strings.Repeat(string(part), times))
		if !plain(src) {
			return
		}
		tokens, _ := hclsyntax.LexConfig(src, "f", hcl.InitialPos)
		if diags := measure(tokens); diags.HasErrors() {
			t.Fatalf("%d times %q is plain, and yet %v", times, part, diags)
		}
	})
}
