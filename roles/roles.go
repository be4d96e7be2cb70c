// Package roles holds the roles that come with muster: role "docker" in a playbook is
// found here where the project has none of that name.
package roles

import "embed"

// FS has NAME/role.hcl, and the files and templates of each beside that.
//
//go:embed */role.hcl */files */templates
var FS embed.FS
