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
		{"a template", `a = "x ${y[0]} on ${f("}", "${z}")} ]"`, true},
		{"a template in a list", "a = [\n  \"${x}\",\n  \"]${y}\"]\n", true},
		{"an escape", `a = "\"[\\" == "a\n"`, true},
		{"a dollar that is text", `a = "$x 5% of $ it"`, true},
		{"a template that spans lines", "a = \"${\nx}\"", false},
		{"a comment in a template", "a = \"${x # }\"\n}\"", false},
		{"a directive", `a = "%{ if x }y%{ endif }"`, false},
		{"an escaped template", `a = "$${"`, false},
		{"a dollar before a template", `a = "$$${x}"`, false},
		{"a percent sign before a template", `a = "%${x}"`, false},
		{"an escaped dollar", `a = "\${"`, false},
		{"an escape of another sort", `a = "\u0022"`, false},
		{"a dollar at a string's end", `a = "$"`, false},
		{"strings in strings up to the limit", strings.Repeat(`"${`, MaxNesting/2) + strings.Repeat(`}"`, MaxNesting/2), false},
		{"a template's bracket that closes the one around it", `a = ["${x]}"`, false},
		{"operators in a template", `a = "${` + strings.Repeat("-", 11) + `1}"`, false},
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
	for _, s := range []string{"a = 1", "{", "[x", "!", "\"[", "x[y]", "// \"\n[", "{\nfor", "'[", "# \r[", "\"a\"{\n", "a = \"b\" == -1 ? [", "\"${", "\"${x}", "\"\\\"${[", "\"$x${-", "\"%", "\"${f(\"}\")}\"\n", "a = [\"${-x}\",\n"} { // each is written often, so that little input passes the limits
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
