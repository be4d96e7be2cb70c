package inventory

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hint proposes the candidate that is spelled most like name; without one
// near enough, it lists them in the sentence list, if they are few. It begins
// with a space, or is empty.
func hint(name string, candidates []string, list string) string {
	if best := nearest(name, candidates); best != "" {
		return fmt.Sprintf(" Did you mean %s?", quote(best))
	}
	if list == "" || len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	return " " + fmt.Sprintf(list, strings.Join(candidates, ", "))
}

// nearest returns the candidate at most a third of name's length away from
// it, counted in letters changed, added, left out or swapped with the next.
func nearest(name string, candidates []string) string {
	limit := max(1, utf8.RuneCountInString(name)/3)
	best := ""
	for _, c := range candidates {
		if len(c) > len(name)+4*limit || len(name) > len(c)+4*limit {
			continue
		}
		if n := distance(strings.ToLower(name), strings.ToLower(c)); n <= limit {
			if best == "" || n < limit {
				best, limit = c, n
			}
		}
	}
	return best
}

// distance is the optimal string alignment distance of a and b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last := make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row := make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
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
