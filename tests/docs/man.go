package docs

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// ManPages returns manual pages in roff, by the names of their files: muster.1, and one for each command, as
// muster-secret-set.1. They are made from the help that the program prints. Day is when its
// source was last changed, as 2026-05-04.
func ManPages(muster, day string) (map[string]string, error) {
	out, err := exec.Command(muster, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("muster --version: %w", err)
	}
	pages := map[string]string{}
	shorts := map[string]string{}
	err = eachCommand(muster, nil, func(path []string, help string) {
		name := strings.Join(append([]string{"muster"}, path...), "-")
		m := readHelp(help)
		for _, c := range m.commands {
			shorts[name+"-"+c.name] = c.text
		}
		short := shorts[name]
		if short == "" {
			short = m.paragraphs[0]
		}
		pages[name+".1"] = m.page(path, short, strings.TrimSpace(string(out)), day)
	})
	return pages, err
}

// helpText is a command's help in its parts.
type helpText struct {
	paragraphs, usage, examples []string
	commands, flags, global     []entry
}

// entry is a command below another, or a flag, and what is said of it.
type entry struct{ name, text string }

// entryLine is a line of a list of commands or flags: a name, and behind two blanks or more a text.
var entryLine = regexp.MustCompile(`^ +(\S.*?)(?:  +(\S.*))?$`)

func readHelp(help string) helpText {
	var m helpText
	var b strings.Builder
	in := ""
	for _, line := range strings.Split(strings.TrimRight(help, "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		switch {
		case isHeading(line):
			in = line
			continue
		case strings.HasPrefix(line, "Use \"muster"):
			in = "lead"
		}
		keep := func(list *[]entry) {
			if e := entryLine.FindStringSubmatch(line); e != nil {
				*list = append(*list, entry{e[1], e[2]})
			}
		}
		switch in {
		case "":
			b.WriteString(line + "\n")
		case "Usage:":
			if line != "" {
				m.usage = append(m.usage, strings.TrimSpace(line))
			}
		case "Examples:":
			m.examples = append(m.examples, line)
		case "Available Commands:":
			keep(&m.commands)
		case "Flags:":
			keep(&m.flags)
		case "Global Flags:":
			keep(&m.global)
		}
	}
	m.paragraphs = strings.Split(strings.TrimSpace(b.String()), "\n\n")
	return m
}

// isHeading reports whether a line of a help begins a part of it.
func isHeading(line string) bool {
	switch line {
	case "Usage:", "Aliases:", "Examples:", "Available Commands:", "Additional Commands:", "Flags:", "Global Flags:":
		return true
	}
	return false
}

// roff is text that stands for itself in a page: what would be a request, an escape or
// another character there is written otherwise.
func roff(text string) string {
	var b strings.Builder
	begins := true // a line
	for _, r := range text {
		switch named := map[rune]string{'\\': `\e`, '-': `\-`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`}[r]; {
		case named != "":
			b.WriteString(named)
		case r == '.' && begins:
			b.WriteString(`\&.`)
		case r > 127: // groff reads Latin-1
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
		begins = r == '\n'
	}
	return b.String()
}

// page is the manual page of the command at path.
func (m *helpText) page(path []string, short, version, day string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	words := append([]string{"muster"}, path...)
	name := strings.Join(words, "-")
	say(`.\" Made from the command's help.`)
	say(`.TH %s 1 "%s" "%s" "muster's commands"`, strings.ToUpper(roff(name)), day, roff(version))
	say(".SH NAME\n%s \\- %s", roff(name), roff(strings.TrimSuffix(lowered(short), ".")))
	say(".SH SYNOPSIS")
	for i, line := range m.usage {
		if i > 0 {
			say(".br")
		}
		rest := strings.TrimPrefix(line, strings.Join(words, " "))
		say(".B %s\n%s", roff(strings.Join(words, " ")), roff(strings.TrimSpace(rest)))
	}
	say(".SH DESCRIPTION")
	for i, text := range m.paragraphs {
		if i > 0 {
			say(".PP")
		}
		say("%s", roff(text))
	}
	list := func(title string, entries []entry, lead func(string) string) {
		if len(entries) == 0 {
			return
		}
		say(".SH %s", title)
		for _, e := range entries {
			say(".TP\n\\fB%s\\fR\n%s", lead(e.name), roff(e.text))
		}
	}
	list("COMMANDS", m.commands, func(below string) string { return roff(name+"-"+below) + "\\fR(1)" })
	list("OPTIONS", m.flags, roff)
	list("OPTIONS OF EVERY COMMAND", m.global, roff)
	if len(m.examples) > 0 {
		say(".SH EXAMPLES\n.nf")
		for _, line := range m.examples {
			if line != "" {
				say("%s", roff(line))
			}
		}
		say(".fi")
	}
	say(".SH EXIT STATUS")
	if len(path) > 0 {
		say("See\n.BR muster (1).")
	} else {
		say("The first that holds:")
		for _, c := range exitCodes() {
			say(".TP\n\\fB%s\\fR\n%s", c.name, roff(c.text))
		}
	}
	say(".SH SEE ALSO")
	above := "muster"
	if len(path) > 1 {
		above = strings.Join(words[:len(words)-1], "-")
	}
	if len(path) > 0 {
		say(".BR %s (1)", roff(above))
	} else {
		say("The folder docs beside muster's source.")
	}
	return b.String()
}

// lowered is a sentence as it stands behind a dash.
func lowered(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
