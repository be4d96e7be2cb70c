package haproxy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"muster/secret"
)

// A data plane API keeps count of a file's versions in a comment at its top.
var mark = regexp.MustCompile(`^# _(version|md5hash)\s*=`)

func marksIn(text string) (list []string) {
	for l := range strings.Lines(text) {
		if mark.MatchString(l) {
			list = append(list, strings.TrimSpace(l))
		}
	}
	return list
}

func withoutMarks(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if !mark.MatchString(l) {
			b.WriteString(l)
		}
	}
	return b.String()
}

// mapLine says why a key and its value can't be a line of a map, "" where they can.
func mapLine(key, value string) string {
	if key == "" || strings.ContainsFunc(key, unicode.IsSpace) || strings.HasPrefix(key, "#") {
		return fmt.Sprintf("%q can't be a key of a map: a key is one word, and doesn't begin with #.", key)
	}
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
		return fmt.Sprintf("%q can't be a value of a map: a value is the rest of a line, and not empty.", value)
	}
	return ""
}

// mapText is a map's file.
func mapText(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", key, m[key])
	}
	return b.String()
}

// keeping is a configuration in which servers' states are taken up from muster's file when
// it is loaded.
func (r rendered) keeping() rendered {
	out := rendered{}
	add := func(text, path string) { out.text += text + "\n"; out.paths = append(out.paths, path) }
	lines := strings.Split(strings.TrimSuffix(r.text, "\n"), "\n")
	if strings.Contains(r.text, "server-state") {
		return r
	}
	global, defaults := "\tserver-state-file "+keptPath, "\tload-server-state-from-file global"
	if !slices.Contains(lines, "global") {
		add("global", "")
		add(global, "")
	}
	if !slices.ContainsFunc(lines, beginsDefaults) {
		add("defaults", "")
		add(defaults, "")
	}
	for i, l := range lines {
		add(l, r.paths[i])
		switch {
		case l == "global":
			add(global, "")
		case beginsDefaults(l):
			add(defaults, "")
		}
	}
	return out
}

func beginsDefaults(line string) bool {
	return line == "defaults" || strings.HasPrefix(line, "defaults ")
}

// Passwords in a configuration: of the page with statistics, and of users.
var password = regexp.MustCompile(`(?im)^(\s*(?:stats\s+auth|user\s+\S+\s+(?:insecure-)?password)\s+).*$|((?:proxy-)?authorization\s+).*$`)

// hidden is a configuration's text as it may be shown. A file may hold passwords that no
// task has: those of yesterday.
func hidden(text string) string {
	return password.ReplaceAllString(text, "${1}${2}"+secret.Hidden)
}
