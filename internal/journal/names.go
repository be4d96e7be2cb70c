package journal

import (
	"strconv"
	"strings"
)

// place is where a task stands, as its id has it:
// `0/role.web/role["b"]["key"]/task.file["/etc/motd"]["key"]`.
type place struct {
	Role  string // the roles around it, with their keys: `web/b["key"]`; "" outside of roles
	Label string
	Key   string // of its for_each; "" without
}

// placeOf takes an id apart. What it can't read it leaves out.
func placeOf(id string) place {
	var p place
	_, rest, _ := strings.Cut(id, "/") // behind the play's number
	var roles []string
	for {
		after, ok := strings.CutPrefix(rest, "role")
		if !ok {
			break
		}
		label, keyed := step(after)
		if label == "" {
			return p
		}
		_, rest = key(keyed)
		element := strings.TrimSuffix(keyed, rest) // `["key"]`, or nothing
		rest = strings.TrimPrefix(rest, "/")
		roles = append(roles, label+element)
	}
	p.Role = strings.Join(roles, "/")
	after, ok := strings.CutPrefix(rest, "task.")
	if !ok {
		return p
	}
	if end := strings.IndexAny(after, ".["); end >= 0 {
		p.Label, rest = step(after[end:])
		p.Key, _ = key(rest)
	}
	return p
}

// step reads `.LABEL` or `["LABEL"]` from the begin of text.
func step(text string) (label, rest string) {
	after, ok := strings.CutPrefix(text, ".")
	if !ok {
		return key(text)
	}
	if end := strings.IndexAny(after, "[/"); end >= 0 {
		return after[:end], after[end:]
	}
	return after, ""
}

// key reads `["KEY"]` from the begin of text; "" if it doesn't stand there.
func key(text string) (key, rest string) {
	after, ok := strings.CutPrefix(text, "[")
	if !ok {
		return "", text
	}
	quoted, err := strconv.QuotedPrefix(after)
	if err != nil {
		return "", text
	}
	key, err = strconv.Unquote(quoted)
	rest, ok = strings.CutPrefix(after[len(quoted):], "]")
	if err != nil || !ok {
		return "", text
	}
	return key, rest
}
