package doc

import (
	"fmt"
	"strings"
)

// Role is a role with what it says of itself.
type Role struct {
	Name    string `json:"name"` // "role.web": how a playbook reads it, and no kind's name
	Text    string `json:"text"`
	Dir     string `json:"dir,omitempty"` // from the project's folder; "" where it comes with muster
	Inputs  []Arg  `json:"inputs"`
	Outputs []Arg  `json:"outputs"`
}

// FirstSentence is the first sentence of the role's description, without its
// full stop.
func (r Role) FirstSentence() string { return firstSentence(r.Text) }

// TextOfRole is the documentation of a role for a terminal. Args is what every
// role takes.
func TextOfRole(r *Role, args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Name)
	if r.Text != "" {
		fmt.Fprintf(&b, "%s\n\n", wrap(r.Text, "  "))
	}
	if r.Dir != "" {
		fmt.Fprintf(&b, "%s\n\n", wrap("It stands in "+r.Dir+".", "  "))
	}
	if len(r.Inputs) > 0 {
		b.WriteString("Inputs\n")
		writeArgs(&b, r.Inputs, "  ")
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s\n", wrap("Every role also takes "+strings.Join(args, ", ")+".", "  "))
	if len(r.Outputs) > 0 {
		b.WriteString("\nOutputs\n")
		writeArgs(&b, r.Outputs, "  ")
	}
	return b.String()
}
