package web

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// digits is a SHA-256 or a SHA-512 sum.
const digits = `[0-9a-fA-F]{64}(?:[0-9a-fA-F]{64})?`

var (
	// plainSum is a line of sha256sum(1) and sha512sum(1): the sum, a space, " " or "*", the name.
	// A name with a backslash or a line's end has a backslash before the sum; such are passed over.
	plainSum = regexp.MustCompile(`^(` + digits + `)[ \t]+\*?(.+)$`)
	// taggedSum is a line of them with --tag, and of BSD's sha256(1) and sha512(1).
	taggedSum = regexp.MustCompile(`^(SHA2?-?(?:256|512)) ?\((.+)\) ?= ?(` + digits + `)$`)
	oneSum    = regexp.MustCompile(`^` + digits + `$`)
)

// algorithm is the function that a sum is one of.
func algorithm(sum string) string {
	if len(sum) == 2*sha512.Size {
		return "SHA-512"
	}
	return "SHA-256"
}

// sumOf returns the sum of a file in the text of a file of sums: lines of both forms of
// sha256sum and sha512sum, where names may have folders before them, or one sum alone. Of a
// file that has a SHA-256 and a SHA-512 sum the longer one counts.
func sumOf(text, name string) (string, error) {
	found := map[string]string{} // by algorithm
	var names []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		sum, of := "", ""
		if m := plainSum.FindStringSubmatch(line); m != nil {
			sum, of = m[1], m[2]
		} else if m := taggedSum.FindStringSubmatch(line); m != nil && strings.HasSuffix(m[1], strings.TrimPrefix(algorithm(m[3]), "SHA-")) {
			sum, of = m[3], m[2]
		}
		if sum = strings.ToLower(sum); sum == "" {
			continue
		}
		names = append(names, of)
		if of[strings.LastIndexByte(of, '/')+1:] != name {
			continue
		}
		if was := found[algorithm(sum)]; was != "" && was != sum {
			return "", fmt.Errorf("it has two sums of %q: give the one that is meant", name)
		}
		found[algorithm(sum)] = sum
	}
	switch text = strings.TrimSpace(text); {
	case found["SHA-512"] != "":
		return found["SHA-512"], nil
	case found["SHA-256"] != "":
		return found["SHA-256"], nil
	case oneSum.MatchString(text):
		return strings.ToLower(text), nil
	case len(names) == 0:
		return "", errors.New("it has no SHA-256 or SHA-512 sum")
	}
	return "", fmt.Errorf("it has no sum of %q, only of %s", name, strings.Join(names[:min(len(names), 5)], ", "))
}
