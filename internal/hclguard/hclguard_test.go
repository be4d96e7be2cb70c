package hclguard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
)

func TestParseRefusesWhatWouldEndTheProcess(t *testing.T) {
	many := func(s string) string { return strings.Repeat(s, 15_000) }
	deep, long := "Nested too deeply", "Expression too long"
	tests := []struct {
		name, src, want string
	}{
		{"brackets that are never closed", "a = " + many("["), deep},
		{"brackets that are closed", "a = " + many("[") + many("]"), deep},
		{"parentheses", "a = " + strings.Repeat("(", 100_000), deep},
		{"calls of functions", "a = " + many("f("), deep},
		{"objects", "a = " + many("{a="), deep},
		{"blocks", many("b {\n"), deep},
		{"blocks that are closed", many("b {\n") + many("}\n"), deep},
		{"templates in templates", "a = " + many(`"${`), deep},
		{"brackets inside a template", `a = "${` + many("["), deep},
		{"heredocs in templates", "a = " + many("<<X\n${"), deep},
		{"template directives", `a = "` + many("%{ if true }"), deep},
		{"template directives in a heredoc", "a = <<X\n" + many("%{~ for x in y ~}") + "\nX\n", deep},
		{"mixed brackets", "a = " + many("[{a=("), deep},
		{"for expressions", "a = " + many("[for x in "), deep},
		{"brackets among strings with brackets", "a = " + many(`["]]]",`), deep},
		{"negations", "a = " + many("!"), long},
		{"minus signs", "a = " + many("-") + "1", long},
		{"sums", "a = 1" + many("+1"), long},
		{"conditions in conditions", "a = x" + many("?x:x"), long},
		{"conditions nested the other way", "a = " + many("x?"), long},
		{"indexes that are expressions", "a = x" + many("[x]"), long},
		{"splats", "a = x" + many("[*]"), long},
		{"splats of the old form", "a = x" + many(".*"), long},
		{"an object's for that spans lines", "a = {for k, v in x : k => " + many("!\n"), long},
		{"operators spread over brackets", "a = " + strings.Repeat("["+strings.Repeat("!", 150), 150), long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := hclguard.Parse("x.hcl", []byte(tt.src))
			if file == nil || file.Body == nil || len(file.Bytes) != len(tt.src) {
				t.Fatal("the file can't be shown")
			}
			if len(diags) != 1 || diags[0].Summary != tt.want || diags[0].Subject == nil || diags[0].Subject.Filename != "x.hcl" {
				t.Fatalf("got %v, want %q alone, with its place", diags, tt.want)
			}
		})
	}
}

func TestParseAllowsWhatPeopleWrite(t *testing.T) {
	var hosts strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&hosts, "host \"web%d\" {\n  address = \"10.0.0.%d\"\n  vars = { id = -%d, up = !false }\n}\n", i, i%250, i)
	}
	tests := []struct{ name, src string }{
		{"an empty file", ""},
		{"thousands of blocks", hosts.String()},
		{"many elements with an operator each", "a = [" + strings.Repeat("-1,\n", 10_000) + "]"},
		{"an object of many lines with an operator each", "a = {\n" + repeat(5000, "k%d = -1\n") + "}"},
		{"a template of many interpolations", `a = "` + strings.Repeat("${x}", 10_000) + `"`},
		{"a template of many directives in a row", `a = "` + strings.Repeat("%{ if x }y%{ endif }", 10_000) + `"`},
		{"brackets in strings", `a = "` + strings.Repeat("[", 100_000) + `"`},
		{"brackets in comments", "#" + strings.Repeat("[", 100_000) + "\n/*" + strings.Repeat("{", 100_000) + "*/\n//" + strings.Repeat("(", 1000)},
		{"escaped templates", `a = "` + strings.Repeat("$${%%{", 10_000) + `"`},
		{"a byte-order mark's absence and other scripts", "a = \"größe ✓ 漢字\"\n"},
		{"nesting up to the limit", "a = " + strings.Repeat("[", hclguard.MaxNesting) + strings.Repeat("]", hclguard.MaxNesting)},
		{"a long chain of attributes", "a = x" + strings.Repeat(".y", 10_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, diags := hclguard.Parse("x.hcl", []byte(tt.src)); diags.HasErrors() {
				t.Fatal(diags)
			}
		})
	}
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestParsePointsAtTheByteThatIsNotUTF8(t *testing.T) {
	_, diags := hclguard.Parse("x.hcl", []byte("# ü\na = \"é\xff\"\n"))
	if len(diags) != 1 || diags[0].Summary != "Not UTF-8" {
		t.Fatalf("got %v", diags)
	}
	want := hcl.Pos{Line: 2, Column: 7, Byte: 12}
	if got := diags[0].Subject.Start; got != want {
		t.Errorf("points at %+v, want %+v", got, want)
	}
	if !strings.Contains(diags[0].Detail, "0xff") {
		t.Errorf("detail %q does not name the byte", diags[0].Detail)
	}
}

func TestParseRefusesAFileThatIsTooLarge(t *testing.T) {
	src := []byte("# " + strings.Repeat("x", hclguard.MaxBytes))
	_, diags := hclguard.Parse("x.hcl", src)
	if len(diags) != 1 || diags[0].Summary != "File too large" {
		t.Fatalf("got %v", diags)
	}
	// Its size isn't known: who reads it stops at the limit.
	if !strings.Contains(diags[0].Detail, "more than the 10 MiB") {
		t.Errorf("detail %q does not name the limit", diags[0].Detail)
	}
	if _, diags := hclguard.Parse("x.hcl", src[:hclguard.MaxBytes]); diags.HasErrors() {
		t.Fatalf("a file of the limit's size: %v", diags)
	}
}

func TestParseLeavesErrorsOfSyntaxToTheParser(t *testing.T) {
	src := []byte("a = \"${(}\"\nb = [\nc = )\n")
	_, got := hclguard.Parse("x.hcl", src)
	_, want := hclsyntax.ParseConfig(src, "x.hcl", hcl.InitialPos)
	if got.Error() != want.Error() || !want.HasErrors() {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestExpressionsAndTemplatesAreGuardedToo(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	if e, diags := hclguard.ParseExpression("e", []byte(deep)); e != nil || !diags.HasErrors() {
		t.Errorf("expression: %v", diags)
	}
	if e, diags := hclguard.ParseTemplate("t", []byte("${"+deep)); e != nil || !diags.HasErrors() {
		t.Errorf("template: %v", diags)
	}
	if e, diags := hclguard.ParseTemplate("t", []byte(strings.Repeat("%{ if x }", 100_000))); e != nil || !diags.HasErrors() {
		t.Errorf("directives: %v", diags)
	}
	if e, diags := hclguard.ParseTemplate("t", []byte(deep)); e == nil || diags.HasErrors() {
		t.Errorf("brackets in the text of a template: %v", diags)
	}
	if e, diags := hclguard.ParseExpression("e", []byte("1 + 1")); e == nil || diags.HasErrors() {
		t.Errorf("a sum: %v", diags)
	}
}

// FuzzParse looks for input on which the guard or the parser behind it panics,
// and for positions outside the file.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "a = 1", "b \"l\" {\n a = [1, {x = \"${y}\"}]\n}\n", "a = <<X\n%{ if x }\n${(\nX\n",
		"a = \"%{~ for x in y ~}${x}%{ endfor }\"", "\xef\xbb\xbfa = 1", "a = \xff", "a = {for k, v in x : k => !v...}", "x = a.*.b[*].c[d]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, diags := hclguard.Parse("f", src)
		if file == nil {
			t.Fatal("no file")
		}
		for _, d := range diags {
			if d.Subject != nil && (d.Subject.Start.Byte < 0 || d.Subject.Start.Byte > len(src)) {
				t.Fatalf("%v lies outside the file", d)
			}
		}
		hclguard.ParseExpression("f", src)
		hclguard.ParseTemplate("f", src)
	})
}
