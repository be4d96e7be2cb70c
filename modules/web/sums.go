package web

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// plainSum is a line of sha256sum(1): the sum, a space, " " or "*", the name. A name with a
	// backslash or a line's end has a backslash before the sum; such are passed over.
	plainSum = regexp.MustCompile(`^([0-9a-fA-F]{64})[ \t]+\*?(.+)$`)
	// taggedSum is a line of sha256sum --tag, and of BSD's sha256(1).
	taggedSum = regexp.MustCompile(`^SHA2?-?256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})$`)
	oneSum    = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// sumOf returns the sum of a file in the text of a file of sums: lines of both of
// sha256sum's forms, where names may have folders before them, or one sum alone.
func sumOf(text, name string) (string, error) {
	found := ""
	var names []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		sum, of := "", ""
		if m := plainSum.FindStringSubmatch(line); m != nil {
			sum, of = m[1], m[2]
		} else if m := taggedSum.FindStringSubmatch(line); m != nil {
			sum, of = m[2], m[1]
		}
		if sum = strings.ToLower(sum); sum == "" {
			continue
		}
		names = append(names, of)
		if of[strings.LastIndexByte(of, '/')+1:] != name {
			continue
		}
		if found != "" && found != sum {
			return "", fmt.Errorf("it has two sums of %q: give the one that is meant", name)
		}
		found = sum
	}
	switch text = strings.TrimSpace(text); {
	case found != "":
		return found, nil
	case oneSum.MatchString(text):
		return strings.ToLower(text), nil
	case len(names) == 0:
		return "", fmt.Errorf("it has no SHA-256 sum")
	}
	return "", fmt.Errorf("it has no sum of %q, only of %s", name, strings.Join(names[:min(len(names), 5)], ", "))
}
