package secret

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text as needles are looked for in it: without white space, and with escapes
// undone. It knows where in the text each of its bytes comes from.
type view struct {
	text     []byte
	from, to []int32
}

// maxView is how many bytes are looked through at once: what a frame holds is less.
const maxView = 1<<31 - 1

func newView(text string) *view {
	text = text[:min(len(text), maxView)]
	n, bytes, from, to := 0, make([]byte, len(text)), make([]int32, len(text)), make([]int32, len(text))
	for i := range len(text) {
		if c := text[i]; !blank(c) {
			bytes[n], from[n], to[n] = c, int32(i), int32(i+1)
			n++
		}
	}
	return &view{bytes[:n], from[:n], to[:n]}
}

func blank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (v *view) put(c byte, from, to int32) {
	v.text, v.from, v.to = append(v.text, c), append(v.from, from), append(v.to, to)
}

// span is where a part of the view comes from.
func (v *view) span(from, to int) span { return span{int(v.from[from]), int(v.to[to-1])} }

// decoded is the view with its escapes undone once; nil where it has none.
func (v *view) decoded() *view {
	next := &view{}
	copied := 0 // bytes that are in next
	upTo := func(i int) {
		next.text, next.from, next.to = append(next.text, v.text[copied:i]...), append(next.from, v.from[copied:i]...), append(next.to, v.to[copied:i]...)
	}
	for i := 0; i < len(v.text); {
		c := v.text[i]
		if c != '%' && c != '\\' && c != '&' && c != '\'' {
			i++
			continue
		}
		plain, n := unescape(v.text[i:])
		if n == 0 {
			i++
			continue
		}
		upTo(i)
		for k := range len(plain) {
			if !blank(plain[k]) {
				next.put(plain[k], v.from[i], v.to[i+n-1])
			}
		}
		i += n
		copied = i
	}
	if copied == 0 {
		return nil
	}
	upTo(len(v.text))
	return next
}

// unescape reads an escape at the begin of a text, of n bytes: as in URLs (%2F), in JSON
// and most languages (\n, \", \u00e9, \xe9, \351), of shells ('\”), and in HTML (&amp;, &#39;). n
// is 0 where there is none.
func unescape(text []byte) (plain string, n int) {
	s := string(text[:min(len(text), 12)])
	switch s[0] {
	case '%':
		return bytesOf(s, 1, 2, 16)
	case '\'':
		for _, quote := range []string{`'\''`, `'"'"'`} {
			if strings.HasPrefix(s, quote) {
				return "'", len(quote)
			}
		}
		return "", 0
	case '&':
		return entity(s)
	}
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case 'n', 'r', 't':
		return " ", 2
	case 'x':
		return bytesOf(s, 2, 2, 16)
	case 'u':
		return unicodeEscape(s)
	case 'U':
		if code, err := strconv.ParseUint(s[2:min(10, len(s))], 16, 21); err == nil && len(s) >= 10 {
			return string(rune(code)), 10
		}
		return "", 0
	case '0', '1', '2', '3':
		return bytesOf(s, 1, 3, 8)
	case '4', '5', '6', '7', 'a', 'b', 'e', 'f', 'v':
		return "", 0
	}
	return s[1:2], 2
}

// bytesOf is the byte whose code stands at a place in s.
func bytesOf(s string, at, digits, base int) (string, int) {
	if len(s) < at+digits {
		return "", 0
	}
	code, err := strconv.ParseUint(s[at:at+digits], base, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(code)}), at + digits
}

// unicodeEscape reads \u00e9, or two that are one character.
func unicodeEscape(s string) (string, int) {
	unit := func(at int) (rune, bool) {
		if len(s) < at+6 || s[at:at+2] != `\u` {
			return 0, false
		}
		code, err := strconv.ParseUint(s[at+2:at+6], 16, 16)
		return rune(code), err == nil
	}
	first, ok := unit(0)
	if !ok {
		return "", 0
	}
	if second, ok := unit(6); ok && utf16.IsSurrogate(first) {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return string(r), 12
		}
	}
	return string(first), 6
}

func entity(s string) (string, int) {
	end := strings.IndexByte(s, ';')
	if end < 0 {
		return "", 0
	}
	name := s[1:end]
	if plain, ok := map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}[name]; ok {
		return plain, end + 1
	}
	digits, base := strings.TrimPrefix(name, "#"), 10
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "x"); ok {
		digits, base = hex, 16
	}
	code, err := strconv.ParseUint(digits, base, 21)
	if err != nil || !strings.HasPrefix(name, "#") {
		return "", 0
	}
	return string(rune(code)), end + 1
}
