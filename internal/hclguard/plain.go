package hclguard

import "bytes"

// plain reports whether src is so simple that its bytes alone show it to be
// within the limits. It spares most files, which are lists of plain blocks,
// from being lexed twice; where it says no, the tokens are measured.
//
// Without template directives, heredocs and block comments, and where each
// string ends on its line, every line begins outside strings and comments, and
// brackets can be counted. A line, or the lines up to the end of a list, may hold
// MaxOperators/MaxNesting operators: then the objects and bodies around it
// can't hold more than MaxOperators together.
func plain(src []byte) bool {
	for _, s := range []string{"%{", "<<", "/*"} {
		if bytes.Contains(src, []byte(s)) {
			return false
		}
	}
	if holdsFor(src) {
		return false
	}
	p := plainText{}
	for line := range bytes.Lines(src) {
		if !p.line(line) || p.strings > 0 {
			return false
		}
		if p.lists == 0 {
			p.operators = 0
		}
	}
	return true
}

// plainText is what of a source was looked at so far.
type plainText struct {
	open      []byte // what is open: { [ ( " and $ for an interpolation
	strings   int    // how many of them are strings
	lists     int    // and how many [ or (
	operators int    // since the element began, or more
}

func (p *plainText) line(line []byte) bool {
	for i := 0; i < len(line); i++ {
		c, following := line[i], byte(0)
		if i+1 < len(line) {
			following = line[i+1]
		}
		if n := len(p.open); n > 0 && p.open[n-1] == '"' {
			skip, ok := p.text(c, following)
			if !ok {
				return false
			}
			i += skip
		} else if c == '#' || c == '/' && following == '/' {
			return true
		} else if !p.code(c, following) {
			return false
		}
		if len(p.open) >= MaxNesting || p.operators > MaxOperators/MaxNesting {
			return false
		}
	}
	return true
}

// text looks at a byte of a string, and says how many of those that follow it
// need no look. What the lexer may take for one thing or another isn't plain.
func (p *plainText) text(c, following byte) (skip int, ok bool) {
	switch {
	case c == '"':
		p.pop()
		p.strings--
	case c == '\\':
		return 1, bytes.IndexByte([]byte(`nrt"\`), following) >= 0
	case c == '$' && following == '{':
		p.open = append(p.open, '$')
		return 1, true
	case c == '$' || c == '%':
		return 0, bytes.IndexByte([]byte(`$%{"\`), following) < 0
	}
	return 0, true
}

// code looks at a byte outside strings.
func (p *plainText) code(c, following byte) bool {
	switch {
	case c == '"':
		p.open = append(p.open, c)
		p.strings++
	case c == '{':
		p.open = append(p.open, c)
	case c == '[' || c == '(':
		p.open = append(p.open, c)
		p.lists++
		p.operators++ // an index, perhaps
	case c == '}' || c == ']' || c == ')':
		opened := p.pop()
		if opened != opener(c) && !(opened == '$' && c == '}') {
			return false
		}
		if c != '}' {
			p.lists--
		}
	case c == '=' && following == '=' || bytes.IndexByte([]byte("!-+*/%?<>&|"), c) >= 0:
		p.operators++
	}
	return true
}

// pop returns what was opened last, and closes it; 0 if nothing is open.
func (p *plainText) pop() byte {
	last := len(p.open) - 1
	if last < 0 {
		return 0
	}
	opened := p.open[last]
	p.open = p.open[:last]
	return opened
}

// opener returns the bracket that c closes.
func opener(c byte) byte {
	switch c {
	case '}':
		return '{'
	case ']':
		return '['
	}
	return '('
}

// holdsFor reports whether the word "for" may stand in src: within
// { for … } a newline doesn't end an expression.
func holdsFor(src []byte) bool {
	for {
		_, after, found := bytes.Cut(src, []byte("for"))
		if !found {
			return false
		}
		if len(after) == 0 || !inWord(after[0]) {
			return true
		}
		src = after
	}
}

func inWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
