package view

import (
	"bytes"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// goOn begins the line that tells what to type next. It is left in one piece, to be copied.
const goOn = "To go on: "

// tabStop is how far apart a terminal's tabs stop.
const tabStop = 8

// Folding returns a writer to a terminal that tells its columns, which breaks lines that are
// too wide for it and begins each part but the first behind the line's own indentation: a
// terminal that breaks them itself begins its rows with whatever a host has put there. Nothing
// of a line is left out. Nil: it is no terminal, and lines stay whole.
func Folding(to io.Writer, columns func() int) io.Writer {
	if columns == nil {
		return to
	}
	return &folding{to: to, columns: columns}
}

type folding struct {
	to      io.Writer
	columns func() int
	begun   bool // a line: what goes on with it stays as it is
}

func (f *folding) Write(text []byte) (int, error) {
	if len(text) == 0 {
		return 0, nil
	}
	rest := text
	if f.begun {
		at := bytes.IndexByte(text, '\n') + 1
		if at == 0 {
			return f.to.Write(text)
		}
		if _, err := f.to.Write(text[:at]); err != nil {
			return 0, err
		}
		rest = text[at:]
	}
	if len(rest) > 0 {
		if _, err := f.to.Write(fold(rest, f.columns())); err != nil {
			return 0, err
		}
	}
	f.begun = text[len(text)-1] != '\n'
	return len(text), nil
}

// fold breaks the lines of text that need more than so many columns.
func fold(text []byte, columns int) []byte {
	if columns < 2*tabStop || narrow(text, columns) {
		return text
	}
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		if len(line) <= columns && bytes.IndexByte(line, '\t') < 0 || bytes.HasPrefix(line, []byte(goOn)) {
			out.Write(line)
			continue
		}
		foldLine(&out, string(line), columns)
	}
	return out.Bytes()
}

// narrow reports whether no line can be too wide, by its bytes.
func narrow(text []byte, columns int) bool {
	for len(text) > columns {
		end := bytes.IndexByte(text, '\n')
		if end < 0 || end > columns {
			return false
		}
		text = text[end+1:]
	}
	return bytes.IndexByte(text, '\t') < 0
}

// foldLine writes a line in parts that fit. It is broken behind a space, where one stands
// in the second half of a row.
func foldLine(out *bytes.Buffer, line string, columns int) {
	indent := strings.Repeat(" ", min(len(line)-len(strings.TrimLeft(line, " "))+2, columns/2))
	var state byte
	from, space, width, blank := 0, 0, 0, true // of the row: where it begins, a place to break it, its cells, has it none but spaces
	for at := 0; at < len(line); {
		sequence, cells, n, next := ansi.DecodeSequence(line[at:], state, nil)
		if sequence == "\t" {
			cells = tabStop - width%tabStop
		}
		if width+cells > columns && at > from {
			end := at
			if space > from {
				end = space
			}
			out.WriteString(line[from:end] + "\n" + indent)
			from, space, blank = end, 0, false
			// What stood behind the space, without escapes: it begins the next row.
			width = len(indent) + ansi.StringWidth(line[end:at])
			if sequence == "\t" {
				cells = tabStop - width%tabStop
			}
		}
		at, state, width = at+n, next, width+cells
		if sequence != " " {
			blank = false
		} else if !blank && width > columns/2 {
			space = at
		}
	}
	out.WriteString(line[from:])
}
