package report

import (
	"bufio"
	"html"
	"strconv"
	"strings"

	"muster/internal/view"
)

// literal is markup that stands in this package's source. Only constants become one
// without a conversion, so that no text of a run is taken for markup.
type literal string

// markup writes HTML: its own markup, and data between. Data may stand in two places alone,
// in which the same escape holds: as an element's text, and in an attribute's value
// between double quotes, where the attribute is neither a link, a style nor a script. It
// takes the place of html/template, which calls methods by their names: the linker then
// keeps every method of every library.
//
// The writer keeps its first error.
type markup struct{ w *bufio.Writer }

// put writes markup.
func (m *markup) put(l literal) *markup {
	_, _ = m.w.WriteString(string(l))
	return m
}

// data writes text as it is.
func (m *markup) data(text string) *markup {
	if strings.IndexByte(text, 0) >= 0 { // which no page can hold
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	_, _ = m.w.WriteString(html.EscapeString(text))
	return m
}

// number writes a number.
func (m *markup) number(n int) *markup { return m.data(strconv.Itoa(n)) }

// line writes text as one line, without control characters, and short.
func (m *markup) line(text string) *markup { return m.data(short(view.CleanLine(text))) }

// text writes lines of text, without control characters, each of them short.
func (m *markup) text(text string) *markup { return m.data(shortLines(view.Clean(text))) }

// lines writes several lines with commas between.
func (m *markup) lines(list []string) *markup {
	for i, text := range list {
		if i > 0 {
			m.put(", ")
		}
		m.line(text)
	}
	return m
}

// colored writes a word in the colour that it has in the style sheet.
func (m *markup) colored(word string) *markup {
	return m.put(`<span class="`).data(word).put(`">`).data(word).put(`</span>`)
}

// position writes where in a file something stands.
func (m *markup) position(file string, line int) *markup {
	return m.line(file).put(":").number(line)
}
