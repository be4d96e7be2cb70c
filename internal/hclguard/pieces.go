package hclguard

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// pieceBytes is the size from which a file, or a block in it, is parsed in
// pieces of about this size. The parser keeps a source's tokens in one list of
// some fifty times its size: that of a large file costs more to grow than the
// parsing itself.
const pieceBytes = 4 << 10

// parsePieces parses a large file block by block and returns what ParseConfig
// would. It returns nil where the file isn't made of plain blocks, or where
// anything is wrong with it: then it is to be parsed as a whole, whose
// diagnostics are the right ones.
func parsePieces(filename string, src []byte) *hcl.File {
	if len(src) < 2*pieceBytes || len(src) > MaxBytes || src[len(src)-1] != '\n' {
		return nil
	}
	s := splitter{src: src, line: 1}
	if !s.split() {
		return nil
	}
	p := pieces{filename: filename, src: src}
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	from := cut{0, 1}
	for _, it := range s.items {
		switch {
		case it.end.at-it.start.at >= 2*pieceBytes && len(it.inner) > 1:
			if !p.add(body, from, it.start) || !p.block(body, it) {
				return nil
			}
			from = it.end
		case it.end.at-from.at >= pieceBytes:
			if !p.add(body, from, it.end) {
				return nil
			}
			from = it.end
		}
	}
	end := cut{len(src), s.line}
	if !p.add(body, from, end) {
		return nil
	}
	eof := hcl.Pos{Line: end.line, Column: 1, Byte: end.at}
	body.SrcRange = hcl.Range{Filename: filename, Start: hcl.InitialPos, End: eof}
	body.EndRange = hcl.Range{Filename: filename, Start: eof, End: eof}
	return &hcl.File{Body: body, Bytes: src}
}

// pieces parses parts of a file.
type pieces struct {
	filename string
	src      []byte
}

// parse parses the text that stands at a cut; nil where it isn't right.
func (p *pieces) parse(text []byte, at cut) *hclsyntax.Body {
	if check(p.filename, text, false).HasErrors() {
		return nil
	}
	f, diags := hclsyntax.ParseConfig(text, p.filename, hcl.Pos{Line: at.line, Column: 1, Byte: at.at})
	body, ok := f.Body.(*hclsyntax.Body)
	if len(diags) > 0 || !ok {
		return nil
	}
	return body
}

// add parses what stands between two cuts into a body.
func (p *pieces) add(to *hclsyntax.Body, from, end cut) bool {
	if from.at == end.at {
		return true
	}
	part := p.parse(p.src[from.at:end.at], from)
	return part != nil && merge(to, part)
}

func merge(to, part *hclsyntax.Body) bool {
	for name, a := range part.Attributes {
		if to.Attributes[name] != nil {
			return false // said twice, which the parser is to report
		}
		to.Attributes[name] = a
	}
	to.Blocks = append(to.Blocks, part.Blocks...)
	return true
}

// block parses a large block: its header, and then its body in pieces.
func (p *pieces) block(to *hclsyntax.Body, it item) bool {
	part := p.parse(append(bytes.Clone(p.src[it.start.at:it.open+1]), "\n}\n"...), it.start)
	if part == nil || len(part.Blocks) != 1 {
		return false
	}
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	from := it.first
	for _, c := range it.inner {
		if c.at-from.at >= pieceBytes {
			if !p.add(body, from, c) {
				return false
			}
			from = c
		}
	}
	line := p.src[bytes.LastIndexByte(p.src[:it.close.at], '\n')+1 : it.close.at]
	if len(bytes.TrimLeft(line, " \t")) > 0 || !p.add(body, from, it.close) {
		return false // before the brace stands something: its column would have to be counted in characters
	}
	brace := hcl.Pos{Line: it.close.line, Column: len(line) + 1, Byte: it.close.at}
	after := hcl.Pos{Line: brace.Line, Column: brace.Column + 1, Byte: brace.Byte + 1}
	b := part.Blocks[0]
	b.CloseBraceRange = hcl.Range{Filename: p.filename, Start: brace, End: after}
	body.SrcRange = hcl.RangeBetween(b.OpenBraceRange, b.CloseBraceRange)
	body.EndRange = hcl.Range{Filename: p.filename, Start: after, End: after}
	b.Body = body
	return merge(to, part)
}

// cut is a place between two blocks, by byte and line.
type cut struct{ at, line int }

// item is one block of a file, with what stands between it and the one before.
type item struct {
	start, end cut
	open       int   // its brace
	first      cut   // the line after it
	inner      []cut // the lines after the blocks in it
	close      cut   // its closing brace
}

// splitter finds the blocks of a file. It knows comments, strings, templates
// and heredocs, as far as is needed to tell which braces count.
type splitter struct {
	src   []byte
	i     int
	line  int
	stack []byte // what is open: { [ ( " and $ for a template
	items []item
	it    item
}

// split returns false where it is lost.
func (s *splitter) split() bool {
	s.it = item{start: cut{0, 1}, open: -1}
	for s.i < len(s.src) {
		if n := len(s.stack); n > MaxNesting {
			return false
		} else if n > 0 && s.stack[n-1] == '"' {
			if !s.text(s.src[s.i]) {
				return false
			}
			continue
		}
		switch c := s.src[s.i]; c {
		case '\n':
			s.line++
		case '#':
			s.i = s.lineEnd(s.i)
			continue
		case '/':
			if s.next('*') {
				return false
			}
			if s.next('/') {
				s.i = s.lineEnd(s.i)
				continue
			}
		case '<':
			if s.next('<') {
				if !s.heredoc() {
					return false
				}
				continue
			}
		case '"', '[', '(':
			s.stack = append(s.stack, c)
		case '{':
			if !s.open() {
				return false
			}
		case '}', ']', ')':
			if !s.close(c) {
				return false
			}
		}
		s.i++
	}
	return len(s.stack) == 0
}

func (s *splitter) open() bool {
	if len(s.stack) == 0 {
		if s.it.open >= 0 {
			return false
		}
		s.it.open = s.i
		if s.endsLine(s.i + 1) {
			s.it.first = cut{s.lineEnd(s.i) + 1, s.line + 1}
		}
	}
	s.stack = append(s.stack, '{')
	return true
}

func (s *splitter) close(c byte) bool {
	last := len(s.stack) - 1
	if last < 0 {
		return false
	}
	opened := s.stack[last]
	if opened != opener(c) && !(opened == '$' && c == '}') {
		return false
	}
	s.stack = s.stack[:last]
	if opened != '{' || last > 1 || last == 1 && s.stack[0] != '{' {
		return true
	}
	if !s.endsLine(s.i + 1) {
		return last == 1 // a comment, perhaps; at the top it isn't worth following
	}
	after := cut{s.lineEnd(s.i) + 1, s.line + 1}
	if last == 1 {
		s.it.inner = append(s.it.inner, after)
		return true
	}
	s.it.close, s.it.end = cut{s.i, s.line}, after
	if s.it.first.line == 0 {
		s.it.inner = nil // its first block shares the line of the header
	}
	s.items = append(s.items, s.it)
	s.it = item{start: after, open: -1}
	return true
}

// text goes on in a string.
func (s *splitter) text(c byte) bool {
	template := c == '$' || c == '%'
	switch {
	case c == '\n':
		return false
	case c == '\\':
		s.i += 2
		return s.i <= len(s.src)
	case c == '"':
		s.stack = s.stack[:len(s.stack)-1]
	case template && s.next(c) && s.i+2 < len(s.src) && s.src[s.i+2] == '{':
		s.i += 3 // an escaped one
		return true
	case template && s.next('{'):
		s.stack = append(s.stack, '$')
		s.i++
	}
	s.i++
	return true
}

func (s *splitter) next(c byte) bool { return s.i+1 < len(s.src) && s.src[s.i+1] == c }

func (s *splitter) lineEnd(from int) int {
	if i := bytes.IndexByte(s.src[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(s.src)
}

// endsLine reports whether nothing but blanks stands between at and the line's end.
func (s *splitter) endsLine(at int) bool {
	end := s.lineEnd(at)
	return end < len(s.src) && len(bytes.Trim(s.src[at:end], " \t\r")) == 0
}

// heredoc skips <<MARK … MARK. A template in it that spans the marker loses
// it, which the parser then notices.
func (s *splitter) heredoc() bool {
	end := s.lineEnd(s.i)
	mark := bytes.TrimSpace(bytes.TrimPrefix(s.src[s.i+2:end], []byte("-")))
	if len(mark) == 0 || bytes.ContainsAny(mark, " \t\"(){}[]<>=,#") {
		return false
	}
	for end < len(s.src) {
		s.line++
		start := end + 1
		end = s.lineEnd(start)
		if bytes.Equal(bytes.TrimSpace(s.src[start:end]), mark) {
			s.i = end
			return true
		}
	}
	return false
}
