package lang

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadingOtherHosts(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "first" {
  hosts = ["db1", "lb1"]
  task "command" "key" { argv = ["x"] }
  task "command" "each" {
    for_each = { a = host.name, b = "x" }
    argv     = [each.value]
  }
}
play "second" {
  hosts = ["app"]
  task "command" "own" { argv = ["x"] }
  task "file" "/a" { content = hosts["db1"].task.command.key.output.stdout }
  task "file" "/b" { content = join(",", [for h in ["db1", "lb1"] : hosts[h].task.command.key.output.stdout]) }
  task "file" "/c" { content = hosts["app2"].task.command.own.output.stdout }
  task "file" "/d" { content = hosts["db1"].task.command.each["a"].output.stdout }
  task "file" "/e" { content = "${hosts["db1"].address} ${hosts["db1"].facts.os.id}" }
  task "file" "/f" { content = join(",", [for n, h in hosts : h.facts.os.id]) }
  task "file" "/g" {
    content = "x"
    when    = hosts["app2"].task.command.own.changed
  }
}
`)
	p := must(t, file, testOptions(dir))
	out := func(text string) fakeOutcome {
		return fakeOutcome{Changed: true, Output: []byte(fmt.Sprintf(`{"stdout":%q}`, text))}
	}
	r := &fakeResults{Outcomes: map[string]map[string]fakeOutcome{
		"db1": {"0/task.command.key": out("db-key"), `0/task.command.each["a"]`: out("db-each"), `0/task.command.each["b"]`: out("")},
		"lb1": {"0/task.command.key": out("lb-key")},
	}}
	for _, h := range []string{"db1", "lb1", "app1", "app2"} {
		if r.FactsOf == nil {
			r.FactsOf = map[string]rawJSON{}
		}
		r.FactsOf[h] = rawJSON(fmt.Sprintf(`{"os":{"id":"%s-os"}}`, h))
	}
	s := p.Scope(p.Plays[1], "app1", r)
	for i, want := range []string{"", "db-key", "db-key,lb-key", "waits [{app2 1/task.command.own}]", "db-each", "10.0.0.21 db1-os", "app1-os,app2-os,db1-os,lb1-os", "waits [{app2 1/task.command.own}]"} {
		if i == 0 {
			continue
		}
		instances, _, _ := s.Instances(p.Plays[1].Steps[i].Task)
		e, waits, diags := s.Evaluate(instances[0])
		got := fmt.Sprint("waits ", waits)
		if len(waits) == 0 {
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			got = contentText(t, e)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", instances[0].ID, got, want)
		}
	}
	if strings.Join(p.Facts, ",") != "os" {
		t.Errorf("facts that are read: %v", p.Facts)
	}
}

func TestFactsThatAreRead(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"none", `"x"`, "[]"},
		{"one", `host.facts.memory`, "[memory]"},
		{"two, one of them in a local", `"${local.l} ${host.facts["memory"]}"`, "[memory os]"},
		{"all", `jsonencode(host.facts)`, "any"},
		{"of the host as a whole", `jsonencode(host)`, "any"},
		{"of a host as a whole", `jsonencode(hosts["db1"])`, "any"},
		{"of every host", `join(",", [for h in hosts : h.facts.os.id])`, "[os]"},
		{"of a computed host", `hosts[groups.app[0]].facts.os.id`, "[os]"},
		{"hosts without facts", `join(",", [for h in hosts : h.address])`, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			local := ""
			if strings.Contains(c.content, "local") {
				local = "locals { l = host.facts.os.id }\n"
			}
			dir, file := project(t, "-- site.hcl --\n"+local+"play \"p\" {\n  hosts = [\"app\"]\n  task \"file\" \"/x\" {\n    content = "+c.content+"\n  }\n}\n")
			p := must(t, file, testOptions(dir))
			got := fmt.Sprint(p.Facts)
			if p.Facts == nil {
				got = "any"
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestIncludesThatDontWork(t *testing.T) {
	for _, c := range []struct{ name, files, want string }{
		{"a cycle", "-- site.hcl --\ninclude \"b.hcl\" {}\n-- b.hcl --\ninclude \"site.hcl\" {}\n", "b.hcl:1 Playbook includes itself"},
		{"a missing file", "-- site.hcl --\ninclude \"bb.hcl\" {}\n-- b.hcl --\n", "site.hcl:1 No such file"},
		{"an unknown variable", "-- site.hcl --\ninclude \"b.hcl\" {\n  vars = { a = 1 }\n}\n-- b.hcl --\nvariable \"ab\" { default = 1 }\n", "site.hcl:2 Unknown variable"},
		{"a wrong type", "-- site.hcl --\ninclude \"b.hcl\" {\n  vars = { a = [1] }\n}\n-- b.hcl --\nvariable \"a\" { type = string }\n", "site.hcl:2 Wrong type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, c.files)
			_, diags := Load(file, testOptions(dir))
			var got []string
			for _, d := range diags {
				where, _ := describe(dir, d)
				got = append(got, where+" "+d.Summary)
			}
			if len(got) == 0 || got[0] != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestInputsMadeOfFactsAreValidatedInTheRun(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["lb1"]
  role "r" { size = host.facts.memory }
}
-- roles/r/role.hcl --
variable "size" {
  type = number
  validation {
    condition = var.size > 1000
    message   = "Too little memory."
  }
}
task "file" "/x" { content = var.size }
`)
	p := must(t, file, testOptions(dir))
	r := &fakeResults{FactsOf: map[string]rawJSON{"lb1": rawJSON(`{"memory": 10}`)}}
	inner, _, _ := p.Scope(p.Plays[0], "lb1", r).Enter(p.Plays[0].Steps[0].Block)
	instances, _, _ := inner[0].Instances(p.Plays[0].Steps[0].Block.Steps[0].Task)
	_, _, diags := inner[0].Evaluate(instances[0])
	if !diags.HasErrors() || !strings.Contains(diags[0].Detail, "Too little memory.") || diags[0].Subject.Filename != filepath.Join(dir, "site.hcl") {
		t.Error(diags)
	}
}
