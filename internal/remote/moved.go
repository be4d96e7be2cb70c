package remote

import (
	"maps"
	"slices"

	"muster/host"
)

// moved returns the facts that effects move, and those that they only may: by
// what a package may bring, or a command may do.
func (s *Session) moved(effects []host.Effect) (certain, possible []string) {
	if len(effects) == 0 {
		return nil, nil
	}
	for _, fact := range slices.Sorted(maps.Keys(s.FactKeys)) {
		is, may := false, false
		for _, e := range effects {
			for _, key := range s.FactKeys[fact] {
				touches := e.Key == key || e.Key.Space == host.All ||
					e.Key.Space == key.Space && (e.Key.Name == host.All || key.Name == host.All)
				wide := e.Key.Name == host.All || e.State == host.Possible
				is, may = is || touches && !wide, may || touches
			}
		}
		switch {
		case is:
			certain = append(certain, fact)
		case may:
			possible = append(possible, fact)
		}
	}
	return certain, possible
}
