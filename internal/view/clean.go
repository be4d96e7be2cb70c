package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Clean makes text from a host inert: control characters, terminal escapes and
// marks that turn the direction of writing are shown as what they are. Line
// ends and tabs stay.
func Clean(s string) string {
	if !strings.ContainsFunc(s, dangerous) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !dangerous(r) {
			b.WriteRune(r)
			continue
		}
		switch {
		case r == unicode.ReplacementChar:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// CleanLine is Clean for what has to stay on its line: a name, a target.
func CleanLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Clean(s))
}

// NewEncoder returns an encoder of JSON, an object a line, that a terminal shows
// as it is: what Clean makes inert is escaped, so that its readers find the same
// values.
func NewEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(inert{w})
	enc.SetEscapeHTML(false)
	return enc
}

// inert writes JSON, a value at a time. Outside of strings JSON is ASCII.
type inert struct{ w io.Writer }

func (i inert) Write(data []byte) (int, error) {
	n, err := i.w.Write(escaped(data))
	return min(n, len(data)), err
}

// escaped is JSON with escapes for what is dangerous in its strings.
func escaped(data []byte) []byte {
	var out []byte // nil: data is as it should be until from
	from := 0
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		at += size
		if r == '\r' || r == utf8.RuneError && size > 1 || !dangerous(r) {
			continue
		}
		out = append(out, data[from:at-size]...)
		if from = at; r > 0xffff {
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[from:]...)
}

func dangerous(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r == unicode.ReplacementChar:
		return true
	case unicode.IsControl(r):
		return true
	case unicode.Is(unicode.Bidi_Control, r), r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	}
	return unicode.Is(unicode.Cf, r) && r != 0x00ad && r != 0x200d
}
