package view

import (
	"fmt"
	"strings"
	"unicode"
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
