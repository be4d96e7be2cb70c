package host

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

// DiffLimit is the size, in bytes, of the largest content that is compared
// line by line.
const DiffLimit = 256 << 10

// Diff returns how text changes, as unified hunks with three lines around
// each, without the two lines that name files. Content that isn't text, or
// is larger than DiffLimit, is only said to differ.
func Diff(before, after []byte) string {
	switch {
	case bytes.Equal(before, after):
		return ""
	case len(before) > DiffLimit || len(after) > DiffLimit:
		return "(too large to compare line by line)"
	case !isText(before) || !isText(after):
		return "(binary content differs)"
	}
	unified := udiff.Unified("before", "after", string(before), string(after))
	lines := strings.SplitN(unified, "\n", 3)
	if len(lines) < 3 {
		return unified
	}
	return strings.TrimSuffix(lines[2], "\n")
}

func isText(b []byte) bool { return utf8.Valid(b) && !bytes.ContainsRune(b, 0) }
