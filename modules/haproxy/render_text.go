package haproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/modules"
)

var (
	// nameForm is what a name of a section, a server or an ACL may be: the manual's section 4.
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)
	// bare is a word that needs no quotes: the manual's section 2.2.
	bare = regexp.MustCompile(`^[^\s"'#$\\]+$`)
)

// clean returns text that can stand in a line, which everything in the rendered file is made
// of. What would end the line, or the file, is an error, and left out.
func (r *renderer) clean(path, text string) string {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			r.fail(path, "Wrong value", "", "The value has the control character %s: it has to be one line of plain text.", control(c))
			return ""
		}
	}
	if strings.TrimSpace(text) == "" {
		r.fail(path, "Empty value", "", "It can't be empty: leave it out where nothing is meant.")
		return ""
	}
	return text
}

func control(c rune) string {
	switch c {
	case '\n':
		return `\n, the end of a line`
	case '\r':
		return `\r, a carriage return`
	}
	return fmt.Sprintf("%#02x", c)
}

// name returns a name, which is never quoted.
func (r *renderer) name(path, name string) string {
	if !nameForm.MatchString(name) {
		r.fail(path, "Wrong value", "", `%q is no name: it has letters, digits, "_", "-", "." and ":" alone.`, name)
		return "x"
	}
	return name
}

// word returns text as one word of a line.
func (r *renderer) word(path, text string) string { return quote(r.clean(path, text)) }

// quote quotes a word so that HAProxy takes it as it is, with nothing expanded in it.
func quote(word string) string {
	if word == "" || bare.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// rule returns text that is written as in HAProxy, to stand behind its keyword.
func (r *renderer) rule(path, keyword, text string) string {
	text = strings.TrimSpace(r.clean(path, text))
	if first, _, _ := strings.Cut(text, " "); first == keyword && keyword != "" {
		r.fail(path, "Wrong value", "", "Leave out %q: the argument stands for it.", keyword)
	}
	return text
}

// value returns a string behind its keyword.
func (r *renderer) value(path, keyword, form, text string) string {
	if form == "rule" {
		return join(keyword, r.rule(path, keyword, text))
	}
	return join(keyword, r.word(path, text))
}

// number returns a number behind its keyword.
func (r *renderer) number(path, keyword string, n int) string {
	if n < 0 {
		r.fail(path, "Wrong value", "", "It can't be less than 0.")
	}
	return fmt.Sprintf("%s %d", keyword, n)
}

// lines returns the lines of a text, with or without an end of the last one.
func (r *renderer) lines(path, text string) []directive {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if strings.TrimSpace(text) == "" {
		r.fail(path, "Empty value", "", "It can't be empty: leave it out where nothing is meant.")
		return nil
	}
	var list []directive
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) != "" {
			line = r.clean(path, line)
		}
		list = append(list, directive{path, line})
	}
	return list
}

// sectionKeywords begin a section: the manual's chapters 3 and 4, to version 3.2.
var sectionKeywords = []string{
	"acme", "backend", "cache", "crt-store", "defaults", "fcgi-app", "frontend", "global", "http-errors", "listen", "log-forward",
	"log-profile", "mailers", "peers", "program", "resolvers", "ring", "traces", "userlist",
}

// firstWord is the first word of a line, without quotes; "" where it has none, or a comment.
func firstWord(line string) string {
	if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
		return strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(words[0])
	}
	return ""
}

// rawLines returns lines of a section: none of them begins another one.
func (r *renderer) rawLines(path, text string) []directive {
	list := r.lines(path, text)
	for i, d := range list {
		if w := firstWord(d.text); slices.Contains(sectionKeywords, w) {
			r.fail(path, "Wrong value", "", "Line %d begins another section, %q: whole sections go into the task's own argument \"raw\".", i+1, w)
		}
		list[i].text = strings.TrimSpace(d.text)
	}
	return list
}

// hatime is a duration in HAProxy's units, exactly: the manual's section 2.5.
func hatime(d modules.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}}
	t := time.Duration(d)
	for _, u := range units {
		if t >= u.size && t%u.size == 0 {
			return fmt.Sprintf("%d%s", t/u.size, u.name)
		}
	}
	if t == 0 {
		return "0s"
	}
	return fmt.Sprintf("%dus", t/time.Microsecond)
}
