// Package hclguard parses HCL without letting a hostile or broken file end the process.
//
// The HCL parser and evaluator are recursive: a file of a hundred thousand
// brackets, or as many "!" in a row, grows the goroutine's stack until the
// runtime kills the program, which no recover can catch. So every file is
// first lexed, which takes no recursion, and measured. What is refused here
// is far beyond what anyone writes.
package hclguard

import (
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The limits that Parse, ParseExpression and ParseTemplate hold a source to.
const (
	MaxBytes     = 10 << 20 // size of one source, in bytes
	MaxNesting   = 200      // brackets, braces, strings and %{if}, %{for} inside each other
	MaxOperators = 2000     // operators that may be pending in one expression and those around it
)

// Parse parses the HCL file src. It is hclsyntax.ParseConfig, except that a
// source too large, too deep or not UTF-8 is a diagnostic. The file is never
// nil, so that its bytes can be shown; its body may be empty.
// A large file is parsed in pieces where that gives the same; its Nav is nil
// then.
func Parse(filename string, src []byte) (*hcl.File, hcl.Diagnostics) {
	if f := parsePieces(filename, src); f != nil {
		return f, nil
	}
	if diags := check(filename, src, false); diags.HasErrors() {
		return &hcl.File{Bytes: src, Body: hcl.EmptyBody()}, diags
	}
	return hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
}

// ParseExpression parses src as one expression, as hclsyntax.ParseExpression
// does, within the limits. The expression is nil where a limit is passed.
func ParseExpression(filename string, src []byte) (hclsyntax.Expression, hcl.Diagnostics) {
	if diags := check(filename, src, false); diags.HasErrors() {
		return nil, diags
	}
	return hclsyntax.ParseExpression(src, filename, hcl.InitialPos)
}

// ParseTemplate parses src as a template, as hclsyntax.ParseTemplate does,
// within the limits. The expression is nil where a limit is passed.
func ParseTemplate(filename string, src []byte) (hclsyntax.Expression, hcl.Diagnostics) {
	if diags := check(filename, src, true); diags.HasErrors() {
		return nil, diags
	}
	return hclsyntax.ParseTemplate(src, filename, hcl.InitialPos)
}

// check reports the limit that src passes, if any. Errors of syntax are left
// to the parser, which words them better than the lexer.
func check(filename string, src []byte, template bool) hcl.Diagnostics {
	if len(src) > MaxBytes {
		return fail(hcl.Range{Filename: filename, Start: hcl.InitialPos, End: hcl.InitialPos}, "File too large",
			fmt.Sprintf("This file has more than the %d MiB that are read. Split it; a file that is only copied belongs in a task's \"source\".", MaxBytes>>20))
	}
	if at, ok := invalidUTF8(src); ok {
		return fail(hcl.Range{Filename: filename, Start: at, End: hcl.Pos{Line: at.Line, Column: at.Column + 1, Byte: at.Byte + 1}}, "Not UTF-8",
			fmt.Sprintf("The byte 0x%02x at offset %d is no part of a UTF-8 character. Save the file as UTF-8 without a byte-order mark.", src[at.Byte], at.Byte))
	}
	if !template && plain(src) {
		return nil
	}
	lex := hclsyntax.LexConfig // expressions are lexed alike
	if template {
		lex = hclsyntax.LexTemplate
	}
	tokens, _ := lex(src, filename, hcl.InitialPos)
	return measure(tokens)
}

// invalidUTF8 returns the position of the first byte that is not UTF-8.
func invalidUTF8(src []byte) (hcl.Pos, bool) {
	if utf8.Valid(src) {
		return hcl.Pos{}, false
	}
	at := hcl.InitialPos
	for at.Byte < len(src) {
		r, size := utf8.DecodeRune(src[at.Byte:])
		switch {
		case r == utf8.RuneError && size == 1:
			return at, true
		case r == '\n':
			at.Line++
			at.Column = 1
		default:
			at.Column++
		}
		at.Byte += size
	}
	return hcl.Pos{}, false
}

func fail(at hcl.Range, summary, detail string) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at, Extra: limit{}}}
}

// limit marks the diagnostics of this package, which aren't the parser's.
type limit struct{}

// IsLimit reports whether a diagnostic says that a source was refused for what
// it is as a whole, not for its syntax.
func IsLimit(d *hcl.Diagnostic) bool {
	_, ok := hcl.DiagnosticExtra[limit](d)
	return ok
}
