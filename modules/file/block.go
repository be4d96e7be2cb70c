package file

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"muster/host"
	"muster/modules"
)

// TextBlock is some lines of a file, between two marker lines. All others are
// left as they are, their endings included. A link is followed.
//
// A block that stands in the file already stays where it is; a new one is
// inserted at after or before, or at the end.
type TextBlock struct {
	// Absolute path of the file on the host.
	Path string `arg:"path,key,path,required"`
	// The lines between the markers.
	Content *host.Content `arg:"content"`
	// The marker lines, with {mark} for BEGIN and END, which stands at the end
	// where it isn't written. Several blocks of one file need markers of their
	// own.
	Marker string `arg:"marker" default:"# {mark} muster"`
	// Where to insert: after the last line that this regular expression
	// matches, or "EOF". With the flag (?m) it is matched against the whole file.
	After string `arg:"after"`
	// Where to insert: before the last line that this regular expression
	// matches, or "BOF", the beginning. With the flag (?m) it is matched
	// against the whole file.
	Before string `arg:"before"`
	// Make the file if it doesn't exist.
	Create bool `arg:"create" default:"false"`
	// Whether the block is there. With "absent", its markers go too.
	State string `arg:"state" oneof:"present absent" default:"present"`
	// A program that must accept the new file before it lands: "%s" is the
	// temporary file's path. If it doesn't, the old file stays.
	Validate []string `arg:"validate"`
	// Keep what stood there before as PATH.TIME~, with its mode and owner.
	Backup bool `arg:"backup" default:"false"`
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

// markers returns the lines around the block. A marker without {mark} gets
// the word at its end.
func (b *TextBlock) markers() (begin, end string) {
	m := b.Marker
	if m == "" {
		m = "# {mark} muster"
	}
	if !strings.Contains(m, "{mark}") {
		m += " {mark}"
	}
	return strings.ReplaceAll(m, "{mark}", "BEGIN"), strings.ReplaceAll(m, "{mark}", "END")
}

// May is the file, and a backup beside it.
func (b *TextBlock) May() []host.Effect { return mayWrite(b.Path, b.Backup) }

// Check refuses contradictions and expressions that can't be read.
func (b *TextBlock) Check(unknown func(string) bool) []modules.ArgError {
	errs := append(CheckPath("path", b.Path, unknown), checkValidate(b.Validate, unknown)...)
	errs = append(errs, anchor{after: b.After, before: b.Before}.check(unknown)...)
	if b.State != "absent" && b.Content == nil && !unknown("content") {
		errs = append(errs, modules.ArgError{Arg: "content", Summary: "Missing argument", Detail: `A block that is to be present needs "content".`})
	}
	if strings.ContainsAny(b.Marker, "\r\n") {
		errs = append(errs, modules.ArgError{Arg: "marker", Summary: "Wrong value", Detail: "A marker is one line."})
	}
	return errs
}

// Plan edits a copy of the file and compares.
func (b *TextBlock) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	e := edit{
		desired: desired{b.Path, nil, b.Mode, b.Owner, b.Group, b.Backup, b.Validate, true, b.InPlace},
		create:  b.Create, absent: b.State == "absent",
	}
	var content []string
	e.sensitive = b.Content != nil && b.Content.Sensitive
	if b.Content != nil && !e.absent {
		text, err := v.Body(ctx, *b.Content, textLimit)
		if err != nil {
			return modules.Plan{}, err
		}
		begin, end := b.markers()
		for _, l := range splitLines(text) {
			if l.text == begin || l.text == end {
				return modules.Plan{}, fmt.Errorf("the content holds the marker %q: give the block another marker", l.text)
			}
			content = append(content, l.text)
		}
	}
	e.apply = func(lines []textLine) ([]textLine, error) { return b.apply(lines, content, e.absent) }
	plan, err := e.plan(ctx, v)
	return wanting(plan, err, b.Path, content, b.Marker, b.After, b.Before, b.State, b.Mode, b.Owner, b.Group, b.InPlace)
}

// apply puts the block into the lines, or takes it out.
func (b *TextBlock) apply(lines []textLine, content []string, absent bool) ([]textLine, error) {
	begin, end := b.markers()
	from, to, err := findBlock(lines, begin, end)
	if err != nil {
		return nil, err
	}
	switch {
	case from < 0 && absent:
		return lines, nil
	case absent:
		return append(append([]textLine(nil), lines[:from]...), lines[to+1:]...), nil
	case from < 0:
		n, err := anchor{after: b.After, before: b.Before}.index(lines)
		if err != nil {
			return nil, err
		}
		return insert(lines, n, append(append([]string{begin}, content...), end)), nil
	}
	out := append([]textLine(nil), lines[:from+1]...)
	for _, text := range content {
		out = append(out, textLine{text, lines[from].end})
	}
	return append(out, lines[to:]...), nil
}

// findBlock returns the lines that hold the markers, -1 where there is no
// block. Markers that don't make exactly one block are somebody's edit by hand.
func findBlock(lines []textLine, begin, end string) (from, to int, err error) {
	from, to = -1, -1
	for i, l := range lines {
		switch l.text {
		case begin:
			if from >= 0 {
				return 0, 0, fmt.Errorf("the marker %q stands in lines %d and %d: leave one block, by hand", begin, from+1, i+1)
			}
			from = i
		case end:
			if to >= 0 {
				return 0, 0, fmt.Errorf("the marker %q stands in lines %d and %d: leave one block, by hand", end, to+1, i+1)
			}
			if from < 0 {
				return 0, 0, fmt.Errorf("the marker %q in line %d has no %q before it: put it back, or remove it, by hand", end, i+1, begin)
			}
			to = i
		}
	}
	if from >= 0 && to < 0 {
		return 0, 0, errors.New("the marker \"" + begin + "\" has no \"" + end + "\" behind it: put it back, or remove it, by hand")
	}
	return from, to, nil
}
