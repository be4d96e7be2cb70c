package lang

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/lang/diag"
)

func TestReadingAnOutputThatIsNotThereSaysWhoseAndWhy(t *testing.T) {
	const tasks = `
-- t.tmpl --
${out.stdout}
-- roles/web/role.hcl --
variable "from" {}
task "file" "/role" { content = var.from.stdout }
-- site.hcl --
play "earlier" {
  hosts = ["app"]
  task "command" "there" { argv = ["x"] }
}
play "p" {
  hosts = ["lb"]
  task "command" "guarded" {
    argv    = ["x"]
    creates = "/x"
  }
  task "command" "skipped" { argv = ["x"] }
  task "command" "my own" { argv = ["x"] }
  task "command" "done" { argv = ["x"] }
  task "command" "each" {
    for_each = toset(["a", "b"])
    argv     = ["x"]
  }
`
	r := &fakeResults{Outcomes: map[string]map[string]fakeOutcome{
		"lb1": {
			"1/task.command.guarded":   {Output: json.RawMessage("null")},
			"1/task.command.skipped":   {Skipped: true, Output: json.RawMessage("null")},
			`1/task.command["my own"]`: {Failed: true, Output: json.RawMessage("null")},
			"1/task.command.done":      {Output: json.RawMessage(`{"stdout":"x"}`)},
			`1/task.command.each["a"]`: {Output: json.RawMessage(`{"stdout":"x"}`)},
			`1/task.command.each["b"]`: {Skipped: true, Output: json.RawMessage("null")},
		},
		"app1": {"0/task.command.there": {Skipped: true, Output: json.RawMessage("null")}},
	}}
	for _, c := range []struct{ name, task, detail, hint string }{
		{"its guard kept it from running", `task "file" "/x" { content = task.command.guarded.output.stdout }`,
			`task.command.guarded gave no output: its "creates" kept it from running.`, `write try(task.command.guarded.output.stdout, "").`},
		{"it was skipped, among other text", `task "file" "/x" { content = "x ${task.command.skipped.output.stdout} y" }`,
			"task.command.skipped gave no output: it was skipped.", `write try(task.command.skipped.output.stdout, "").`},
		{"it failed", `task "file" "/x" { content = task.command["my own"].output.stdout }`,
			`task.command["my own"] gave no output: it failed.`, `write try(task.command["my own"].output.stdout, "").`},
		{"a number", `task "command" "n" { argv = ["x", task.command.skipped.output.exit_code] }`,
			"task.command.skipped gave no output: it was skipped.", `write try(task.command.skipped.output.exit_code, null).`},
		{"by index", `task "file" "/x" { content = task.command.skipped.output["stdout"] }`,
			"task.command.skipped gave no output: it was skipped.", `write try(task.command.skipped.output["stdout"], "").`},
		{"in a condition", "task \"file\" \"/x\" {\n    content = \"\"\n    when = task.command.done.output.stdout == \"x\" && task.command.skipped.output.stdout == \"x\"\n  }",
			"task.command.skipped gave no output: it was skipped.", `write try(task.command.skipped.output.stdout, "").`},
		{"of an element", `task "file" "/x" { content = task.command.each["b"].output.stdout }`,
			`task.command.each["b"] gave no output: it was skipped.`, `write try(task.command.each["b"].output.stdout, "").`},
		{"of a computed element", `task "file" "/x" { content = task.command.each[lower("B")].output.stdout }`,
			`task.command.each["b"] gave no output: it was skipped.`, `write try(task.command.each["b"].output.stdout, "").`},
		{"in a for", `task "file" "/x" { content = join(",", [for t in task.command.each : t.output.stdout]) }`,
			`task.command.each["b"] gave no output: it was skipped.`, `write try(t.output.stdout, "").`},
		{"of a splat", `task "file" "/x" { content = join(",", values(task.command.each)[*].output.stdout) }`,
			`task.command.each["b"] gave no output: it was skipped.`, `write [for t in … : try(t.output.stdout, "")].`},
		{"on another host", `task "file" "/x" { content = hosts["app1"].task.command.there.output.stdout }`,
			`hosts["app1"].task.command.there gave no output: it was skipped.`, `write try(hosts["app1"].task.command.there.output.stdout, "").`},
		{"in a template", "task \"template\" \"/x\" {\n    source = \"t.tmpl\"\n    vars = { out = task.command.skipped.output }\n  }",
			"task.command.skipped gave no output: it was skipped. The template is used at ", `write try(out.stdout, "").`},
		{"a role's input", "role \"web\" { from = task.command.skipped.output }",
			"task.command.skipped gave no output: it was skipped.", `write try(var.from.stdout, "").`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, tasks+c.task+"\n}\n")
			p := must(t, file, testOptions(dir))
			s := p.Scope(p.Plays[1], "lb1", r)
			step := p.Plays[1].Steps[5]
			if step.Block != nil {
				scopes, _, _ := s.Enter(step.Block)
				s, step = scopes[0], step.Block.Steps[0]
			}
			instances, _, _ := s.Instances(step.Task)
			_, waits, diags := s.Evaluate(instances[0])
			if len(waits) > 0 || len(diags) != 1 {
				t.Fatal(waits, diags)
			}
			if d := diags[0]; d.Summary != "No output" || !strings.Contains(d.Detail, c.detail) || !strings.HasSuffix(diag.Hint(d), c.hint) {
				t.Errorf("%s: %s, hint %s", d.Summary, d.Detail, diag.Hint(d))
			}
		})
	}
}

func TestAnOutputThatIsNotThereIsNull(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["lb"]
  task "command" "none" { argv = ["x"] }
  task "file" "/x" {
    content = "${try(task.command.none.output.stdout, "-")} ${task.command.none.output == null} ${jsonencode(task.command.none.output)} ${can(task.command.none.output.stdout)}"
    when    = task.command.none.output == null
  }
}
`)
	r := &fakeResults{Outcomes: map[string]map[string]fakeOutcome{"lb1": {"0/task.command.none": {Skipped: true, Output: json.RawMessage("null")}}}}
	p := must(t, file, testOptions(dir))
	e := evaluate(t, p, 0, 1, "lb1", r)
	if got := contentText(t, e); got != "- true null false" || e.Sensitive || e.Skip {
		t.Errorf("%q, sensitive %t", got, e.Sensitive)
	}
}

func TestErrorsAsTextStandEachOnce(t *testing.T) {
	at := hcl.Range{Filename: "site.hcl", Start: hcl.Pos{Line: 3, Column: 5, Byte: 40}}
	first := diag.Error(hcl.Range{Filename: "site.hcl", Start: hcl.InitialPos}, "First", "", "It stands above.")
	got := diag.Text(hcl.Diagnostics{diag.Error(at, "Wrong", "x = 1", "So it is."), diag.Error(at, "Wrong", "x = 1", "So it is."), diag.Warning(at, "Old", "", "A warning."), first})
	if want := "site.hcl:1:1: First: It stands above.\nsite.hcl:3:5: Wrong: So it is.\nx = 1"; got != want {
		t.Errorf("got %q", got)
	}
}
