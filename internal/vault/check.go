package vault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/secret"
)

// Concern is something about a secret that somebody should see to.
type Concern struct {
	Name string // of the secret
	Text string
}

// Weak says what is to be warned of in a value: that it is short, or equal to what something
// is called, which is told by what ("user", "host"; "" for nothing). It is "" where nothing is.
func Weak(value secret.String, what string) string {
	switch n := utf8.RuneCountInString(value.Reveal()); {
	case len(value.Reveal()) < Short:
		return fmt.Sprintf("has %d characters: it is easily guessed, and isn't taken out of what programs print", n)
	case what != "":
		return fmt.Sprintf("is the name of a %s of this project: it is easily guessed, and isn't taken out of what programs print", what)
	}
	return ""
}

// Check opens every value. What can't be opened is an error; what is due, what those who
// left have seen, and what isn't sealed to the recipients in the file are concerns, and so are
// values that are weak. Named tells of what a text is the name; nil knows none.
func (s *Store) Check(today Date, named func(value string) string) ([]Concern, error) {
	var list []Concern
	for _, name := range slices.Sorted(slices.Values(s.order)) {
		v, err := s.Get(name)
		if err != nil {
			return nil, err
		}
		i, _ := s.Info(name)
		if due := i.DueOn(); due != "" && due <= today {
			list = append(list, Concern{name, fmt.Sprintf("was to be rotated by %s%s", due, days(today.Since(due)))})
		}
		what := ""
		if named != nil {
			what = named(v.Current.Value.Reveal())
		}
		if why := Weak(v.Current.Value, what); why != "" {
			list = append(list, Concern{name, why})
		}
		if i.Pending != 0 || i.Previous != 0 {
			list = append(list, Concern{name, "is being rotated"})
		}
	}
	for _, d := range s.left {
		for _, name := range slices.Sorted(maps.Keys(d.Seen)) {
			list = append(list, Concern{name, fmt.Sprintf("is known to %s, who left on %s, and hasn't been rotated since", d.Name, d.Date)})
		}
	}
	join, leave := s.Changed()
	var moves []string
	for _, r := range join {
		moves = append(moves, r.Name+" is to join")
	}
	for _, r := range leave {
		moves = append(moves, r.Name+" is to leave")
	}
	if moves != nil {
		list = append(list, Concern{"", "the recipients have changed (" + strings.Join(moves, ", ") + "): \"muster secret rekey\" seals to them"})
	}
	return list, nil
}

// Short is the length, in bytes, under which a value is warned of.
const Short = secret.Short

func days(n int) string {
	switch n {
	case 0:
		return ", which is today"
	case 1:
		return ", a day ago"
	}
	return fmt.Sprintf(", %d days ago", n)
}
