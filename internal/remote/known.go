package remote

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/modules"
)

// Of a task that is known after apply, the arguments that are known are shown: short texts,
// numbers, and lists of those, as "name = value" in lines. What may be secret isn't.

// knownMost is how many characters of a value are shown, and how many arguments.
const (
	knownMost = 200
	knownArgs = 8
)

// known lists the arguments of a task that can be told before it is planned; "" for none.
func (s *Session) known(t *task) string {
	if t.Sensitive {
		return ""
	}
	schema := s.Kinds.Schema(t.Kind)
	if schema == nil {
		return ""
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(t.Args)) {
		a := schema.Arg(name)
		if a == nil || a.Key || a.Sensitive || len(lines) == knownArgs {
			continue
		}
		if text, ok := plainArg(t.Args[name], &a.Type); ok {
			lines = append(lines, name+" = "+text)
		}
	}
	return strings.Join(lines, "\n")
}

// plainArg writes a value; ok is false where it isn't known, or is of a form that isn't shown.
func plainArg(v any, t *modules.Type) (text string, ok bool) {
	switch t.Base {
	case modules.String, modules.Number, modules.Bool:
		switch v := v.(type) {
		case string:
			text = v
		case bool, int, int64, uint64, float64:
			text = fmt.Sprint(v)
		default:
			return "", false
		}
	case modules.List:
		list, isList := v.([]any)
		if !isList {
			return plainArg(v, t.Elem)
		}
		var words []string
		for _, e := range list {
			word, ok := plainArg(e, t.Elem)
			switch _, open := e.(modules.UnknownValue); {
			case open:
				word = "(known after apply)"
			case !ok:
				return "", false
			}
			words = append(words, word)
		}
		text = strings.Join(words, " ")
	default:
		return "", false
	}
	text, _, more := strings.Cut(text, "\n")
	if r := []rune(text); len(r) > knownMost {
		text, more = string(r[:knownMost]), true
	}
	if more {
		text += " …"
	}
	return text, text != ""
}
