package remote

import (
	"sort"
	"strings"

	"muster/modules"
	"muster/secret"
)

// unknownArgs returns the names of the arguments that hold an unknown value.
func unknownArgs(args map[string]any) []string {
	var list []string
	for name, value := range args {
		if modules.HoldsUnknown(value) {
			list = append(list, name)
		}
	}
	sort.Strings(list)
	return list
}

// names returns the strings in a key argument: one, or a list of them.
func names(value any) []string {
	switch x := value.(type) {
	case string:
		return []string{x}
	case secret.String:
		return []string{x.Reveal()}
	case []any:
		var list []string
		for _, e := range x {
			switch s := e.(type) {
			case string:
				list = append(list, s)
			case secret.String:
				list = append(list, s.Reveal())
			}
		}
		return list
	}
	return nil
}

func joinErrors(errs []modules.ArgError) string {
	var list []string
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return strings.Join(list, "\n")
}

// openArgs says which arguments aren't known: "content = (known after apply)".
func openArgs(names []string) string {
	return strings.Join(names, " = (known after apply), ") + " = (known after apply)"
}
