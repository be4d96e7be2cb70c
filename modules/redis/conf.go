package redis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// confLimit is the size, in bytes, up to which Redis's file is read. Debian's has 100 KB.
const confLimit = 1 << 20

// conf is Redis's file: lines, of which most are comments.
type conf struct{ lines []string }

func parseConf(text string) *conf {
	if text == "" {
		return &conf{}
	}
	return &conf{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
}

func (c *conf) text() string {
	if len(c.lines) == 0 {
		return ""
	}
	return strings.Join(c.lines, "\n") + "\n"
}

// many reports whether lines of a setting add to each other.
func many(name string) bool { return name == "save" || name == "client-output-buffer-limit" }

// words are a line's setting, and what it is set to; nil for a comment.
func words(line string) []string {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	list := splitLine(line)
	if len(list) > 0 {
		list[0] = settingName(list[0])
	}
	return list
}

// value is what the file sets a setting to in the end. It isn't known where another file
// is included behind that.
func (c *conf) value(name string) (value string, known bool) {
	for _, line := range c.lines {
		w := words(line)
		switch {
		case len(w) == 0:
		case w[0] == "include":
			value, known = "", false
		case w[0] != name:
		case many(name):
			if name == "save" && len(w) == 2 && w[1] == "" {
				w[1] = `""`
			}
			value, known = strings.TrimSpace(value+" "+strings.Join(w[1:], " ")), true
		default:
			value, known = strings.Join(w[1:], " "), true
		}
	}
	if value == `""` {
		value = ""
	}
	return value, known
}

// set edits the lines of a setting: the last of them becomes the new one, as where Redis
// rewrites its file.
func (c *conf) set(name, value string) {
	at, included := -1, false
	kept := c.lines[:0:0]
	for _, line := range c.lines {
		w := words(line)
		if len(w) > 0 && w[0] == "include" {
			included = true
		}
		if len(w) > 0 && w[0] == name {
			if !included {
				at = len(kept)
			}
			continue
		}
		kept = append(kept, line)
	}
	if at < 0 || included {
		at = len(kept)
	}
	c.lines = slices.Insert(kept, at, linesOf(name, value)...)
}

// unset takes the lines of a setting out.
func (c *conf) unset(name string) {
	c.lines = slices.DeleteFunc(c.lines, func(line string) bool {
		w := words(line)
		return len(w) > 0 && w[0] == name
	})
}

// linesOf are the lines that a setting takes.
func linesOf(name, value string) (list []string) {
	switch name {
	case "save":
		points := savePoints(value)
		if len(points) == 0 {
			return []string{`save ""`}
		}
		for _, p := range points {
			list = append(list, "save "+p)
		}
		return list
	case "client-output-buffer-limit":
		all := bufferLimits(value)
		for _, class := range []string{"normal", "replica", "pubsub"} {
			if all[class] != nil {
				list = append(list, name+" "+class+" "+strings.Join(all[class], " "))
			}
		}
		return list
	case "bind", "replicaof", "oom-score-adj-values": // words of their own
		return []string{name + " " + value}
	}
	return []string{name + " " + quote(value)}
}

// user is the line of a user, "" where there is none. Of several the last counts.
func (c *conf) user(name string) (found string) {
	for _, line := range c.lines {
		if w := words(line); len(w) > 1 && w[0] == "user" && w[1] == name {
			found = strings.TrimSpace(line)
		}
	}
	return found
}

// setUser edits the line of a user; "" takes it out.
func (c *conf) setUser(name, text string) {
	at := len(c.lines)
	kept := c.lines[:0:0]
	for _, line := range c.lines {
		if w := words(line); len(w) > 1 && w[0] == "user" && w[1] == name {
			at = len(kept)
			continue
		}
		kept = append(kept, line)
	}
	if text != "" {
		kept = slices.Insert(kept, min(at, len(kept)), text)
	}
	c.lines = kept
}

// splitLine splits a line into words as Redis does (sdssplitargs in its sds.c); nil where
// its quotes don't match.
func splitLine(line string) (list []string) {
	for i := 0; ; {
		for i < len(line) && strings.ContainsRune(" \t\r\v\f", rune(line[i])) {
			i++
		}
		if i == len(line) {
			return list
		}
		var b strings.Builder
		for i < len(line) && !strings.ContainsRune(" \t\r\v\f", rune(line[i])) {
			q := line[i]
			if q != '"' && q != '\'' {
				b.WriteByte(q)
				i++
				continue
			}
			end := false
			for i++; i < len(line) && !end; i++ {
				switch {
				case line[i] == q:
					end = true
				case line[i] == '\\' && q == '"' && i+3 < len(line) && line[i+1] == 'x' && isHex(line[i+2:i+4]):
					var n byte
					_, _ = fmt.Sscanf(line[i+2:i+4], "%x", &n)
					b.WriteByte(n)
					i += 3
				case line[i] == '\\' && q == '"' && i+1 < len(line):
					i++
					if at := strings.IndexByte("nrtba", line[i]); at >= 0 {
						b.WriteByte("\n\r\t\b\a"[at])
					} else {
						b.WriteByte(line[i])
					}
				case line[i] == '\\' && i+1 < len(line) && line[i+1] == '\'':
					i++
					b.WriteByte('\'')
				default:
					b.WriteByte(line[i])
				}
			}
			if !end {
				return nil
			}
		}
		list = append(list, b.String())
	}
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// quote is a value as a line has it.
func quote(value string) string {
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\#`, r) }) {
		return value
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(value) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var hashForm = regexp.MustCompile(`[#>][^ ]+`)

// hidden is the file's text as it is shown: without passwords.
func hidden(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		w := words(line)
		switch {
		case len(w) > 1 && secretSetting(w[0]):
			lines[i] = w[0] + " (sensitive)"
		case len(w) > 1 && w[0] == "user":
			lines[i] = hashForm.ReplaceAllString(line, "(sensitive)")
		}
	}
	return strings.Join(lines, "\n")
}
