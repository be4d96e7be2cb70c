package vault

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// parsePlain reads a store whose secrets stand there as muster writes them, a line for each
// argument, which is much faster than HCL's parser. Everything else is left to that. It
// returns nil where it isn't certain that the parser would come to the same, or where
// anything is wrong: then the file is to be parsed as a whole, whose diagnostics are the right ones.
func parsePlain(path string, src []byte) *Store {
	if len(src) == 0 || src[len(src)-1] != '\n' || bytes.IndexByte(src, '\r') >= 0 {
		return nil
	}
	p := plain{path: path, src: src, line: 1, entries: map[string]*entry{}}
	if !p.split() {
		return nil
	}
	s, err := parse(path, src, p.rest.Bytes())
	if err != nil {
		return nil
	}
	p.place(s)
	for name, e := range p.entries {
		if _, ok := s.Info(name); ok {
			return nil
		}
		s.entries[name] = e
		s.order = append(s.order, name)
	}
	slices.SortFunc(s.order, func(a, b string) int { return s.entries[a].whole.Start.Line - s.entries[b].whole.Start.Line })
	return s
}

// plain takes the plain secrets out of a file.
type plain struct {
	path    string
	src     []byte
	at      int // of the line in hand
	line    int
	rest    bytes.Buffer // the file with an empty line for each that was taken out
	starts  []int        // of the lines of the rest, in it; 0 for those of secrets
	entries map[string]*entry
}

// next returns the line in hand without its end; ok is false at the file's end.
func (p *plain) next() (text string, ok bool) {
	if p.at >= len(p.src) {
		return "", false
	}
	n := bytes.IndexByte(p.src[p.at:], '\n')
	return string(p.src[p.at : p.at+n]), true
}

// skip leaves the line in hand to the parser.
func (p *plain) skip(text string) {
	p.starts = append(p.starts, p.at-p.rest.Len())
	p.rest.WriteString(text)
	p.rest.WriteByte('\n')
	p.at += len(text) + 1
	p.line++
}

// split goes through the file. It is false where a line at the top is none of an empty one,
// a comment, and the first of a block: only between blocks is a secret one.
func (p *plain) split() bool {
	for {
		text, ok := p.next()
		if !ok {
			return true
		}
		switch {
		case text == "" || text[0] == '#' || strings.HasPrefix(text, "//"):
			p.skip(text)
		case p.secret(text):
		case !p.block(text):
			return false
		}
	}
}

// block leaves a block to the parser. Its lines are indented, and its last is "}".
func (p *plain) block(text string) bool {
	if text[0] < 'a' || text[0] > 'z' || !strings.HasSuffix(text, "{") || odd(text) {
		return false
	}
	p.skip(text)
	for {
		text, ok := p.next()
		switch {
		case !ok:
			return false
		case text == "}":
			p.skip(text)
			return true
		case text != "" && text[0] != ' ' && text[0] != '\t' || odd(text):
			return false
		}
		p.skip(text)
	}
}

// odd finds what may go over lines.
func odd(text string) bool { return strings.Contains(text, "<<") || strings.Contains(text, "/*") }

// secret takes a secret out, if all of it is plain.
func (p *plain) secret(header string) bool {
	name, ok := strings.CutPrefix(header, `secret "`)
	if !ok {
		return false
	}
	if name, ok = strings.CutSuffix(name, `" {`); !ok || ValidName(name) != nil || p.entries[name] != nil {
		return false
	}
	e := &entry{Info: Info{Name: name, Range: p.rangeOf(p.line, p.at, 0, len(header)-2)}}
	at, line := p.at+len(header)+1, p.line+1
	var seen [16]bool
	for {
		n := bytes.IndexByte(p.src[at:], '\n')
		if n < 0 {
			return false
		}
		text := string(p.src[at : at+n])
		if text == "}" {
			break
		}
		arg, value, ok := argument(text)
		i := slices.Index(secretArguments(), arg)
		if !ok || i < 0 || seen[i] || !e.put(arg, value) {
			return false
		}
		seen[i] = true
		if arg == "seal" {
			e.sealAt = p.rangeOf(line, at, 2, len(text))
		}
		at, line = at+n+1, line+1
	}
	if e.current == nil {
		return false
	}
	e.whole = p.rangeOf(p.line, p.at, 0, 0)
	e.whole.End = hcl.Pos{Line: line, Column: 2, Byte: at + 1}
	for ; p.line <= line; p.line++ {
		p.starts = append(p.starts, 0)
		p.rest.WriteByte('\n')
	}
	p.at = at + 2
	p.entries[name] = e
	return true
}

// rangeOf is a range in a line that begins at a byte.
func (p *plain) rangeOf(line, start, from, to int) hcl.Range {
	return hcl.Range{Filename: p.path, Start: hcl.Pos{Line: line, Column: from + 1, Byte: start + from}, End: hcl.Pos{Line: line, Column: to + 1, Byte: start + to}}
}

// argument reads a line such as `  owner   = "shop"`, whose text needs no unescaping.
func argument(text string) (name, value string, ok bool) {
	if len(text) < 3 || text[:2] != "  " || text[2] < 'a' || text[2] > 'z' {
		return "", "", false
	}
	name, value, ok = strings.Cut(text[2:], "=")
	if !ok || len(value) < 3 || value[:2] != ` "` || value[len(value)-1] != '"' {
		return "", "", false
	}
	value = value[2 : len(value)-1]
	for i := range len(value) {
		if c := value[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '$' || c == '%' {
			return "", "", false
		}
	}
	return strings.TrimRight(name, " "), value, value != ""
}

// put sets an argument as the parser's reader does. What that would refuse is false.
func (e *entry) put(name, value string) bool {
	var err error
	switch name {
	case "description":
		e.Description = value
	case "owner":
		e.Owner = value
	case "every":
		e.Every = value
		_, err = parseEvery(value)
	case "due":
		e.Due, err = ParseDate(value)
	case "created":
		e.Created, err = ParseDate(value)
	case "rotated":
		e.Rotated, err = ParseDate(value)
	case "seal":
		e.seal = value
	default:
		number, sealed, _ := strings.Cut(value, ":")
		b := &box{(&reader{}).number(number), sealed}
		if b.number == 0 || sealed == "" || strconv.Itoa(b.number) != number {
			return false
		}
		*map[string]**box{"current": &e.current, "pending": &e.pending, "previous": &e.previous}[name] = b
	}
	return err == nil
}

// place moves the ranges of what was parsed to where it stands in the whole file.
func (p *plain) place(s *Store) {
	move := func(r *hcl.Range) {
		for _, at := range []*hcl.Pos{&r.Start, &r.End} {
			if at.Line > 0 && at.Line <= len(p.starts) {
				at.Byte += p.starts[at.Line-1]
			}
		}
	}
	move(&s.at.seal)
	move(&s.at.mac)
	for i := range s.recipients {
		move(&s.recipients[i].Range)
		move(&s.recipients[i].whole)
	}
	for _, x := range s.elsewhere {
		move(&x.at)
		move(&x.whole)
	}
	for _, x := range s.sources {
		move(&x.at)
		move(&x.whole)
	}
	for _, e := range s.entries {
		move(&e.Range)
		move(&e.whole)
		move(&e.sealAt)
	}
}
