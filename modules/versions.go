package modules

import (
	"muster/secret"
)

// Versions is a credential with all the values that are valid while it is rotated. A
// playbook writes it as one string, as any other: Use is what that says with the version
// that its host is to use of each secret in it, and Valid what it says with each version
// that has to go on being valid, newest first. Use is among them.
//
// A kind that sets credentials asks for them with a field of type []string whose tag
// `versions:"ARG"` names the argument; see Arg.
type Versions struct {
	Use   secret.String
	Valid []secret.String
}

// revealed returns the arguments of a task with secrets as the strings that kinds take.
// What holds none is returned as it is.
func revealed(value any) any {
	switch x := value.(type) {
	case secret.String:
		return x.Reveal()
	case []any:
		for i, e := range x {
			if concealed(e) {
				out := append([]any(nil), x...)
				for j := i; j < len(out); j++ {
					out[j] = revealed(out[j])
				}
				return out
			}
		}
	case map[string]any:
		if !concealed(x) {
			return x
		}
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = revealed(e)
		}
		return out
	}
	return value
}

// concealed reports whether a value is or holds a secret.String.
func concealed(value any) bool {
	switch x := value.(type) {
	case secret.String:
		return true
	case []any:
		for _, e := range x {
			if concealed(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range x {
			if concealed(e) {
				return true
			}
		}
	}
	return false
}
