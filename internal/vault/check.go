package vault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Concern is something about a secret that somebody should see to.
type Concern struct {
	Name string // of the secret
	Text string
}

// Check opens every value. What can't be opened is an error; what is due, what those who
// left have seen, and what isn't sealed to the recipients in the file are concerns.
func (s *Store) Check(today Date) ([]Concern, error) {
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
		if len(v.Current.Value.Reveal()) < Short {
			list = append(list, Concern{name, fmt.Sprintf("is shorter than %d characters: easily guessed, and not taken out of what programs print", Short)})
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
const Short = 8

func days(n int) string {
	switch n {
	case 0:
		return ", which is today"
	case 1:
		return ", a day ago"
	}
	return fmt.Sprintf(", %d days ago", n)
}
