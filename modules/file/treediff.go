package file

import (
	"fmt"
	"muster/host"
	"strings"
)

// treeDiff lists the first 20 names of a tree's change.
type treeDiff struct {
	lines []string
	more  int
}

func (t *treeDiff) add(mark, name, what string, lost ...string) {
	if len(t.lines) == 20 {
		t.more++
		return
	}
	line := mark + " " + shown(name)
	if what != "" {
		lost = append(strings.Split(what, "\n"), lost...)
	}
	if len(lost) > 0 {
		line += " (" + strings.Join(lost, ", ") + ")"
	}
	t.lines = append(t.lines, line)
}

func (t *treeDiff) String() string {
	lines := t.lines
	if t.more > 0 {
		lines = append(lines[:len(lines):len(lines)], fmt.Sprintf("… and %d more", t.more))
	}
	return strings.Join(lines, "\n")
}

// losses gathers what things in a tree lose. All of it is said, also of those that
// the diff has no room for: each loss once, with the first names.
type losses struct {
	order []string
	names map[string][]string
}

func (l *losses) add(name string, lost []string) {
	for _, what := range lost {
		if l.names == nil {
			l.names = map[string][]string{}
		}
		if l.names[what] == nil {
			l.order = append(l.order, what)
		}
		l.names[what] = append(l.names[what], name)
	}
}

func (l *losses) String() string {
	var b strings.Builder
	for n, what := range l.order {
		names := l.names[what]
		if n == 10 {
			b.WriteString("; and " + host.Counted(len(l.order)-n, "more loss of another kind", "more losses of other kinds"))
			break
		}
		more := ""
		if len(names) > 5 {
			more = fmt.Sprintf(" and %d more", len(names)-5)
			names = names[:5]
		}
		fmt.Fprintf(&b, "; %s: %s%s", what, shownNames(names), more)
	}
	return b.String()
}
