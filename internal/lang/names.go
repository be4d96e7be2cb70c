package lang

import (
	"fmt"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// names is the tasks and roles that can be read of a play, or of a role in use.
type names struct {
	tasks map[string]map[string]*Task
	roles map[string]*RoleUse
	inner []*Task // of the roles inside, which can't be read
}

// taskRead is a task that an expression reads.
type taskRead struct {
	task     *Task
	host     string // "": the play's host
	allHosts bool   // of a host whose name is computed
}

// roleRead is a role whose outputs an expression reads.
type roleRead struct {
	use      *RoleUse
	play     *Play
	host     string // "": the play's host
	allHosts bool   // of a host whose name is computed
}

func newNames() *names {
	return &names{tasks: map[string]map[string]*Task{}, roles: map[string]*RoleUse{}}
}

func (n *names) task(kind, label string) *Task { return n.tasks[kind][label] }

// taskName writes how references call a task.
func taskName(kind, label string) string {
	if isIdentifier(label) {
		return "task." + kind + "." + label
	}
	return fmt.Sprintf("task.%s[%q]", kind, label)
}

// isIdentifier is hclsyntax.ValidIdentifier, which lexes, with an answer of its
// own for what is plain.
func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case i > 0 && ('0' <= c && c <= '9' || c == '-'):
		case c >= utf8.RuneSelf:
			return hclsyntax.ValidIdentifier(s)
		default:
			return false
		}
	}
	return s != ""
}

// addName adds a name to sorted ones.
func addName(names []string, name string) []string {
	i := sort.SearchStrings(names, name)
	if i < len(names) && names[i] == name {
		return names
	}
	names = append(names, "")
	copy(names[i+1:], names[i:])
	names[i] = name
	return names
}
