package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// notes returns what was declared of what has the labels: "driver", "options mtu".
func notes(labels map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, what := range wasDeclared(labels) {
		all[what] = true
	}
	return all
}

// note writes down what is declared, among the labels: what muster has declared and no
// longer does is a difference, what it never did isn't.
func note(labels map[string]string, list []string) {
	slices.Sort(list)
	data, _ := json.Marshal(append([]string{}, list...))
	labels[declared] = string(data)
}

// keyed names what is declared in a map.
func keyed(arg string, m map[string]string) []string {
	var list []string
	for _, k := range sortedKeys(m) {
		list = append(list, arg+" "+k)
	}
	return list
}

// merged returns a map as it has to be, never nil, and lines that tell what differs:
// what is declared has its value, what was declared and no longer is goes, all else
// stays. Two values that same takes for one are no difference; nil: the same text.
func merged(arg string, is, wants map[string]string, noted map[string]bool, same func(key, a, b string) bool) (want map[string]string, diff []string) {
	want = map[string]string{}
	maps.Copy(want, is)
	for _, k := range sortedKeys(is) {
		if _, still := wants[k]; !still && noted[arg+" "+k] {
			delete(want, k)
			diff = append(diff, fmt.Sprintf("%s: - %s = %s", arg, k, legible(k, is[k])))
		}
	}
	for _, k := range sortedKeys(wants) {
		was, there := is[k]
		switch {
		case !there:
			diff = append(diff, fmt.Sprintf("%s: + %s = %s", arg, k, legible(k, wants[k])))
		case was == wants[k] || same != nil && same(k, was, wants[k]):
			continue
		default:
			diff = append(diff, fmt.Sprintf("%s: %s = %s → %s", arg, k, legible(k, was), legible(k, wants[k])))
		}
		want[k] = wants[k]
	}
	return want, diff
}

// added tells what a map holds, without the note.
func added(arg string, m map[string]string) []string {
	var list []string
	for _, k := range sortedKeys(m) {
		if arg != "labels" || k != declared {
			list = append(list, fmt.Sprintf("%s: + %s = %s", arg, k, legible(k, m[k])))
		}
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
