package file

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Line is one line of a file. All others are left as they are, their endings
// included. A link is followed.
//
// A line that stands in the file already is left where it is. Otherwise it
// takes the place of what match or literal finds; and where nothing is found,
// or neither is given, it is inserted at after or before, or at the end.
type Line struct {
	// Absolute path of the file on the host.
	Path string `arg:"path,key,path,required"`
	// The line, without its ending.
	Line *host.Content `arg:"line"`
	// A regular expression (RE2) that finds the line to replace, or, with state
	// "absent", the lines to remove. It is matched against each line.
	Match string `arg:"match"`
	// Text that finds the line instead, as it is: it stands somewhere in it.
	Literal string `arg:"literal"`
	// Replace \1 to \9, \g<1> and \g<name> in line by what match's groups
	// found. Where nothing matches, the file is left as it is.
	Backrefs bool `arg:"backrefs" default:"false"`
	// Where to insert: after the last line that this regular expression
	// matches, or "EOF". With the flag (?m) it is matched against the whole file.
	After string `arg:"after"`
	// Where to insert: before the last line that this regular expression
	// matches, or "BOF", the beginning. With the flag (?m) it is matched
	// against the whole file.
	Before string `arg:"before"`
	// Of several lines that match, after or before find, take the first, not
	// the last.
	FirstMatch bool `arg:"first_match" default:"false"`
	// Make the file if it doesn't exist.
	Create bool `arg:"create" default:"false"`
	// Whether the line is there. With "absent", all lines that match or literal
	// find are removed; without these, all that equal line.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// Keep what stood there before as PATH.TIME~, with its mode and owner.
	Backup bool `arg:"backup" default:"false"`
	// A program that must accept the new file before it lands: "%s" is the
	// temporary file's path. If it doesn't, the old file stays.
	Validate []string `arg:"validate"`
	// Permissions of the file, octal ("0644") or symbolic ("u=rw,go=r").
	Mode *host.ModeSpec `arg:"mode"`
	// The user who owns the file.
	Owner string `arg:"owner"`
	// The group it belongs to.
	Group string `arg:"group"`
	// Write to the file that is there instead of replacing it: for one that is
	// mounted by itself, or whose other names or watchers are to see the change.
	// That isn't done in one step: a program that reads it meanwhile may see a
	// part of it, and a power cut leaves a mixture, which the next run mends.
	InPlace bool `arg:"in_place" default:"false"`
}

func (l *Line) anchor() anchor { return anchor{l.After, l.Before, l.FirstMatch} }

// May is the file, and a backup beside it.
func (l *Line) May() []host.Effect { return mayWrite(l.Path, l.Backup) }

// Check refuses contradictions and expressions that can't be read.
func (l *Line) Check(unknown func(string) bool) []modules.ArgError {
	errs := append(CheckPath("path", l.Path, unknown), checkValidate(l.Validate, unknown)...)
	errs = append(append(errs, checkExpr("match", l.Match)...), l.anchor().check(unknown)...)
	wrong := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if l.Match != "" && l.Literal != "" {
		wrong("literal", "Conflicting arguments", `Give "match" or "literal", not both.`)
	}
	finds := l.Match != "" || l.Literal != "" || unknown("match") || unknown("literal")
	switch {
	case l.Line != nil || unknown("line"):
	case l.State != "absent":
		wrong("line", "Missing argument", `A line that is to be present needs "line".`)
	case !finds:
		wrong("line", "Missing argument", `Which lines are to be absent: give "line", "match" or "literal".`)
	}
	if l.Backrefs && l.Match == "" && !unknown("match") {
		wrong("backrefs", "Missing argument", `"backrefs" stands for the groups of "match".`)
	}
	return errs
}

// Plan edits a copy of the file and compares.
func (l *Line) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	e := edit{
		desired: desired{l.Path, nil, l.Mode, l.Owner, l.Group, l.Backup, l.Validate, true, l.InPlace},
		create:  l.Create, absent: l.State == "absent",
	}
	find := lineFinder{first: l.FirstMatch, literal: l.Literal, backrefs: l.Backrefs, at: l.anchor()}
	if l.Line != nil {
		text, err := v.Body(ctx, *l.Line, textLimit)
		if err != nil {
			return modules.Plan{}, err
		}
		e.sensitive = l.Line.Sensitive
		find.line = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if strings.Contains(find.line, "\n") {
			return modules.Plan{}, fmt.Errorf("line holds more than one line: use a text_block")
		}
	}
	if l.Match != "" {
		var err error
		if find.match, err = regexp.Compile(l.Match); err != nil {
			return modules.Plan{}, err
		}
	}
	e.apply = find.present
	if e.absent {
		find.given = l.Line != nil
		e.apply = find.absent
	}
	plan, err := e.plan(ctx, v)
	return wanting(plan, err, l.Path, find.line, l.Match, l.Literal, l.Backrefs, l.After, l.Before, l.State, l.Mode, l.Owner, l.Group, l.InPlace)
}

// lineFinder finds a line and puts another in its place.
type lineFinder struct {
	line     string
	given    bool
	match    *regexp.Regexp
	literal  string
	first    bool
	backrefs bool
	at       anchor
}

// finds reports whether match or literal finds the text.
func (f *lineFinder) finds(text string) bool {
	switch {
	case f.match != nil:
		return f.match.MatchString(text)
	case f.literal != "":
		return strings.Contains(text, f.literal)
	}
	return false
}

func (f *lineFinder) present(lines []textLine) ([]textLine, error) {
	found := -1
	for i, l := range lines {
		if f.finds(l.text) {
			if found = i; f.first {
				break
			}
		}
	}
	if found < 0 {
		if f.backrefs || holds(lines, f.line) {
			return lines, nil
		}
		n, err := f.at.index(lines)
		if err != nil {
			return nil, err
		}
		return insert(lines, n, []string{f.line}), nil
	}
	line := f.line
	if f.backrefs {
		line = expand(f.match, f.line, lines[found].text)
	}
	// A line that match doesn't find itself would, once there, let the next run
	// replace another one.
	if lines[found].text == line || !f.finds(line) && holds(lines, line) {
		return lines, nil
	}
	out := append([]textLine(nil), lines...)
	out[found].text = line
	return out, nil
}

func (f *lineFinder) absent(lines []textLine) ([]textLine, error) {
	var out []textLine
	for _, l := range lines {
		gone := f.finds(l.text)
		if f.match == nil && f.literal == "" {
			gone = f.given && l.text == f.line
		}
		if !gone {
			out = append(out, l)
		}
	}
	return out, nil
}

func holds(lines []textLine, text string) bool {
	for _, l := range lines {
		if l.text == text {
			return true
		}
	}
	return false
}

// backref is how a line refers to a group: \1, \g<1>, \g<name>; `\\` is a
// backslash.
var backref = regexp.MustCompile(`\\(?:([0-9])|g<([A-Za-z0-9_]+)>|(\\))`)

// expand replaces the references in line by what the groups of match find.
func expand(match *regexp.Regexp, line, text string) string {
	m := match.FindStringSubmatch(text)
	return backref.ReplaceAllStringFunc(line, func(ref string) string {
		r := backref.FindStringSubmatch(ref)
		if r[3] != "" {
			return `\`
		}
		name := r[1] + r[2]
		for i, group := range match.SubexpNames() {
			if i < len(m) && (fmt.Sprint(i) == name || group == name) {
				return m[i]
			}
		}
		return ref
	})
}
