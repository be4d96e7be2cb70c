package inventory

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// python reads Python literals: numbers, strings, True, False, None, lists,
// tuples and dicts, which is what values in an INI inventory may be.
type python struct {
	text string
	at   int
}

// rest is what has not been read.
func (p *python) rest() string { return strings.TrimSpace(p.text[p.at:]) }

// next is the next byte that is no space, or 0.
func (p *python) next() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// value reads one literal; deeper than 50 there is none.
func (p *python) value(depth int) (cty.Value, bool) {
	if depth > 50 {
		return cty.NilVal, false
	}
	switch c := p.next(); c {
	case 0:
		return cty.NilVal, false
	case '\'', '"':
		s, ok := p.quoted(c)
		return cty.StringVal(s), ok
	case '[', '(':
		return p.list(depth)
	case '{':
		return p.dict(depth)
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t,:]})", p.text[p.at]) < 0 {
		p.at++
	}
	switch word := p.text[start:p.at]; word {
	case "True":
		return cty.True, true
	case "False":
		return cty.False, true
	case "None":
		return cty.NullVal(cty.DynamicPseudoType), true
	default:
		return number(word)
	}
}

// number reads a decimal number of a length that people write. Leading zeros
// make it text, as they do in Python.
func number(word string) (cty.Value, bool) {
	digits := strings.TrimLeft(word, "+-")
	if len(word)-len(digits) > 1 || len(digits) == 0 || len(digits) > 40 || strings.Trim(digits, "0123456789.") != "" {
		return cty.NilVal, false
	}
	whole, _, fraction := strings.Cut(digits, ".")
	if len(whole) > 1 && whole[0] == '0' && !fraction {
		return cty.NilVal, false
	}
	v, err := cty.ParseNumberVal(strings.TrimPrefix(word, "+"))
	return v, err == nil
}

func (p *python) quoted(end byte) (string, bool) {
	var s strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == end:
			p.at++
			return strings.ToValidUTF8(s.String(), "\uFFFD"), true
		case c == '\\' && p.at+1 < len(p.text):
			p.at++
			switch e := p.text[p.at]; e {
			case 'n':
				s.WriteByte('\n')
			case 't':
				s.WriteByte('\t')
			case '\\', '\'', '"':
				s.WriteByte(e)
			default: // \x41 and its kind: the whole is then text as it stands
				return "", false
			}
		default:
			s.WriteByte(c)
		}
	}
	return "", false
}

// list reads a list or a tuple. "(1)" is a number in Python; nobody writes it.
func (p *python) list(depth int) (cty.Value, bool) {
	end := byte(']')
	if p.text[p.at] == '(' {
		end = ')'
	}
	p.at++
	var list []cty.Value
	for {
		if p.next() == end {
			p.at++
			return cty.TupleVal(list), true
		}
		v, ok := p.value(depth + 1)
		if !ok || !p.comma(end) {
			return cty.NilVal, false
		}
		list = append(list, v)
	}
}

func (p *python) dict(depth int) (cty.Value, bool) {
	p.at++
	object := map[string]cty.Value{}
	for {
		if p.next() == '}' {
			p.at++
			return cty.ObjectVal(object), true
		}
		key, ok := p.value(depth + 1)
		if !ok || key.IsNull() || key.Type() != cty.String || p.next() != ':' {
			return cty.NilVal, false
		}
		p.at++
		v, ok := p.value(depth + 1)
		if !ok || !p.comma('}') {
			return cty.NilVal, false
		}
		object[key.AsString()] = v
	}
}

// comma passes a comma, or stops before end.
func (p *python) comma(end byte) bool {
	switch p.next() {
	case ',':
		p.at++
		return true
	case end:
		return true
	}
	return false
}
