package hosts

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// line is a line of the file in the parts that hosts(5) gives it. A line that is
// blank, a comment or wrong has no address.
type line struct {
	raw     string
	address netip.Addr
	names   []string
	// head is the address with the space around it, tail the space after the last
	// name with the comment and the line's end.
	head, tail string
}

// entry is a line with an address and at least one name, in four parts: head (with the
// address by itself inside), names, tail.
var entry = regexp.MustCompile(`^([ \t]*([^\s#]+)[ \t]+)([^\s#][^#\n]*?)([ \t\r]*(?:#.*)?\n?)$`)

// parse returns the parts of a line, which may end in a newline.
func parse(raw string) line {
	l := line{raw: raw}
	if m := entry.FindStringSubmatch(raw); m != nil {
		// Resolvers pass over an address with a zone, and read a mapped one as IPv4.
		if a, err := netip.ParseAddr(m[2]); err == nil && a.Zone() == "" {
			l.address, l.head, l.names, l.tail = a.Unmap(), m[1], strings.Fields(m[3]), m[4]
		}
	}
	return l
}

// with returns the line with these names: as it is where it has just these, and
// nothing where there are none. A comment at its end goes with the line.
func (l line) with(names []string) string {
	switch {
	case slices.Equal(names, l.names):
		return l.raw
	case len(names) == 0:
		return ""
	}
	return l.head + strings.Join(names, " ") + l.tail
}
