package plays

import (
	"fmt"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Names is the tasks and roles that can be read of a play, or of a role in use.
type Names struct {
	Tasks map[string]map[string]*Task
	Roles map[string]*RoleUse
	Inner []*Task // of the roles inside, which can't be read
}

// TaskRead is a task that an expression reads.
type TaskRead struct {
	Task     *Task
	Host     string // "": the play's host
	AllHosts bool   // of a host whose name is computed
}

// RoleRead is a role whose outputs an expression reads.
type RoleRead struct {
	Use      *RoleUse
	Play     *Play
	Host     string // "": the play's host
	AllHosts bool   // of a host whose name is computed
}

// NewNames is of a play in which nothing stands yet.
func NewNames() *Names {
	return &Names{Tasks: map[string]map[string]*Task{}, Roles: map[string]*RoleUse{}}
}

// Task returns a task that can be read; nil where there is none.
func (n *Names) Task(kind, label string) *Task { return n.Tasks[kind][label] }

// TaskName writes how references call a task.
func TaskName(kind, label string) string {
	if IsIdentifier(label) {
		return "task." + kind + "." + label
	}
	return fmt.Sprintf("task.%s[%q]", kind, label)
}

// IsIdentifier is hclsyntax.ValidIdentifier, which lexes, with an answer of its
// own for what is plain.
func IsIdentifier(s string) bool {
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

// AddName adds a name to sorted ones.
func AddName(names []string, name string) []string {
	i := sort.SearchStrings(names, name)
	if i < len(names) && names[i] == name {
		return names
	}
	names = append(names, "")
	copy(names[i+1:], names[i:])
	names[i] = name
	return names
}
