package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/internal/engine"
)

// What is folded: a diff beyond foldAt lines is shown up to foldTo of them; of a line that
// differs from host to host, variants are shown.
const (
	foldAt   = 60
	foldTo   = 40
	variants = 4
)

// likeness is what answers that are shown together have in common.
type likeness struct {
	answers []*answer
	texts   []common // what is shown of the first, but for diffs
}

// textsOf are an event's texts that are shown, but for the diffs of its changes.
func textsOf(e *engine.TaskEvent) []string {
	list := []string{e.Error, messageOf(e)}
	for _, d := range e.Changes {
		list = append(list, d.Target, d.Impact)
	}
	for _, d := range e.Then {
		list = append(list, d.Target, d.Impact, d.Diff)
	}
	return list
}

// shownAs is an event as a plan shows it of hosts that have these texts in common.
func (l *likeness) shownAs() *engine.TaskEvent {
	e := *l.answers[0].event
	texts := l.texts
	next := func() string {
		text := texts[0].text
		texts = texts[1:]
		return text
	}
	e.Error = next()
	if message := next(); message != "" {
		e.Output, _ = json.Marshal(printedMessage{message}) // of text it can't fail
	}
	e.Changes, e.Then = slices.Clone(e.Changes), slices.Clone(e.Then)
	for i := range e.Changes {
		e.Changes[i].Target, e.Changes[i].Impact = next(), next()
	}
	for i := range e.Then {
		e.Then[i].Target, e.Then[i].Impact, e.Then[i].Diff = next(), next(), next()
	}
	return &e
}

// take adds an answer that is nearly alike: the same but for the names of hosts, and for a
// few lines of diffs.
func (l *likeness) take(x *answer) bool {
	a, b := l.answers[0].event, x.event
	if a.Status != b.Status || a.Certainty != b.Certainty || a.Always != b.Always || a.Conditional != b.Conditional || a.Tolerated != b.Tolerated ||
		a.File != b.File || a.Line != b.Line || a.Sensitive != b.Sensitive || !slices.EqualFunc(a.Then, b.Then, sameAction) || !slices.EqualFunc(a.Changes, b.Changes, sameAction) {
		return false
	}
	for i := range a.Changes {
		if !nearly(a.Changes[i].Diff, b.Changes[i].Diff, a.Host, b.Host) {
			return false
		}
	}
	texts := slices.Clone(l.texts)
	for i, text := range textsOf(b) {
		var ok bool
		if texts[i], ok = texts[i].with(text, x.hosts...); !ok {
			return false
		}
	}
	l.texts, l.answers = texts, append(l.answers, x)
	return true
}

func sameAction(a, b host.Description) bool { return a.Action == b.Action }

// nearly reports whether diffs of two hosts are the same but for the hosts' names and a
// few lines.
func nearly(a, b, ofA, ofB string) bool {
	xs, ys := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(xs) != len(ys) {
		return false
	}
	differ := 0
	for j := range xs {
		if xs[j] == ys[j] {
			continue
		}
		if _, ok := aligned(xs[j], ys[j], ofA, ofB); ok {
			continue
		}
		if differ++; first(xs[j]) != first(ys[j]) {
			return false
		}
	}
	return differ <= max(2, len(xs)/4)
}

// first is what a diff's line begins with: what becomes of it.
func first(line string) string { return line[:min(1, len(line))] }

// alone is an answer that nothing is shown together with.
func alone(a *answer) *likeness {
	l := &likeness{answers: []*answer{a}}
	for _, text := range textsOf(a.event) {
		l.texts = append(l.texts, commonOf(text, a.hosts...))
	}
	return l
}

// near gathers answers that are nearly alike.
func near(answers []*answer) []*likeness {
	var groups []*likeness
next:
	for _, a := range answers {
		for _, g := range groups {
			if g.take(a) {
				continue next
			}
		}
		groups = append(groups, alone(a))
	}
	return groups
}

// diff shows the diff of a change, number n of its task: what differs on other hosts
// stands below the line that it is in the place of, with whose it is.
func (v *textView) diff(d host.Description, n int, others []*answer) {
	if d.Diff == "" {
		return
	}
	lines := strings.Split(d.Diff, "\n")
	rest := make([][]string, len(others)) // all but the first answer
	for i, a := range others {
		rest[i] = strings.Split(a.event.Changes[n].Diff, "\n")
	}
	for i, l := range lines {
		if i == foldTo && len(lines) > foldAt && !v.o.Verbose {
			fmt.Fprintln(v.o.Out, "        "+v.style.faint.Render(fmt.Sprintf("… %d more lines: -v shows them", len(lines)-i)))
			return
		}
		if all, ok := inCommon(l, i, others, rest); ok {
			v.diffLine(all, nil)
			continue
		}
		v.diffLine(l, v.whose(i, others, rest))
	}
}

// inCommon is what all hosts have in the place of a line, where they have the same but for
// their names.
func inCommon(line string, i int, others []*answer, rest [][]string) (string, bool) {
	if len(others) == 0 {
		return line, true
	}
	c := commonOf(line, others[0].hosts...)
	for k := 1; k < len(others); k++ {
		var ok bool
		if c, ok = c.with(rest[k][i], others[k].hosts...); !ok {
			return "", false
		}
	}
	return c.text, true
}

// variant is a line that some hosts have.
type variant struct {
	text  string
	hosts []string
}

// whose lists the lines that hosts have in the place of one.
func (v *textView) whose(i int, others []*answer, rest [][]string) []variant {
	var list []variant
next:
	for k, a := range others {
		text := rest[k][i]
		for n := range list {
			if list[n].text == text {
				list[n].hosts = append(list[n].hosts, a.hosts...)
				continue next
			}
		}
		list = append(list, variant{text, append([]string(nil), a.hosts...)})
	}
	return list
}

func (v *textView) diffLine(line string, list []variant) {
	if list == nil {
		fmt.Fprintln(v.o.Out, "        "+v.diffStyle(line).Render(Clean(line)))
		return
	}
	for n, x := range list {
		if n == variants-1 && len(list) > variants && !v.o.Verbose {
			hosts := 0
			for _, x := range list[n:] {
				hosts += len(x.hosts)
			}
			fmt.Fprintln(v.o.Out, "        "+v.style.faint.Render(fmt.Sprintf("… %d more hosts differ here: -v shows them", hosts)))
			return
		}
		fmt.Fprintln(v.o.Out, "        "+v.diffStyle(x.text).Render(Clean(x.text))+"  "+v.style.faint.Render("("+v.names(x.hosts)+")"))
	}
}
