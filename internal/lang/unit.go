package lang

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/lang/files"
)

// unit is a file with names of its own: a playbook, or a role in use.
type unit struct {
	name      string // of its file, as ranges give it
	dir       files.Folder
	order     []string // of variables, as declared
	variables map[string]*Variable
	locals    map[string]*local
	outputs   map[string]*output
	role      *RoleUse // nil: a playbook
	parent    *unit    // where the role is used
	names     *names   // of a role

	values map[string]varState // of a playbook's variables
	from   *unit               // the playbook that includes it
}

type local struct {
	name string
	at   hcl.Range
	raw  hclsyntax.Expression
	expr *expr
}

type output struct {
	name        string
	at          hcl.Range
	sensitive   bool
	description string
	raw         hclsyntax.Expression
	expr        *expr
}

func (u *unit) what() string {
	if u.role != nil {
		return fmt.Sprintf("Role %q", u.role.Name)
	}
	return u.name
}
