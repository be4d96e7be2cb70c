package plays

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/files"
)

// Unit is a file with names of its own: a playbook, or a role in use.
type Unit struct {
	Name      string // of its file, as ranges give it
	Dir       files.Folder
	Order     []string // of variables, as declared
	Variables map[string]*Variable
	Locals    map[string]*Local
	Outputs   map[string]*Output
	Role      *RoleUse // nil: a playbook
	Parent    *Unit    // where the role is used
	Names     *Names   // of a role

	Values map[string]VarState // of a playbook's variables
	From   *Unit               // the playbook that includes it
}

// Local is a local of a file.
type Local struct {
	Name string
	At   hcl.Range
	Raw  hclsyntax.Expression
	Expr *Expr
}

// Output is an output of a role.
type Output struct {
	Name        string
	At          hcl.Range
	Sensitive   bool
	Description string
	Raw         hclsyntax.Expression
	Expr        *Expr
}

// What names the file, or the role, at the beginning of a sentence.
func (u *Unit) What() string {
	if u.Role != nil {
		return fmt.Sprintf("Role %q", u.Role.Name)
	}
	return u.Name
}
