// Package spelling finds the name that was probably meant by one that doesn't exist.
package spelling

import (
	"strings"
	"unicode/utf8"
)

// Nearest returns the name that was probably meant by one that doesn't exist,
// "" if none is close: at most one edit for up to three letters, two beyond,
// three from eight on; two swapped neighbours are one edit.
func Nearest(name string, names []string) string {
	best, found := min(utf8.RuneCountInString(name)/4+1, 3), ""
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n), best); d <= best && n != name {
			if d < best || found == "" {
				best, found = d, n
			}
		}
	}
	if found != "" {
		return found
	}
	for _, n := range names {
		if len(name) >= 3 && (strings.HasPrefix(n, name) || strings.HasPrefix(name, n) && len(n) >= 3) {
			return n
		}
	}
	return ""
}

// distance is the optimal string alignment distance, given up past limit.
func distance(s, t string, limit int) int {
	a, b := []rune(s), []rune(t)
	if diff := len(a) - len(b); diff > limit || -diff > limit {
		return limit + 1
	}
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}
