package lang

import (
	"strings"
	"testing"
)

// partialSite names hosts, groups and vars that only a source knows.
const partialSite = `
-- site.hcl --
variable "sourced" {}
play "listed" {
  hosts = ["cloud"]
  task "command" "sourced" { argv = ["x", var.sourced] }
  task "command" "first" { argv = ["x"] }
  task "file" "/a" { content = "${host.vars.listed} ${hosts["web2"].address} ${hosts.web2.vars.listed}" }
  task "file" "each" {
    for_each = toset(groups.cloud)
    path     = "/${each.key}"
    content  = "${hosts[each.key].vars.listed}"
  }
  task "command" "on" {
    on   = ["web2"]
    argv = ["x", on_host.vars.listed]
  }
  task "command" "pattern" {
    on   = ["web*"]
    argv = [for n, h in hosts : "${n} ${h.vars.listed}"]
  }
}
play "known" {
  hosts = ["app"]
  task "file" "/b" { content = "${host.vars.listed} ${matching("cloud")[0]} ${hosts["web2"].task.command.first.output.stdout}" }
  task "file" "/d" { content = hosts["web${1 + 1}"].address }
  task "template" "/t" { source = "t.tmpl" }
}
play "computed" {
  hosts = groups.cloud
  task "file" "/c" { content = host.name }
}
-- t.tmpl --
%{ for n in groups.cloud ~}
${hosts[n].address} ${host.vars.listed}
%{ endfor ~}
`

func TestWhatOnlyASourceKnowsIsNoMistakeBeforeItWasAsked(t *testing.T) {
	dir, file := project(t, partialSite)
	o := testOptions(dir)
	o.Fleet.Partial = true
	known := o.Fleet.Match
	o.Fleet.Match = func(patterns []string) ([]string, error) {
		if patterns[0] == "app" {
			return []string{"app1", "app2"}, nil
		}
		if known != nil {
			return known(patterns)
		}
		return nil, nil
	}
	if _, diags := Load(file, o); len(diags) > 0 {
		t.Error(diags)
	}
	t.Run("and one where there is none to ask", func(t *testing.T) {
		if _, diags := Load(file, testOptions(dir)); !diags.HasErrors() {
			t.Error("no error")
		}
	})
	t.Run("other mistakes are found", func(t *testing.T) {
		dir, file := project(t, "-- site.hcl --\nplay \"p\" {\n  hosts = [\"app\"]\n  task \"file\" \"/x\" { content = \"${hosts[\"web2\"].adress} ${host.facts.oss} ${hosts[\"web2\"].task.command.none.changed}\" }\n}\n")
		o.Root = dir
		_, diags := Load(file, o)
		var got []string
		for _, d := range diags {
			got = append(got, d.Summary)
		}
		if strings.Join(got, ", ") != "Unknown attribute, Unknown attribute, Unknown task" {
			t.Error(diags)
		}
	})
}
