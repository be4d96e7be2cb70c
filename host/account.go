package host

import "sort"

// Laid returns the names in a space at which pending changes leave something,
// or nothing, sorted; it is for answers about all of a space (who else has
// this number?), where the host's own list has to be completed.
func (v *View) Laid(space string) []string {
	if v.preview == nil {
		return nil
	}
	var names []string
	for key := range v.preview.exact {
		if key.Space == space {
			names = append(names, key.Name)
		}
	}
	sort.Strings(names)
	return names
}
