package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"

	"muster/host"
	"muster/modules"
)

// textLimit is the size, in bytes, of the largest file that is edited by lines.
const textLimit = 32 << 20

// textLine is a line of a file. Its ending is "\n", "\r\n", or "" of a last
// line that has none: every line keeps its own.
type textLine struct {
	text, end string
}

func splitLines(data []byte) []textLine {
	var lines []textLine
	for len(data) > 0 {
		text, rest, found := bytes.Cut(data, []byte("\n"))
		l := textLine{text: string(text)}
		if found {
			l.end = "\n"
			if n := len(text); n > 0 && text[n-1] == '\r' {
				l.text, l.end = string(text[:n-1]), "\r\n"
			}
		}
		lines, data = append(lines, l), rest
	}
	return lines
}

func joinLines(lines []textLine) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteString(l.end)
	}
	return b.Bytes()
}

// insert puts texts before the n-th line. They end as the line above does, or
// the first below, and the line above is ended where it wasn't.
func insert(lines []textLine, n int, texts []string) []textLine {
	end := endingAt(lines, n)
	out := append([]textLine(nil), lines[:n]...)
	if n > 0 && out[n-1].end == "" {
		out[n-1].end = end
	}
	for _, t := range texts {
		out = append(out, textLine{t, end})
	}
	return append(out, lines[n:]...)
}

func endingAt(lines []textLine, n int) string {
	for i := n - 1; i >= 0; i-- {
		if lines[i].end != "" {
			return lines[i].end
		}
	}
	for _, l := range lines[min(n, len(lines)):] {
		if l.end != "" {
			return l.end
		}
	}
	return "\n"
}

// anchor is where something is inserted: after or before what an expression
// finds, or at an end of the file.
type anchor struct {
	after, before string // expressions, "EOF" and "BOF"; at most one is given
	first         bool   // what is found first counts, not last
}

// multiline finds the flag m in an expression's flags: such an expression is
// matched against the whole file, others against each line.
var multiline = regexp.MustCompile(`\(\?[a-zA-Z]*m[a-zA-Z]*(-[a-zA-Z]*)?[:)]`)

// index returns before which line to insert. What isn't found is inserted at
// the end.
func (a anchor) index(lines []textLine) (int, error) {
	switch {
	case a.before == "BOF", a.after == "BOF":
		return 0, nil
	case a.after == "" && a.before == "", a.after == "EOF", a.before == "EOF":
		return len(lines), nil
	}
	expr := a.after + a.before
	re, err := regexp.Compile(expr)
	if err != nil {
		return 0, err
	}
	found := -1
	if multiline.MatchString(expr) {
		found = a.wholeText(re, lines)
	} else {
		for i, l := range lines {
			if re.MatchString(l.text) {
				if found = i; a.first {
					break
				}
			}
		}
	}
	switch {
	case found < 0:
		return len(lines), nil
	case a.after != "":
		return found + 1, nil
	}
	return found, nil
}

// wholeText returns the line at which a match over all lines ends (after) or
// begins (before), -1 if there is none.
func (a anchor) wholeText(re *regexp.Regexp, lines []textLine) int {
	var text bytes.Buffer
	var starts []int
	for _, l := range lines { // joined by plain newlines, so that $ matches at each
		starts = append(starts, text.Len())
		text.WriteString(l.text + "\n")
	}
	matches := re.FindAllIndex(text.Bytes(), -1)
	if len(matches) == 0 {
		return -1
	}
	m := matches[len(matches)-1]
	if a.first {
		m = matches[0]
	}
	at := m[0]
	if a.after != "" && m[1] > m[0] {
		at = m[1] - 1
	}
	line := -1
	for i, s := range starts {
		if s <= at {
			line = i
		}
	}
	return line
}

// check refuses expressions that can't be read, and two anchors.
func (a anchor) check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if a.after != "" && a.before != "" && !unknown("after") && !unknown("before") {
		errs = append(errs, modules.ArgError{Arg: "before", Summary: "Conflicting arguments", Detail: `Give "after" or "before", not both.`})
	}
	errs = append(errs, checkExpr("after", a.after)...)
	return append(errs, checkExpr("before", a.before)...)
}

func checkExpr(arg, expr string) []modules.ArgError {
	if _, err := regexp.Compile(expr); err != nil {
		return []modules.ArgError{{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf("%q is no regular expression that Go's RE2 syntax knows: %v.", expr, err)}}
	}
	return nil
}

// edit is an edit of a file's text: desired is the file but for its content.
type edit struct {
	desired
	create    bool
	absent    bool // the edit removes: a file that isn't there is right
	sensitive bool
	apply     func([]textLine) ([]textLine, error)
}

// plan reads the file, edits it, and plans the file that this gives.
func (e edit) plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	path, err := v.Place(e.path, true)
	if err != nil {
		return modules.Plan{}, err
	}
	info, err := v.Lstat(path)
	if err != nil {
		return modules.Plan{}, err
	}
	var data []byte
	switch {
	case info.Type == host.Regular:
		if data, err = v.ReadFile(ctx, path, textLimit); err != nil {
			return modules.Plan{}, err
		}
	case info.Exists():
		return modules.Plan{}, fmt.Errorf("%s is a %s, not a regular file", path, info.Type)
	case e.absent:
		return modules.Plan{}, nil
	case !e.create:
		return modules.Plan{}, fmt.Errorf("%s doesn't exist: create = true makes it, or let an earlier task do so", path)
	}
	half := false
	if e.inPlace && info.Type == host.Regular {
		whole, ok, err := v.HalfWritten(path, textLimit)
		if err != nil {
			return modules.Plan{}, err
		}
		if half = ok; ok {
			data = whole
		}
	}
	lines, err := e.apply(splitLines(data))
	if err != nil {
		return modules.Plan{}, fmt.Errorf("%s: %w", path, err)
	}
	again, err := e.apply(lines)
	if err != nil {
		return modules.Plan{}, fmt.Errorf("%s, once edited: %w", path, err)
	}
	edited := joinLines(lines)
	if !bytes.Equal(joinLines(again), edited) {
		return modules.Plan{}, fmt.Errorf("%s: %w", path, errUnstable)
	}
	d := e.desired
	d.path = path
	if !info.Exists() || half || !bytes.Equal(edited, data) {
		c := v.Keep(edited, e.sensitive || info.Sensitive)
		d.content = &c
	}
	return d.plan(ctx, v)
}

// errUnstable is an edit that would change the file again in every run.
var errUnstable = errors.New(`edited once, it would be edited again, in every run: make "match" match one line, and the line that takes its place be one that stays as it is`)
