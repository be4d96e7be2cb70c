package modules

import (
	"regexp"
	"slices"
	"strings"

	"muster/secret"
)

// Withholder is a module whose diffs can be shown where some of its arguments
// are sensitive. Of one that isn't, such a task's diffs are hidden whole.
type Withholder interface {
	// Withhold returns a diff of the module's own changes without what the
	// arguments of these names have in it; false where it can't be told. What is
	// sensitive and stands in the diff word by word is hidden besides.
	Withhold(diff string, sensitive []string) (string, bool)
}

var (
	field = regexp.MustCompile(`^([a-z_]+): `)
	// A hunk of text, or what stands in its place, is no field's.
	hunk = regexp.MustCompile(`^[-+ @\\(]`)
)

// WithoutFields is Withhold for diffs that have lines "NAME: …" for the
// arguments of these names: those of sensitive ones keep the name alone. Where
// any other argument is sensitive, it may stand anywhere, and the answer is false.
func WithoutFields(diff string, sensitive []string, names ...string) (string, bool) {
	for _, s := range sensitive {
		if !slices.Contains(names, s) {
			return "", false
		}
	}
	var out []string
	hidden := ""
	for _, line := range strings.Split(diff, "\n") {
		m := field.FindStringSubmatch(line)
		switch {
		case m != nil && slices.Contains(sensitive, m[1]):
			if hidden != m[1] {
				out = append(out, m[1]+": "+secret.Hidden)
			}
			hidden = m[1]
		case m == nil && hidden != "" && !hunk.MatchString(line): // goes on with the line above
		default:
			out, hidden = append(out, line), ""
		}
	}
	return strings.Join(out, "\n"), true
}
