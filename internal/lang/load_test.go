package lang

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// project unpacks an archive written in a test.
func project(t testing.TB, text string) (dir, site string) {
	t.Helper()
	dir = unpack(t, txtar.Parse([]byte(text)))
	return dir, filepath.Join(dir, "site.hcl")
}

// must loads a playbook that is to have no errors.
func must(t testing.TB, site string, o plays.Options) *eval.Playbook {
	t.Helper()
	p, diags := Load(site, o)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// evaluate evaluates the only instance of a play's task on a host.
func evaluate(t testing.TB, p *eval.Playbook, play, step int, host string, r eval.Results) *eval.Evaluated {
	t.Helper()
	s := p.Scope(p.Plays[play], host, r)
	instances, waits, diags := s.Instances(p.Plays[play].Steps[step].Task)
	if len(instances) != 1 || len(waits) > 0 || diags.HasErrors() {
		t.Fatal(instances, waits, diags)
	}
	e, waits, diags := s.Evaluate(instances[0])
	if len(waits) > 0 || diags.HasErrors() {
		t.Fatal(waits, diags)
	}
	return e
}

func contentText(t testing.TB, e *eval.Evaluated) string {
	t.Helper()
	c, ok := e.Args["content"].(host.Content)
	if !ok {
		t.Fatalf("no content: %#v", e.Args)
	}
	return string(c.Data)
}

func TestPrecedenceOfValues(t *testing.T) {
	const site = `
-- site.hcl --
variable "x" {
  type    = string
  default = "default"
}
play "plain" {
  hosts = ["app1", "lb1"]
  task "file" "/x" { content = var.x }
}
play "vars" {
  hosts = ["app1", "lb1"]
  vars  = { x = "play over ${var.x}" }
  task "file" "/x" { content = var.x }
}
`
	fleet := func(app1 cty.Value) *plays.Fleet {
		f := testFleet()
		f.Hosts[1].Vars = map[string]cty.Value{"x": app1}
		return f
	}
	outside := func(text ...string) []plays.VarSource {
		var out []plays.VarSource
		for _, s := range text {
			out = append(out, plays.VarSource{Name: "x", Text: s, Origin: "--var"})
		}
		return out
	}
	for _, c := range []struct {
		name         string
		vars         []plays.VarSource
		app1, lb1    string
		vapp1, vlb1  string
		hostVariable cty.Value
	}{
		{"a host's var beats the default, and a play's vars beat both", nil, "from host", "default", "play over from host", "play over default", cty.StringVal("from host")},
		{"a host's var is given the variable's type", nil, "7", "default", "play over 7", "play over default", cty.NumberIntVal(7)},
		{"what is given outside beats all, the last of it most", outside("env", "cli"), "cli", "cli", "cli", "cli", cty.StringVal("from host")},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, site)
			o := testOptions(dir)
			o.Fleet, o.Vars = fleet(c.hostVariable), c.vars
			p := must(t, file, o)
			got := []string{}
			for _, at := range []struct {
				play int
				host string
			}{{0, "app1"}, {0, "lb1"}, {1, "app1"}, {1, "lb1"}} {
				got = append(got, contentText(t, evaluate(t, p, at.play, 0, at.host, &fakeResults{})))
			}
			want := []string{c.app1, c.lb1, c.vapp1, c.vlb1}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("got %q, want %q", got, want)
					break
				}
			}
		})
	}
}

// A list or an object is what it says; anything else is a text, as it is for a string.
func TestTextForAVariableOfAnyType(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
variable "x" {}
play "p" {
  hosts = ["lb1"]
  task "file" "/x" { content = try("object ${var.x.a}", "list ${join("-", var.x)}", "text ${var.x}") }
}
`)
	load := func(text string) (*eval.Playbook, hcl.Diagnostics) {
		o := testOptions(dir)
		o.Vars = []plays.VarSource{{Name: "x", Text: text, Origin: "--var"}}
		return Load(file, o)
	}
	for text, want := range map[string]string{
		`{ a = 5 }`: "object 5", `{"a": "b"}`: "object b", ` ["a", "b"] `: "list a-b", `[]`: "list ",
		"5": "text 5", "true": "text true", "": "text ", "null": "text null", "[draft] of it": "text [draft] of it", "a = [1]": "text a = [1]", `"a"`: `text "a"`,
	} {
		p, diags := load(text)
		if diags.HasErrors() {
			t.Errorf("%q: %v", text, diags)
			continue
		}
		if got := contentText(t, evaluate(t, p, 0, 0, "lb1", &fakeResults{})); got != want {
			t.Errorf("%q is %q, and not %q", text, got, want)
		}
	}
	for _, text := range []string{"{a}", "[a]", `{ a = file("/etc/passwd") }`, "{ a = 1, a = 2 }"} {
		if _, diags := load(text); !diags.HasErrors() || diags[0].Summary != "Wrong value" && !strings.Contains(diags[0].Detail, "twice") {
			t.Errorf("%q: %v", text, diags)
		}
	}
}

func TestValuesFromOutside(t *testing.T) {
	const site = `
-- site.hcl --
variable "list" { type = list(string) }
variable "conf" {
  type = object({ a = optional(number, 5), b = string })
}
variable "text" { type = string }
play "p" {
  hosts = ["lb1"]
  task "file" "/x" { content = "${join(",", var.list)} ${var.conf.a} ${var.conf.b} ${var.text}" }
}
-- values.hcl --
list = ["from", "file"]
conf = { b = "x" }
`
	dir, file := project(t, site)
	src, err := os.ReadFile(filepath.Join(dir, "values.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	fromFile, diags := ParseVarFile("values.hcl", src)
	if diags.HasErrors() || len(fromFile) != 2 {
		t.Fatal(fromFile, diags)
	}
	text := plays.VarSource{Name: "text", Text: `${"x"} ["not parsed"]`, Origin: "--var"}
	t.Run("a file's values and a string are taken as they are", func(t *testing.T) {
		o := testOptions(dir)
		o.Vars = append(fromFile, text)
		if got := contentText(t, evaluate(t, must(t, file, o), 0, 0, "lb1", &fakeResults{})); got != `from,file 5 x ${"x"} ["not parsed"]` {
			t.Error(got)
		}
	})
	t.Run("text for a list is read as HCL", func(t *testing.T) {
		o := testOptions(dir)
		o.Vars = append(fromFile, text, plays.VarSource{Name: "list", Text: `["a", "b"]`, Origin: "--var"})
		if got := contentText(t, evaluate(t, must(t, file, o), 0, 0, "lb1", &fakeResults{})); !strings.HasPrefix(got, "a,b ") {
			t.Error(got)
		}
	})
	for _, c := range []struct {
		name string
		v    plays.VarSource
		want string
	}{
		{"an unknown variable is an error", plays.VarSource{Name: "lists", Text: "x", Origin: "--var"}, `Unknown variable: --var sets "lists"`},
		{"one of the environment isn't", plays.VarSource{Name: "lists", Text: "x", Origin: "MUSTER_VAR_lists", Optional: true}, ""},
		{"text that is no HCL is an error", plays.VarSource{Name: "list", Text: `["a"`, Origin: "--var"}, "Wrong value"},
		{"a wrong type is an error", plays.VarSource{Name: "list", Value: cty.StringVal("a"), Origin: "x:1"}, "Wrong type"},
		{"text can't read anything", plays.VarSource{Name: "list", Text: `[file("/etc/passwd")]`, Origin: "--var"}, "Wrong value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(dir)
			o.Vars = append(append([]plays.VarSource(nil), fromFile...), text, c.v)
			_, diags := Load(file, o)
			got := ""
			for _, d := range diags {
				got += d.Summary + ": " + d.Detail + "\n"
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("without values, validate takes them as unknown", func(t *testing.T) {
		o := testOptions(dir)
		o.RequireValues = false
		must(t, file, o)
	})
}

func TestIncludedPlaybooks(t *testing.T) {
	const site = `
-- site.hcl --
variable "a" { default = "outer" }
include "sub/db.hcl" {
  vars = { name = "given-${var.a}" }
}
play "last" {
  hosts = ["lb1"]
  task "file" "/x" { content = "last" }
}
-- sub/db.hcl --
variable "name" { type = string }
play "included" {
  hosts = ["db1"]
  task "file" "/x" { content = "${var.name} ${trimspace(file("text"))}" }
}
-- sub/text --
beside
`
	dir, file := project(t, site)
	p := must(t, file, testOptions(dir))
	if len(p.Plays) != 2 || p.Plays[0].Name != "included" || p.Plays[1].Name != "last" {
		t.Fatal(p.Plays)
	}
	if got := contentText(t, evaluate(t, p, 0, 0, "db1", &fakeResults{})); got != "given-outer beside" {
		t.Error(got)
	}
	for _, name := range []string{"site.hcl", "sub/db.hcl", "sub/text"} {
		if p.Sources[filepath.Join(dir, name)] == nil {
			t.Errorf("%s isn't among the sources %v", name, slices.Sorted(maps.Keys(p.Sources)))
		}
	}
}

// What an include gives counts for all that is read of the playbook: its plays' hosts and
// locals, too, and each include of it anew.
func TestIncludedPlaybooksHaveTheHostsThatAreGiven(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
include "one.hcl" { vars = { where = "db1" } }
include "one.hcl" { vars = { where = "lb1" } }
-- one.hcl --
variable "where" { default = "lb1" }
locals { path = "/${var.where}" }
play "p" {
  hosts = [var.where]
  task "file" "x" {
    path    = local.path
    content = "x"
  }
}
`)
	p := must(t, file, testOptions(dir))
	for i, want := range []string{"db1", "lb1"} {
		if got := p.Plays[i].Hosts; len(got) != 1 || got[0] != want {
			t.Errorf("play %d is of %v, want %s", i, got, want)
		}
	}
}

func TestEmbeddedRoles(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["lb1"]
  role "base" {}
}
`)
	o := testOptions(dir)
	o.EmbeddedRoles = fstest.MapFS{
		"base/role.hcl":         {Data: []byte("task \"file\" \"/x\" {\n  source = \"x.txt\"\n}\ntask \"template\" \"/t\" {\n  source = \"t.tmpl\"\n}\ntask \"directory\" \"/d\" {\n  source = \"tree\"\n}\n")},
		"base/files/x.txt":      {Data: []byte(strings.Repeat("embedded ", 200))},
		"base/files/tree/a/b":   {Data: []byte("b")},
		"base/templates/t.tmpl": {Data: []byte("on ${host.name}")},
	}
	p := must(t, file, o)
	s := p.Scope(p.Plays[0], "lb1", &fakeResults{})
	inner, _, diags := s.Enter(p.Plays[0].Steps[0].Block)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var got []string
	for _, step := range p.Plays[0].Steps[0].Block.Steps {
		instances, _, _ := inner[0].Instances(step.Task)
		e, _, diags := inner[0].Evaluate(instances[0])
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		got = append(got, fmt.Sprintf("%s %d", showArg(e.Args["source"]), len(e.Bodies)))
	}
	if got[0] != "<1800 bytes> 1" || got[1] != `<"on lb1"> 0` || !strings.Contains(got[2], `a/b`) {
		t.Error(got)
	}
}

func TestFunctionsStayInsideTheProject(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"by an absolute path": outside, "by dots": "../../../../../../../../" + outside, "by a link": "link"} {
		t.Run(name, func(t *testing.T) {
			dir, file := project(t, fmt.Sprintf("\n-- site.hcl --\nplay \"p\" {\n  hosts = [\"lb1\"]\n  task \"file\" \"/x\" { content = file(%q) }\n}\n", path))
			if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			_, diags := Load(file, testOptions(dir))
			if !diags.HasErrors() || !strings.Contains(diags[0].Detail, "outside the project") {
				t.Error(diags)
			}
		})
	}
}

func TestTextOfHostsIsNeverParsed(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["lb1"]
  task "command" "a" { argv = ["x"] }
  task "file" "/x" { content = "${task.command.a.output.stdout} ${host.facts.os.id}" }
  task "template" "/t" {
    source = "t.tmpl"
    vars   = { out = task.command.a.output.stdout }
  }
}
-- t.tmpl --
${out}
`)
	r := &fakeResults{
		Outcomes: map[string]map[string]fakeOutcome{"lb1": {"0/task.command.a": {Changed: true, Output: []byte(`{"stdout":"${file(\"/etc/shadow\")} %{ for x in y }"}`)}}},
		FactsOf:  map[string]json.RawMessage{"lb1": json.RawMessage(`{"os":{"id":"${var.x}"}}`)},
	}
	p := must(t, file, testOptions(dir))
	if got := contentText(t, evaluate(t, p, 0, 1, "lb1", r)); got != `${file("/etc/shadow")} %{ for x in y } ${var.x}` {
		t.Error(got)
	}
	e := evaluate(t, p, 0, 2, "lb1", r)
	if got := showArg(e.Args["source"]); !strings.Contains(got, `${file(`) {
		t.Error(got)
	}
}

func TestAGroupWithoutHostsIsThere(t *testing.T) {
	dir, file := project(t, `
-- site.hcl --
play "p" {
  hosts = ["app", "empty"]
  task "file" "/x" { content = "${join(",", groups.empty)}${length(matching("empty"))}" }
}
`)
	o := testOptions(dir)
	o.Fleet.Groups["empty"] = nil
	if _, diags := Load(file, o); len(diags) > 0 {
		t.Error(diags)
	}
}
