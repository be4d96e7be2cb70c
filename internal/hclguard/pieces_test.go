package hclguard

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// bigFile writes n blocks, perBlock of them in each outer one.
func bigFile(n, perBlock int) []byte {
	var b strings.Builder
	b.WriteString("# a comment\nattribute = { a = [1, 2] }\n")
	for i := 0; i < n; i++ {
		if i%perBlock == 0 {
			if i > 0 {
				b.WriteString("}\n")
			}
			fmt.Fprintf(&b, "\nplay \"p%d\" {\n  hosts = [\"all\"]\n", i/perBlock)
		}
		fmt.Fprintf(&b, "  # comment } {\n  task \"file\" \"/etc/f%d\" {\n    content = \"x ${upper(\"}\")} on ${host.name}\\n \\\" $${ %%%%{\"\n    mode    = \"0644\"\n    list = [\n      { a = 1 },\n      { b = \"}\" }\n    ]\n  }\n", i)
		if i%7 == 0 {
			fmt.Fprintf(&b, "  task \"x\" \"y%d\" {\n    a = <<-EOT\n      é }}} ${x} \"\n    EOT\n  }\n  one \"line\" { x = 1 } // here\n  blank {}\n", i)
		}
	}
	b.WriteString("}\nvariable \"x\" {}\n")
	return []byte(b.String())
}

func TestPiecesGiveWhatTheWholeGives(t *testing.T) {
	for _, per := range []int{1, 50, 5000} {
		src := bigFile(400, per)
		want, diags := hclsyntax.ParseConfig(src, "x.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		got := parsePieces("x.hcl", src)
		if got == nil {
			t.Fatal("not parsed in pieces", per)
		}
		if !reflect.DeepEqual(got.Body, want.Body) {
			t.Errorf("%d blocks in each: the bodies differ", per)
		}
	}
}

func BenchmarkWhole(b *testing.B) {
	src := bigFile(10_000, 1000)
	for b.Loop() {
		check("x", src, false)
		hclsyntax.ParseConfig(src, "x", hcl.InitialPos)
	}
}

func BenchmarkPieces(b *testing.B) {
	src := bigFile(10_000, 1000)
	for b.Loop() {
		if parsePieces("x", src) == nil {
			b.Fatal("not parsed in pieces")
		}
	}
}

func FuzzPieces(f *testing.F) {
	f.Add(string(bigFile(3, 2)))
	f.Add("a {\n  b {}\n}\n")
	big := string(bigFile(300, 100))
	f.Fuzz(func(t *testing.T, text string) {
		src := []byte(big + text + "\n")
		got := parsePieces("x.hcl", src)
		if got == nil {
			return
		}
		want, diags := hclsyntax.ParseConfig(src, "x.hcl", hcl.InitialPos)
		if len(diags) > 0 || !reflect.DeepEqual(got.Body, want.Body) {
			t.Errorf("pieces differ: %v", diags)
		}
	})
}
