package hclguard

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// frame is one bracket, brace, string or template sequence that is open.
type frame struct {
	closes hclsyntax.TokenType
	// operators seen since the element began: each may be a level of the tree
	// of the expression, as in !!!x, a ? b : c ? d : e, or a[b][c].
	operators int
	// directives is how many %{if} and %{for} are open in a template.
	directives int
	// lines is whether a newline ends an element (a body, an object).
	lines bool
}

// closer maps each opening token to the one that closes it.
var closer = map[hclsyntax.TokenType]hclsyntax.TokenType{
	hclsyntax.TokenOBrace:          hclsyntax.TokenCBrace,
	hclsyntax.TokenOBrack:          hclsyntax.TokenCBrack,
	hclsyntax.TokenOParen:          hclsyntax.TokenCParen,
	hclsyntax.TokenOQuote:          hclsyntax.TokenCQuote,
	hclsyntax.TokenOHeredoc:        hclsyntax.TokenCHeredoc,
	hclsyntax.TokenTemplateInterp:  hclsyntax.TokenTemplateSeqEnd,
	hclsyntax.TokenTemplateControl: hclsyntax.TokenTemplateSeqEnd,
}

// meter walks the tokens of a source and keeps count of what is open.
type meter struct {
	stack      []frame
	operators  int // sum over the stack
	directives int // sum over the stack
}

// measure refuses tokens that would make the parser recurse past the limits.
func measure(tokens hclsyntax.Tokens) hcl.Diagnostics {
	m := meter{stack: []frame{{closes: hclsyntax.TokenEOF, lines: true}}}
	for i, tok := range tokens {
		next := hclsyntax.TokenEOF
		if i+1 < len(tokens) {
			next = tokens[i+1].Type
		}
		switch tok.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			m.open(tok, tokens[i+1:])
		case hclsyntax.TokenCBrace, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			m.close(tok.Type)
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			m.close(tok.Type)
			if next == hclsyntax.TokenOBrack || next == hclsyntax.TokenDot {
				m.operator() // a chain of indexes is as deep as it is long
			}
		case hclsyntax.TokenComma:
			m.element()
		case hclsyntax.TokenNewline:
			if m.top().lines {
				m.element()
			}
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar,
			hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenQuestion, hclsyntax.TokenAnd, hclsyntax.TokenOr,
			hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
			hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq:
			m.operator()
		}
		if len(m.stack)-1+m.directives > MaxNesting {
			return fail(tok.Range, "Nested too deeply",
				fmt.Sprintf("Brackets, braces, strings and template directives may stand at most %d deep inside each other, and this is one more. Look for a bracket that is never closed, or give the inner parts a name of their own.", MaxNesting))
		}
		if m.operators > MaxOperators {
			return fail(tok.Range, "Expression too long",
				fmt.Sprintf("An expression may hold at most %d operators. Give parts of it a name of their own, or write it with a function over a list.", MaxOperators))
		}
	}
	return nil
}

func (m *meter) top() *frame { return &m.stack[len(m.stack)-1] }

// open pushes a frame for tok; rest is what follows it.
func (m *meter) open(tok hclsyntax.Token, rest hclsyntax.Tokens) {
	word := firstWord(rest)
	if tok.Type == hclsyntax.TokenTemplateControl {
		m.directive(word)
	}
	m.stack = append(m.stack, frame{
		closes: closer[tok.Type],
		// The parser ignores newlines in { for … }, so they end nothing there.
		lines: tok.Type == hclsyntax.TokenOBrace && word != "for",
	})
}

// directive counts the %{ word } of the template around it.
func (m *meter) directive(word string) {
	switch word {
	case "if", "for":
		m.top().directives++
		m.directives++
	case "endif", "endfor":
		if m.top().directives > 0 {
			m.top().directives--
			m.directives--
		}
	}
}

// close pops the frame that t closes and those left open within it. The
// parser, too, gives up on those; a t that closes nothing is its to report.
func (m *meter) close(t hclsyntax.TokenType) {
	for i := len(m.stack) - 1; i > 0; i-- {
		if m.stack[i].closes != t {
			continue
		}
		for _, f := range m.stack[i:] {
			m.operators -= f.operators
			m.directives -= f.directives
		}
		m.stack = m.stack[:i]
		return
	}
}

func (m *meter) operator() {
	m.top().operators++
	m.operators++
}

// element begins the next element of a list, an object or a body.
func (m *meter) element() {
	m.operators -= m.top().operators
	m.top().operators = 0
}

// firstWord returns the identifier that tokens begin with, past newlines.
func firstWord(tokens hclsyntax.Tokens) string {
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
		case hclsyntax.TokenIdent:
			return string(t.Bytes)
		default:
			return ""
		}
	}
	return ""
}
