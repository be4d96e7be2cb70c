package lang

import (
	"fmt"
	"testing"
)

func TestReadingOtherHostsRoles(t *testing.T) {
	dir, file := project(t, `
-- roles/key/role.hcl --
variable "of" {
  type    = string
  default = "x"
}
task "command" "key" { argv = ["make-key", var.of] }
output "word" { value = "${var.of}-${task.command.key.output.stdout}-${host.name}-${host.facts.os.id}" }
output "hidden" {
  value     = task.command.key.output.stdout
  sensitive = true
}
-- roles/reader/role.hcl --
task "file" "/inner" { content = hosts["db1"].role.key.word }
-- site.hcl --
play "first" {
  hosts = ["db1", "lb1"]
  role "key" {}
  role "key" "each" {
    for_each = { a = 1, b = 2 }
    of       = each.key
  }
}
play "second" {
  hosts = ["app"]
  role "key" "own" {}
  task "file" "/a" { content = hosts["db1"].role.key.word }
  task "file" "/b" { content = join(",", [for h in ["db1", "lb1"] : hosts[h].role.key.word]) }
  task "file" "/c" { content = hosts["app2"].role.own.word }
  task "file" "/d" { content = hosts["db1"].role.each["b"].word }
  task "file" "/e" { content = hosts["db1"].role.key.hidden }
  task "file" "/f" { content = "${role.own.word} ${hosts["lb1"].role.key.word} ${hosts["lb1"].address}" }
}
`)
	p := must(t, file, testOptions(dir))
	out := func(text string) fakeOutcome {
		return fakeOutcome{Changed: true, Output: []byte(fmt.Sprintf(`{"stdout":%q}`, text))}
	}
	r := &fakeResults{FactsOf: map[string]rawJSON{}, Outcomes: map[string]map[string]fakeOutcome{
		"db1":  {"0/role.key/task.command.key": out("db"), `0/role.each["a"]/task.command.key`: out("one"), `0/role.each["b"]/task.command.key`: out("two")},
		"lb1":  {"0/role.key/task.command.key": out("lb")},
		"app1": {"1/role.own/task.command.key": out("app")},
	}}
	for _, h := range []string{"db1", "lb1", "app1"} {
		r.FactsOf[h] = rawJSON(fmt.Sprintf(`{"os":{"id":"%s-os"}}`, h))
	}
	s := p.Scope(p.Plays[1], "app1", r)
	for i, want := range []string{
		"", "x-db-db1-db1-os", "x-db-db1-db1-os,x-lb-lb1-lb1-os", "waits [{app2 1/role.own/task.command.key} {app2 1/role.own/task.command.key}]",
		"b-two-db1-db1-os", "(sensitive) db", "x-app-app1-app1-os x-lb-lb1-lb1-os 10.0.0.1",
	} {
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
			if e.Sensitive {
				got = "(sensitive) " + got
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", instances[0].ID, got, want)
		}
	}
}
