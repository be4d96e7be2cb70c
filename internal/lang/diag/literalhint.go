package diag

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/hclguard"
)

// lexer is hclsyntax.LexConfig or hclsyntax.LexTemplate.
type lexer func(src []byte, filename string, start hcl.Pos) (hclsyntax.Tokens, hcl.Diagnostics)

// SyntaxHints says what to write where HCL takes for a template what was meant
// as it stands, in a text of a shell or of curl.
func SyntaxHints(diags hcl.Diagnostics, src []byte, lex lexer) hcl.Diagnostics {
	var tokens hclsyntax.Tokens
	for _, d := range diags {
		if d.Subject == nil || Hint(d) != "" || hclguard.IsLimit(d) {
			continue
		}
		if tokens == nil {
			tokens, _ = lex(src, d.Subject.Filename, hcl.InitialPos)
		}
		switch sequenceAt(tokens, d.Subject.Start) {
		case hclsyntax.TokenTemplateControl:
			AddHint(d, `For a literal "%{" write "%%{"; longer texts are better kept in a file that "source" names.`)
		case hclsyntax.TokenTemplateInterp:
			AddHint(d, `For a literal "${" write "$${".`)
		}
	}
	return diags
}

// opened is what is open at a place in a source: a text, or a "${" or "%{" in one.
type opened struct {
	by       hclsyntax.Token
	comment  bool // "${#", after which HCL takes the rest of the line for a comment; or a text with one
	directed bool // a text with a "%{"
}

// sequenceAt is what opens the sequence of a template that an error at a place
// has to do with; the zero TokenType where it has to do with none.
func sequenceAt(tokens hclsyntax.Tokens, at hcl.Pos) hclsyntax.TokenType {
	stack := []opened{{}} // a template is a text itself
	for i, t := range tokens {
		if t.Range.Start.Byte > at.Byte {
			break
		}
		top := &stack[len(stack)-1]
		closed := t.Range.End.Byte <= at.Byte && len(stack) > 1
		switch t.Type {
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			top.directed = top.directed || t.Type == hclsyntax.TokenTemplateControl
			comment := i+1 < len(tokens) && tokens[i+1].Type == hclsyntax.TokenComment && tokens[i+1].Range.Start == t.Range.End
			stack = append(stack, opened{by: t, comment: comment})
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			stack = append(stack, opened{by: t})
		case hclsyntax.TokenTemplateSeqEnd:
			if closed {
				stack[len(stack)-2].comment = stack[len(stack)-2].comment || top.comment
				stack = stack[:len(stack)-1]
			}
		case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenEOF:
			if closed && t.Type != hclsyntax.TokenEOF {
				stack = stack[:len(stack)-1]
			} else if top.directed {
				return hclsyntax.TokenTemplateControl // one that isn't ended
			}
		}
	}
	for i := len(stack) - 1; i >= 0; i-- {
		o := stack[i]
		sequence := o.by.Type == hclsyntax.TokenTemplateInterp || o.by.Type == hclsyntax.TokenTemplateControl
		switch {
		case sequence && (o.comment || o.by.Range.Start.Line == at.Line):
			return o.by.Type
		case !sequence && o.comment:
			return hclsyntax.TokenTemplateInterp
		}
	}
	return 0
}
