package hclguard

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// pieceBytes is the size from which a file, or a block in it, is parsed in
// pieces of about this size. The parser keeps a source's tokens in one list of
// some fifty times its size: that of a large file costs more to grow than the
// parsing itself.
const pieceBytes = 2 << 10

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
			p.add(body, from, it.start)
			if !p.block(body, it) {
				return nil
			}
			from = it.end
		case it.end.at-from.at >= pieceBytes:
			p.add(body, from, it.end)
			from = it.end
		}
	}
	end := cut{len(src), s.line}
	p.add(body, from, end)
	if !p.run() {
		return nil
	}
	eof := hcl.Pos{Line: end.line, Column: 1, Byte: end.at}
	body.SrcRange = hcl.Range{Filename: filename, Start: hcl.InitialPos, End: eof}
	body.EndRange = hcl.Range{Filename: filename, Start: eof, End: eof}
	return &hcl.File{Body: body, Bytes: src}
}

// pieces parses parts of a file, several at once, and then puts them together.
type pieces struct {
	filename string
	src      []byte
	list     []*piece
	joins    []func() bool // in order; false where a part isn't right
}

// piece is a text that stands at a cut, and what it says.
type piece struct {
	text []byte
	at   cut
	body *hclsyntax.Body // nil where the text isn't right
}

// later has a text parsed by run.
func (p *pieces) later(text []byte, at cut) *piece {
	out := &piece{text: text, at: at}
	p.list = append(p.list, out)
	return out
}

// run returns false where a part isn't right.
func (p *pieces) run() bool {
	var next atomic.Int64
	var wrong atomic.Bool
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 4) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(p.list) && !wrong.Load(); i = int(next.Add(1)) - 1 {
				if !p.parse(p.list[i]) {
					wrong.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() {
		return false
	}
	for _, join := range p.joins {
		if !join() {
			return false
		}
	}
	return true
}

// parse returns false where the text isn't right.
func (p *pieces) parse(x *piece) bool {
	if check(p.filename, x.text, false).HasErrors() {
		return false
	}
	f, diags := hclsyntax.ParseConfig(x.text, p.filename, hcl.Pos{Line: x.at.line, Column: 1, Byte: x.at.at})
	body, ok := f.Body.(*hclsyntax.Body)
	x.body = body
	return len(diags) == 0 && ok
}

// add puts what stands between two cuts into a body.
func (p *pieces) add(to *hclsyntax.Body, from, end cut) {
	if from.at == end.at {
		return
	}
	part := p.later(p.src[from.at:end.at], from)
	p.joins = append(p.joins, func() bool { return merge(to, part.body) })
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

// block puts a large block into a body: its header is parsed alone, and what is
// in it in pieces. It returns false where that can't be done.
func (p *pieces) block(to *hclsyntax.Body, it item) bool {
	line := p.src[bytes.LastIndexByte(p.src[:it.close.at], '\n')+1 : it.close.at]
	if len(bytes.TrimLeft(line, " \t")) > 0 {
		return false // before the brace stands something: its column would have to be counted in characters
	}
	header := p.later(append(bytes.Clone(p.src[it.start.at:it.open+1]), "\n}\n"...), it.start)
	body := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	from := it.first
	for _, c := range it.inner {
		if c.at-from.at >= pieceBytes {
			p.add(body, from, c)
			from = c
		}
	}
	p.add(body, from, it.close)
	brace := hcl.Pos{Line: it.close.line, Column: len(line) + 1, Byte: it.close.at}
	after := hcl.Pos{Line: brace.Line, Column: brace.Column + 1, Byte: brace.Byte + 1}
	p.joins = append(p.joins, func() bool {
		if len(header.body.Blocks) != 1 {
			return false
		}
		b := header.body.Blocks[0]
		b.CloseBraceRange = hcl.Range{Filename: p.filename, Start: brace, End: after}
		body.SrcRange = hcl.RangeBetween(b.OpenBraceRange, b.CloseBraceRange)
		body.EndRange = hcl.Range{Filename: p.filename, Start: after, End: after}
		b.Body = body
		return merge(to, header.body)
	})
	return true
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
