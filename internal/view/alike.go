package view

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

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

// itself stands where each of several hosts has its own name.
const itself = "‹host›"

// own is text with the host's name taken out, where it is a word of its own.
func own(text, name string) string {
	if name == "" || !strings.Contains(text, name) {
		return text
	}
	var b strings.Builder
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return b.String() + text[from:]
		}
		before, _ := utf8.DecodeLastRuneInString(text[:from+i])
		after, _ := utf8.DecodeRuneInString(text[from+i+len(name):])
		b.WriteString(text[from : from+i])
		from += i + len(name)
		if word(before) || word(after) {
			b.WriteString(name)
		} else {
			b.WriteString(itself)
		}
	}
}

func word(r rune) bool {
	return r == '-' || r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// same is what two hosts have in common where they have texts that are the same but for
// their names.
func same(a, b, ofA, ofB string) (string, bool) {
	if a == b {
		return a, true
	}
	x := own(a, ofA)
	return x, x == own(b, ofB)
}

// nearly reports whether two answers are the same but for the names of their hosts, and
// for a few lines of their diffs.
func nearly(a, b *engine.TaskEvent) bool {
	if a.Status != b.Status || a.Certainty != b.Certainty || a.Always != b.Always || a.Conditional != b.Conditional || a.Error != b.Error ||
		a.Tolerated != b.Tolerated || string(a.Output) != string(b.Output) || len(a.Changes) != len(b.Changes) || len(a.Then) != len(b.Then) {
		return false
	}
	for i := range a.Then {
		if _, ok := same(a.Then[i].Target, b.Then[i].Target, a.Host, b.Host); !ok || a.Then[i].Action != b.Then[i].Action || a.Then[i].Diff != b.Then[i].Diff || a.Then[i].Impact != b.Then[i].Impact {
			return false
		}
	}
	for i := range a.Changes {
		x, y := a.Changes[i], b.Changes[i]
		if _, ok := same(x.Target, y.Target, a.Host, b.Host); !ok || x.Action != y.Action || x.Impact != y.Impact {
			return false
		}
		xs, ys := strings.Split(x.Diff, "\n"), strings.Split(y.Diff, "\n")
		if len(xs) != len(ys) {
			return false
		}
		differ := 0
		for j := range xs {
			if _, ok := same(xs[j], ys[j], a.Host, b.Host); ok {
				continue
			}
			if differ++; first(xs[j]) != first(ys[j]) {
				return false
			}
		}
		if differ > max(2, len(xs)/4) {
			return false
		}
	}
	return true
}

// first is what a diff's line begins with: what becomes of it.
func first(line string) string { return line[:min(1, len(line))] }

// near gathers answers that are nearly alike: each list begins with the one that is shown.
func near(answers []*answer) [][]*answer {
	var groups [][]*answer
next:
	for _, a := range answers {
		for i := range groups {
			if nearly(groups[i][0].event, a.event) {
				groups[i] = append(groups[i], a)
				continue next
			}
		}
		groups = append(groups, []*answer{a})
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
	shown := line
	for k := 1; k < len(others); k++ {
		text, ok := same(line, rest[k][i], others[0].event.Host, others[k].event.Host)
		if !ok {
			return "", false
		}
		if text != line {
			shown = text
		}
	}
	return shown, true
}

// target is a change's, number n of a task, with what all hosts have in common.
func target(answers []*answer, list func(*engine.TaskEvent) []host.Description, n int) string {
	shown := list(answers[0].event)[n].Target
	for _, a := range answers[1:] {
		if text, ok := same(list(answers[0].event)[n].Target, list(a.event)[n].Target, answers[0].event.Host, a.event.Host); ok {
			shown = text
		}
	}
	return shown
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
		fmt.Fprintln(v.o.Out, "        "+v.diffStyle(x.text).Render(Clean(x.text))+"  "+v.style.faint.Render("("+hostList(x.hosts)+")"))
	}
}
