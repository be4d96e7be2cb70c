package packages

import (
	"path"
	"strings"
)

// matches reports whether a version is one that pattern names: "*" and "?" are
// as in a shell. A pattern without epoch doesn't match a version with one, as apt has it.
func matches(pattern, version string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, version)
	return err == nil && ok
}

// compareVersions orders versions as deb-version(7) does: less than, equal to
// or more than zero.
func compareVersions(a, b string) int {
	ea, va, ra := splitVersion(a)
	eb, vb, rb := splitVersion(b)
	for _, pair := range [][2]string{{ea, eb}, {va, vb}, {ra, rb}} {
		if c := comparePart(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return 0
}

func splitVersion(v string) (epoch, upstream, revision string) {
	upstream = v
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, upstream = e, rest
	}
	if i := strings.LastIndexByte(upstream, '-'); i >= 0 {
		upstream, revision = upstream[:i], upstream[i+1:]
	}
	return epoch, upstream, revision
}

// comparePart compares runs of other characters and runs of digits in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if d := order(a) - order(b); d != 0 {
				return d
			}
			a, b = a[1:], b[1:]
		}
		na, nb := digits(a), digits(b)
		a, b = a[len(na):], b[len(nb):]
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if d := len(na) - len(nb); d != 0 {
			return d
		}
		if d := strings.Compare(na, nb); d != 0 {
			return d
		}
	}
	return 0
}

// order ranks the first character: "~" before the end, the end (and digits)
// before letters, letters before the rest.
func order(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s string) string {
	for i := range len(s) {
		if !digit(s[i]) {
			return s[:i]
		}
	}
	return s
}
