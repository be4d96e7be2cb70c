package lang

import (
	"fmt"
	"strings"
	"testing"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

// TestNoMessageShowsWhatIsSensitive puts a canary into everything that can go
// wrong with a value.
func TestNoMessageShowsWhatIsSensitive(t *testing.T) {
	const canary = "canary-4711"
	for _, task := range []string{
		`task "file" "/x" { content = parseint(var.c, 10) }`,
		`task "file" "/x" { content = regex("x+z", var.c) }`,
		`task "file" "/x" { content = jsondecode(var.c) }`,
		`task "file" "/x" { content = file(var.c) }`,
		`task "file" "/x" { content = base64decode(upper("${var.c}!")) }`,
		`task "file" "/x" { content = templatefile("t.tmpl", { x = var.c }) }`,
		`task "file" "/x" { content = timeadd(var.c, "1h") }`,
		`task "file" "/x" { content = formatdate(var.c, "2020") }`,
		`task "file" "/x" { content = local.upper + 1 }`,
		`task "file" "/x" { content = { a = 1 }[var.c] }`,
		`task "file" "/x" { content = tomap({ a = 1 })[var.c] }`,
		`task "file" "/x" { content = lookup({ a = 1 }, var.c) }`,
		`task "file" "/x" { content = tobool(var.c) }`,
		`task "file" "/x" { content = tonumber(local.upper) }`,
		`task "file" "/x" { source = var.c }`,
		`task "template" "/x" { source = var.c }`,
		`task "template" "/x" {
		  source = "u.tmpl"
		  vars   = { x = var.c }
		}`,
		`task "directory" "/x" { source = var.c }`,
		`task "file" "x" { path = var.c }`,
		`task "file" "/x" { mode = var.c }`,
		`task "file" "/x" { state = var.c }`,
		`task "file" "/x" { backup = var.c }`,
		`task "user" "x" { uid = var.c }`,
		`task "user" "x" { keys = [{ key = "x", options = var.c }] }`,
		`task "user" "x" { limits = { files = "${var.c}-x" } }`,
		`task "file" "/x" { timeout = var.c }`,
		`task "file" "/x" { on_error = var.c }`,
		`task "file" "/x" { on = [var.c] }`,
		`task "file" "/x" { when = var.c }`,
		`task "file" "/x" { tags = [var.c] }`,
		`task "file" "x" {
		  for_each = toset([var.c])
		  path     = "/x"
		}`,
		`task "file" "x" {
		  for_each = [var.c, var.c]
		  path     = "/x"
		}`,
		`task "command" "x" {
		  argv = ["x"]
		  retry { attempts = var.c }
		}`,
		`task "command" "x" {
		  argv = ["x"]
		  retry {
		    attempts = 1
		    delay    = var.c
		  }
		}`,
		`role "r" { n = var.c }`,
		`role "r" { v = var.c }`,
	} {
		t.Run(task, func(t *testing.T) {
			dir, file := project(t, fmt.Sprintf(`
-- site.hcl --
variable "c" {
  type      = string
  sensitive = true
}
locals {
  upper = upper(var.c)
}
play "p" {
  hosts = ["lb1"]
  %s
}
-- t.tmpl --
${parseint(x, 10)}
-- u.tmpl --
${parseint(upper(x), 10)} ${x.y}
-- roles/r/role.hcl --
variable "n" {
  type    = number
  default = 1
}
variable "v" {
  type    = string
  default = ""
  validation {
    condition = var.v == ""
    message   = "Not ${var.v}."
  }
}
task "command" "x" { argv = ["x"] }
`, task))
			o := testOptions(dir)
			o.Vars = []plays.VarSource{{Name: "c", Text: canary, Origin: "MUSTER_VAR_c"}}
			_, diags := Load(file, o)
			if !diags.HasErrors() {
				t.Fatal("nothing is wrong with it")
			}
			for _, d := range diags {
				text := strings.ToLower(d.Summary + " " + d.Detail + " " + diag.Hint(d))
				if strings.Contains(text, canary) {
					t.Errorf("%s", text)
				}
			}
		})
	}
	t.Run("a value of the wrong type from outside", func(t *testing.T) {
		dir, file := project(t, "-- site.hcl --\nvariable \"c\" {\n  type      = map(number)\n  sensitive = true\n}\n")
		for _, text := range []string{canary, `{ "` + canary + `" = "` + canary + `" }`, `["` + canary + `"`} {
			o := testOptions(dir)
			o.Vars = []plays.VarSource{{Name: "c", Text: text, Origin: "MUSTER_VAR_c"}}
			_, diags := Load(file, o)
			if !diags.HasErrors() || strings.Contains(fmt.Sprint(diags), canary) {
				t.Error(diags)
			}
		}
	})
}
