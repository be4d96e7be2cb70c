package hclguard

import "bytes"

// plain reports whether src is so simple that its bytes alone show it to be
// within the limits. It spares large files, which are lists of plain blocks,
// from being lexed twice; where it says no, the tokens are measured.
//
// Without templates, escapes, heredocs and block comments, a string ends on
// its line. So every line begins outside strings and comments, and brackets
// can be counted. A line, or the lines up to the end of a list, may hold
// MaxOperators/MaxNesting operators: then the objects and bodies around it
// can't hold more than MaxOperators together.
func plain(src []byte) bool {
	for _, s := range []string{"\\", "${", "%{", "<<", "/*"} {
		if bytes.Contains(src, []byte(s)) {
			return false
		}
	}
	if holdsFor(src) {
		return false
	}
	var open []byte // the brackets that are open
	lists, operators := 0, 0
	for line := range bytes.Lines(src) {
		inString := false
	bytes:
		for i, c := range line {
			following := byte(0)
			if i+1 < len(line) {
				following = line[i+1]
			}
			switch {
			case c == '"':
				inString = !inString
			case inString:
			case c == '#' || c == '/' && following == '/':
				break bytes
			case c == '{':
				open = append(open, c)
			case c == '[' || c == '(':
				open = append(open, c)
				lists++
				operators++ // an index, perhaps
			case c == '}' || c == ']' || c == ')':
				last := len(open) - 1
				if last < 0 || open[last] != opener(c) {
					return false
				}
				open = open[:last]
				if c != '}' {
					lists--
				}
			case c == '=' && following == '=' || bytes.IndexByte([]byte("!-+*/%?<>&|"), c) >= 0:
				operators++
			}
			if len(open) >= MaxNesting || operators > MaxOperators/MaxNesting {
				return false
			}
		}
		if inString {
			return false
		}
		if lists == 0 {
			operators = 0
		}
	}
	return true
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
