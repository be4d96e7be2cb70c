package lang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRolesAreDocumented(t *testing.T) {
	dir, _ := project(t, `
-- roles/README.md/x --
-- roles/web/role.hcl --
description = "A web server."
variable "port" {
  type        = number
  description = "where it listens"
  default     = 80
}
variable "names" {
  type = list(string)
}
variable "servers" {
  type    = map(object({ name = string, weight = optional(number) }))
  default = { "a b" = { name = "$${x}" }, c = { name = "y\n", weight = 2 } }
}
variable "key" {
  type      = string
  default   = "geheim-4711"
  sensitive = true
}
variable "old" {
  default    = null
  deprecated = "Use port."
}
output "url" {
  description = "where it answers"
  value       = "http://${host.name}"
}
output "token" {
  value     = "x"
  sensitive = true
}
task "command" "x" { argv = ["x"] }
-- roles/bare/role.hcl --
-- roles/unreadable/role.hcl --
description =
`)
	if err := os.WriteFile(filepath.Join(dir, "roles", "note.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	o := testOptions(dir)
	if got := strings.Join(RoleNames(o), " "); got != "bare unreadable web" {
		t.Error(got)
	}
	bad, sources, diags := ReadRole("unreadable", o)
	if bad != nil || len(diags) != 1 || sources[diags[0].Subject.Filename] == nil {
		t.Error(bad, diags)
	}
	var roles []RoleDoc
	for _, name := range []string{"bare", "web"} {
		d, _, diags := ReadRole(name, o)
		if d == nil || len(diags) > 0 {
			t.Fatal(name, diags)
		}
		roles = append(roles, *d)
	}
	want := []RoleDoc{
		{Name: "bare", Dir: filepath.Join(dir, "roles", "bare")},
		{Name: "web", Description: "A web server.", Dir: filepath.Join(dir, "roles", "web"), Inputs: []RoleInput{
			{Name: "port", Description: "where it listens", Type: "number", Default: "80"},
			{Name: "names", Type: "list(string)", Required: true},
			{Name: "servers", Type: "map(object({ name = string, weight = optional(number) }))", Default: `{ "a b" = { name = "$${x}", weight = null }, c = { name = "y\n", weight = 2 } }`},
			{Name: "key", Type: "string", Default: "…", Sensitive: true},
			{Name: "old", Type: "any", Default: "null", Deprecated: "Use port."},
		}, Outputs: []RoleOutput{{Name: "token", Sensitive: true}, {Name: "url", Description: "where it answers"}}},
	}
	if got := fmt.Sprintf("%+v", roles); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
}
