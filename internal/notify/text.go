package notify

import (
	"fmt"
	"strings"

	"muster/host"
	"muster/internal/view"
)

// part is a piece of a line: words of muster's own, or data, which is anybody's.
type part struct {
	text string
	data bool
}

// parts are a change as a line.
func (c *Change) parts() []part {
	var list []part
	say := func(text string) { list = append(list, part{text, false}) }
	name := func(text string) { list = append(list, part{text, true}) }
	switch c.Event {
	case Test:
		say("This is a test: notifications from here arrive.")
		return list
	case Failed:
		say("The check couldn't be made, or not as a whole: ")
		name(c.Error)
		return list
	case Works:
		say("Checks are made again.")
		return list
	}
	say(map[Event]string{New: "new: ", Back: "back: ", Contested: "contested: ", Gone: "gone: ", Unchecked: "not checked: ", Partly: "checked in part: ", Checked: "checked again: "}[c.Event])
	name(c.Host)
	if c.On != "" {
		say(" on ")
		name(c.On)
	}
	if c.Task != "" {
		say(", ")
		name(c.Task)
	}
	if c.File != "" {
		say(" at ")
		name(fmt.Sprintf("%s:%d", c.File, c.Line))
	}
	if c.Event == Contested {
		say(fmt.Sprintf("; it has come back %d times running, so somebody else sets it", c.Returned))
	}
	switch {
	case c.PutRightRun != "":
		say("; put right by ")
		name(c.PutRightBy)
		say(", run ")
		name(c.PutRightRun)
	case c.Event == Gone:
		say("; not by a run from here")
	}
	for _, text := range c.Known {
		say("; ")
		name(text)
	}
	if c.Error != "" {
		say(": ")
		name(c.Error)
	}
	return list
}

// summary is a message in a line, in muster's own words alone.
func (m *Message) summary() string {
	var list []string
	count := func(n int, one, many string) {
		switch {
		case n == 1:
			list = append(list, one)
		case n > 1:
			list = append(list, fmt.Sprintf(many, n))
		}
	}
	count(m.Counts.New, "1 new drift", "%d new drifts")
	count(m.Counts.Contested, "1 contested", "%d contested")
	count(m.Counts.Gone, "1 gone", "%d gone")
	count(m.Counts.Unchecked, "a host couldn't be checked", "%d hosts couldn't be checked")
	count(m.Counts.Checked, "a host is checked again", "%d hosts are checked again")
	for i := range m.Changes {
		switch m.Changes[i].Event {
		case Failed:
			list = append(list, "the check failed")
		case Works:
			list = append(list, "checks are made again")
		case Test:
			list = append(list, "a test")
		}
	}
	return strings.Join(list, ", ")
}

// standing says how much drift there is in all.
func (m *Message) standing() string {
	switch m.Counts.Standing {
	case 0:
		return "Nothing drifts as far as is known."
	case 1:
		return "One drift stands in all."
	}
	return fmt.Sprintf("%d drifts stand in all.", m.Counts.Standing)
}

// moreChanges says that a message doesn't have all changes.
func moreChanges(n int) string {
	return host.Counted(n, "more change is", "more changes are") + " left out here"
}

func (m *Message) leftOut() string {
	if m.LeftOut == 0 {
		return ""
	}
	return moreChanges(m.LeftOut) + `: "muster drift" shows all.`
}

// plain is text for an e-mail, which stays on its line.
func plain(list []part) string {
	var b strings.Builder
	for _, p := range list {
		if p.data {
			b.WriteString(view.CleanLine(p.text))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// quoted is text for Slack and what is compatible with it. Data stands in a code span,
// in which no link and no emphasis is read; its backticks would end the span. Slack reads
// <!channel> and <@user> everywhere, and others an @ before a name.
func quoted(list []part) string {
	var b strings.Builder
	for _, p := range list {
		if !p.data {
			b.WriteString(p.text)
			continue
		}
		b.WriteString("`" + inCode.Replace(view.CleanLine(p.text)) + "`")
	}
	return b.String()
}

// inCode has what could leave a code span, or call somebody, be read as itself. U+200B
// after an @ isn't seen, and parts it from the name.
var inCode = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'", "@", "@\u200b")

// cut is text that isn't longer than size, in bytes.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size], "") + "…"
}
