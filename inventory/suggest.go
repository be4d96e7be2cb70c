package inventory

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"muster/internal/spelling"
)

// hint proposes the candidate that is spelled most like name; without one
// near enough, it lists them in the sentence list, if they are few. It begins
// with a space, or is empty.
func hint(name string, candidates []string, list string) string {
	if best := spelling.Nearest(name, candidates); best != "" {
		return fmt.Sprintf(" Did you mean %s?", quote(best))
	}
	if list == "" || len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	return " " + fmt.Sprintf(list, strings.Join(candidates, ", "))
}

// quote shows a word of a file: with what doesn't print escaped, and cut
// where it is long.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 80 {
		s = string([]rune(s)[:77]) + "…"
	}
	return strconv.Quote(s)
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
