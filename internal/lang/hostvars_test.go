package lang

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/check"
	"muster/internal/lang/eval"
)

// varsRead says which of some vars a playbook may read.
func varsRead(p *eval.Playbook) string {
	if p.ReadsVar("a var that nobody names") {
		return "any"
	}
	var got []string
	for _, name := range []string{"extra", "port", "server_id", "tier"} {
		if p.ReadsVar(name) {
			got = append(got, name)
		}
	}
	return fmt.Sprint(got)
}

func TestVarsThatExpressionsRead(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"none", `"${host.name} ${host.address}"`, "[]"},
		{"one", `host.vars.tier`, "[tier]"},
		{"by index", `host["vars"]["tier"]`, "[tier]"},
		{"something inside it", `host.vars.tier[0].vars.port`, "[tier]"},
		{"one that may be missing", `try(host.vars.extra, "none")`, "[extra]"},
		{"the host as a whole", `jsonencode(host)`, "any"},
		{"all of a host's vars", `jsonencode(host.vars)`, "any"},
		{"a computed name", `host.vars[host.name]`, "any"},
		{"a computed attribute", `jsonencode(host[host.name])`, "any"},
		{"a splat over a host", `jsonencode(host[*].vars.tier)`, "any"},
		{"the vars of a splat's host", `jsonencode(host.vars[*])`, "any"},
		{"another host's", `hosts["db1"].vars.server_id`, "[server_id]"},
		{"another host as a whole", `jsonencode(hosts.db1)`, "any"},
		{"another host's address", `hosts["db1"].address`, "[]"},
		{"a computed host's", `hosts[groups.app[0]].vars.port`, "[port]"},
		{"a computed host as a whole", `jsonencode(hosts[groups.app[0]])`, "any"},
		{"all vars of a computed host", `jsonencode(hosts[groups.app[0]].vars)`, "any"},
		{"a computed host in parentheses", `jsonencode((hosts[groups.app[0]]).vars.port)`, "any"},
		{"every host as a whole", `jsonencode(hosts)`, "any"},
		{"every host's names", `jsonencode(keys(hosts))`, "any"},
		{"a for over hosts", `jsonencode([for n, h in hosts : h.vars.tier if h.name != n])`, "[tier]"},
		{"a for's keys and condition", `jsonencode({ for h in hosts : h.vars.tier => h.address... if try(h.vars.extra, "") == "" })`, "[extra tier]"},
		{"a for whose elements are taken as a whole", `jsonencode([for h in hosts : h])`, "any"},
		{"a for that hands its element on", `jsonencode([for h in hosts : [for k, v in h.vars : k]])`, "any"},
		{"a for with a computed name", `jsonencode([for n, h in hosts : h.vars[n]])`, "any"},
		{"a for over the values", `jsonencode([for h in values(hosts) : h.vars.tier])`, "[tier]"},
		{"a for over a list of hosts", `jsonencode([for h in [host, hosts["db1"]] : h.name])`, "any"},
		{"a for over something else", `jsonencode([for h in groups.app : h])`, "[]"},
		{"an inner for with the same name", `jsonencode([for h in hosts : [for h in groups.app : h]])`, "[]"},
		{"a for in the collection of a for over hosts", `jsonencode([for h in [for h in hosts : h.vars.tier] : h])`, "[tier]"},
		{"an outer for's host", `jsonencode([for h in hosts : [for n in groups.app : "${n} ${h.vars.tier}"]])`, "[tier]"},
		{"names in groups", `jsonencode([for n in groups.app : hosts[n].vars.port])`, "[port]"},
		{"a splat over the values", `jsonencode(values(hosts)[*].vars.tier)`, "[tier]"},
		{"a splat of the old form", `jsonencode(values(hosts).*.vars.tier)`, "[tier]"},
		{"a splat's addresses", `jsonencode(values(hosts)[*].address)`, "[]"},
		{"a splat's hosts as a whole", `jsonencode(values(hosts)[*])`, "any"},
		{"a splat with a computed name", `jsonencode(values(hosts)[*].vars[host.name])`, "any"},
		{"a splat over hosts", `jsonencode(hosts[*].db1.vars.server_id)`, "any"},
		{"a choice of hosts", `try((host.name == "x" ? host : hosts["db1"]).vars.tier, "")`, "any"},
		{"a local that reads one", `local.l`, "[tier]"},
		{"a string with a name in it", `"host.vars.tier"`, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			local := ""
			if strings.Contains(c.content, "local") {
				local = "locals { l = host.vars.tier }\n"
			}
			dir, file := project(t, "-- site.hcl --\n"+local+"play \"p\" {\n  hosts = [\"app\"]\n  task \"file\" \"/x\" {\n    content = "+c.content+"\n    when    = host.facts.os.id == \"x\"\n  }\n}\n")
			p, diags := Load(file, testOptions(dir))
			for _, d := range diags {
				if d.Summary != "Unsupported attribute" && d.Summary != "Invalid index" { // of hosts that lack a var
					t.Fatal(d)
				}
			}
			p.Failed = false
			if got := varsRead(p); got != c.want {
				t.Errorf("%s: got %s, want %s", c.content, got, c.want)
			}
		})
	}
}

func TestVarsThatPlaybooksRead(t *testing.T) {
	for _, c := range []struct{ name, files, want string }{
		{"a condition, for_each and become", `
-- site.hcl --
play "p" {
  hosts  = ["lb"]
  become = host.vars.tier
  task "file" "x" {
    for_each = { for k in ["a"] : k => hosts["app2"].vars.extra }
    path     = "/${each.key}"
    when     = hosts.app1.vars.port > 1
  }
}
`, "[extra port tier]"},
		{"a variable that the inventory may set", `
-- site.hcl --
include "more.hcl" {}
-- more.hcl --
variable "tier" { default = "" }
play "p" {
  hosts = ["lb"]
}
`, "[tier]"},
		{"a role's input of that name isn't set by it", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  role "r" { tier = "x" }
}
-- roles/r/role.hcl --
variable "tier" {}
task "file" "/x" { content = host.vars.tier == var.tier ? "" : try(host.vars.extra, "") }
`, "[extra tier]"},
		{"a role's input alone", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  role "r" { tier = "x" }
}
-- roles/r/role.hcl --
variable "tier" {}
`, "[]"},
		{"a role that nobody uses", `
-- site.hcl --
play "p" { hosts = ["lb"] }
-- roles/r/role.hcl --
task "file" "/x" { content = host.vars.tier }
`, "[]"},
		{"the host acted on", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "command" "c" {
    on   = ["app1"]
    argv = ["x", on_host.vars.port]
  }
}
`, "[port]"},
		{"a template", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "template" "/x" { source = "x.tmpl" }
}
-- x.tmpl --
%{ for n, h in hosts ~}
${n} ${try(h.vars.port, 0)} ${host.vars.tier}
%{ endfor ~}
`, "[port tier]"},
		{"a template of a task that no check came to", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "template" "/x" {
    source = "x.tmpl"
    when   = false
  }
}
-- x.tmpl --
${host.vars.tier}
`, "[tier]"},
		{"a template of a role", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  role "r" {}
}
-- roles/r/role.hcl --
task "template" "/x" {
  source = "x.tmpl"
  when   = false
}
-- roles/r/templates/x.tmpl --
${host.vars.tier}
`, "[tier]"},
		{"a template that takes its host as a whole", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "template" "/x" { source = "x.tmpl" }
}
-- x.tmpl --
${jsonencode(host)}
`, "any"},
		{"a template whose vars are called like what it could see", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "template" "/x" {
    source = "x.tmpl"
    vars   = { vars = { tier = 1 }, h = { vars = { port = 1 } } }
  }
}
-- x.tmpl --
${vars.tier} ${h.vars.port}
`, "[]"},
		{"a template whose path is computed", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "template" "x" {
    for_each = ["x"]
    path     = "/${each.key}"
    source   = "${each.key}.tmpl"
  }
}
-- x.tmpl --
none
`, "any"},
		{"a template that is rendered by a function sees no host", `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "file" "/x" { content = templatefile("x.tmpl", { tier = host.vars.tier }) }
}
-- x.tmpl --
${tier}
`, "[tier]"},
		{"a playbook with errors", `
-- site.hcl --
play "p" {
  hosts = ["lbb"]
}
`, "any"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, c.files)
			p, diags := Load(file, testOptions(dir))
			if diags.HasErrors() != strings.HasSuffix(c.name, "errors") {
				t.Fatal(diags)
			}
			if got := varsRead(p); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestUnreadVarsAreWarnedOfOnce(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
variable "memory" { default = 1 }
play "p" {
  hosts = ["lb"]
  task "file" "/x" { content = "${var.memory} ${host.vars.tier}" }
}
-- other.hcl --
play "p" {
  hosts = ["app"]
  task "file" "/x" { content = host.vars.port }
}
`)
	site, other := must(t, file, testOptions(dir)), must(t, filepath.Join(dir, "other.hcl"), testOptions(dir))
	at := func(name string, line int) check.SetVar {
		pos := hcl.Pos{Line: line, Column: 1, Byte: line * 10}
		return check.SetVar{Name: name, At: hcl.Range{Filename: "hosts.hcl", Start: pos, End: pos}}
	}
	set := []check.SetVar{at("tier", 1), at("rack", 9), at("port", 2), at("memroy", 3), at("rack", 4), at("memory", 5), at("rack", 8), at("shelf", 7), at("shelf", 6)}
	var got []string
	u := check.NewUnread(set)
	u.Read(site)
	u.Read(other)
	for _, d := range u.Warnings() {
		where, text := describe("", d)
		if d.Severity != hcl.DiagWarning {
			t.Errorf("%s is no warning", where)
		}
		got = append(got, where+" "+text)
	}
	want := []string{
		`hosts.hcl:3 Variable nobody reads: No playbook of the project reads host.vars.memroy or declares a variable "memroy" that this would set. Did you mean "memory"?`,
		`hosts.hcl:4 Variable nobody reads: No playbook of the project reads host.vars.rack or declares a variable "rack" that this would set. It is set at 2 other places, too. `,
		`hosts.hcl:6 Variable nobody reads: No playbook of the project reads host.vars.shelf or declares a variable "shelf" that this would set. It is set at hosts.hcl:7, too. `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
