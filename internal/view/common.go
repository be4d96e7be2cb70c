package view

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"muster/host"
	"muster/internal/engine"
)

// itself stands where each of several hosts has its own name, and the others where each has
// an address and a key of its own.
const (
	itself         = "‹host›"
	itsAddress     = "‹address›"
	itsFingerprint = "‹fingerprint›"
)

// What a host says with such a mark in it is shown with an escape, lest it be read as one.
var unmarking = strings.NewReplacer(itself, `\u2039host›`, itsAddress, `\u2039address›`, itsFingerprint, `\u2039fingerprint›`)

// unmarked is text of a host with the marks that it has by itself escaped.
func unmarked(text string) string { return unmarking.Replace(text) }

// unmarkedEvent is an event of which no text has a mark.
func unmarkedEvent(e *engine.TaskEvent) *engine.TaskEvent {
	c := *e
	c.Error, c.Changes, c.Then = unmarked(e.Error), slices.Clone(e.Changes), slices.Clone(e.Then)
	for _, list := range [][]host.Description{c.Changes, c.Then} {
		for i := range list {
			d := &list[i]
			d.Target, d.Impact, d.Diff = unmarked(d.Target), unmarked(d.Impact), unmarked(d.Diff)
		}
	}
	if message := messageOf(e); message != unmarked(message) {
		c.Output, _ = json.Marshal(printedMessage{unmarked(message)}) // of text it can't fail
	}
	return &c
}

// common is a text that several hosts have: word for word, or with the name of each in
// one place. It never says of a host what that host didn't: with its name put back it is
// the host's own text. Texts come to it unmarked.
type common struct {
	text  string
	host  string // of the first
	hosts int
	named bool // text has itself in it, for each host's name
}

// commonOf is the text of hosts that have the same.
func commonOf(text string, hosts ...string) common {
	return common{text: text, host: hosts[0], hosts: len(hosts)}
}

// with is what c and the text of other hosts have in common; false where that is nothing.
func (c common) with(text string, hosts ...string) (common, bool) {
	switch {
	case c.named:
		for _, name := range hosts {
			if strings.ReplaceAll(c.text, itself, name) != text {
				return c, false
			}
		}
	case c.text == text:
	case c.hosts == 1 && len(hosts) == 1:
		var ok bool
		if c.text, ok = aligned(c.text, text, c.host, hosts[0]); !ok {
			return c, false
		}
		c.named = true
	default:
		return c, false
	}
	c.hosts += len(hosts)
	return c, true
}

// aligned is what texts of two hosts have in common where they differ in nothing but the
// hosts' names, standing in the same places.
func aligned(a, b, ofA, ofB string) (string, bool) {
	if ofA == "" || ofB == "" {
		return "", false
	}
	var text strings.Builder
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if named(a, i, ofA) && named(b, j, ofB) {
			text.WriteString(itself)
			i, j = i+len(ofA), j+len(ofB)
			continue
		}
		if a[i] != b[j] {
			return "", false
		}
		text.WriteByte(a[i])
		i, j = i+1, j+1
	}
	return text.String(), i == len(a) && j == len(b)
}

// named reports whether a name stands at a place in text, not within a longer word.
func named(text string, at int, name string) bool {
	if !strings.HasPrefix(text[at:], name) {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at+len(name):])
	return !letter(before) && !letter(after)
}

func letter(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// without is text with what stands in it as a word of its own left out.
func without(text, word, by string) string {
	if word == "" {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if named(text, i, word) {
			b.WriteString(by)
			i += len(word)
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}
