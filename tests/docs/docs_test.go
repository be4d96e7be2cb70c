package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"muster/internal/doc"
	"muster/internal/doc/source"
	"muster/internal/lang"
	"muster/internal/lang/funcs"
	"muster/internal/lang/plays"
	"muster/inventory"
	"muster/inventory/ec2source"
	"muster/modules"
	"muster/modules/all"
	"muster/tests/program"
)

const root = "../.."

func TestGeneratedPagesAreCurrent(t *testing.T) {
	muster := program.Build(t, "muster/cmd/muster")
	pages, err := Pages(root, muster)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		have, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if string(have) != want {
			t.Errorf("%s is older than what it documents: run make generate\n%s", name, firstDifference(string(have), want))
		}
	}
}

func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i >= len(h) || h[i] != w[i] {
			old := ""
			if i < len(h) {
				old = h[i]
			}
			return "-" + old + "\n+" + w[i]
		}
	}
	return "-" + h[len(w)]
}

func TestCommentsOfKindsAreCurrent(t *testing.T) {
	comments, err := source.Read(filepath.Join(root, "modules"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(comments, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, "internal/doc/comments.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(have), want) {
		t.Error("internal/doc/comments.json is older than the comments in modules/: run make generate\n" + firstDifference(string(have), string(want)+"\n"))
	}
}

func TestEveryKindAndArgumentSaysWhatItIsFor(t *testing.T) {
	for _, k := range doc.All(all.Registry()) {
		if k.Text == "" {
			t.Errorf("the kind %s has no comment", k.Name)
		}
		if k.Example == "" {
			t.Errorf("the kind %s has no example: write internal/doc/examples/%s.hcl", k.Name, k.Name)
		}
		if n := len(k.FirstSentence()); n > 110 {
			t.Errorf("the first sentence of the kind %s has %d characters, too many for a list", k.Name, n)
		}
		described(t, k.Name, append(k.Args, k.Output...))
	}
	for _, name := range modules.TaskArgs() {
		if taskArgs()[name] == "" {
			t.Errorf("nothing is said of the argument %s that every task takes: add it to tests/docs/docs.go", name)
		}
	}
}

func described(t *testing.T, in string, list []doc.Arg) {
	for _, a := range list {
		if a.Text == "" {
			t.Errorf("nothing is said of %s.%s: give the field a comment", in, a.Name)
		}
		described(t, in+"."+a.Name, a.Args)
	}
}

// TestExamplesAreRight reads each kind's example as a playbook, of which db1 is the other host of those that
// need one.
func TestExamplesAreRight(t *testing.T) {
	r := all.Registry()
	for _, k := range doc.All(r) {
		if !strings.Contains(k.Example, `task "`+k.Name+`" `) {
			t.Errorf("the example of the kind %s has no task of it", k.Name)
		}
		variables := ""
		for _, v := range readVariable.FindAllStringSubmatch(k.Example, -1) {
			variables += "variable \"" + v[1] + "\" {\n  type      = string\n  sensitive = true\n}\n"
		}
		load(t, "the example of "+k.Name, nil, variables+"play \"example\" {\n  hosts = [\"web\", \"lb1\"]\n"+k.Example+"}\n")
		if string(hclwrite.Format([]byte(k.Example))) != k.Example {
			t.Errorf("the example of %s isn't formatted", k.Name)
		}
	}
}

// readVariable finds the variables that an example reads. It stands in a playbook that
// declares them.
var readVariable = regexp.MustCompile(`\bvar\.([a-z_]+)`)

// load reads a playbook beside the files of the examples, and others.
func load(t *testing.T, what string, files map[string]string, playbook string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "internal/doc/examples/files"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "play.hcl")
	if err := os.WriteFile(file, []byte(playbook), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet := &plays.Fleet{
		Hosts: []plays.Host{
			{Name: "web1", Address: "10.0.1.21", Groups: []string{"web"}}, {Name: "web2", Address: "10.0.1.22", Groups: []string{"web"}},
			{Name: "lb1", Address: "10.0.1.11", Groups: []string{"lb"}}, {Name: "db1", Address: "10.0.1.31"},
		},
		Groups: map[string][]string{"all": {"web1", "web2", "lb1", "db1"}, "web": {"web1", "web2"}, "lb": {"lb1"}},
	}
	fleet.Match = func(patterns []string) ([]string, error) {
		var names []string
		for _, p := range patterns {
			names = append(names, fleet.Groups[p]...)
			if slices.ContainsFunc(fleet.Hosts, func(h plays.Host) bool { return h.Name == p }) {
				names = append(names, p)
			}
		}
		return names, nil
	}
	_, diags := lang.Load(file, plays.Options{Kinds: all.Registry(), Fleet: fleet, Root: dir})
	for _, d := range diags {
		t.Errorf("%s: %s", what, d.Error())
	}
}

// examples returns the examples in HCL of a page, which have to be formatted.
func examples(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, b := range hclBlock.FindAllStringSubmatch(string(text), -1) {
		list = append(list, b[1])
		if string(hclwrite.Format([]byte(b[1]))) != b[1] {
			t.Errorf("this example of %s isn't formatted:\n%s", page, b[1])
		}
	}
	if len(list) < 3 {
		t.Fatalf("%d examples found in %s", len(list), page)
	}
	return list
}

var (
	hclBlock = regexp.MustCompile("(?s)```hcl\n(.*?)```")
	links    = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
)

// TestGuideIsRight reads every example of docs/from-ansible.md: those that hold
// a play as a playbook, the others as part of one.
func TestGuideIsRight(t *testing.T) {
	for _, playbook := range examples(t, "docs/from-ansible.md") {
		if !strings.Contains(playbook, "play \"") {
			playbook = "play \"example\" {\n  hosts = [\"all\"]\n" + playbook + "}\n"
		}
		load(t, "an example of docs/from-ansible.md", nil, playbook)
	}
}

// TestPageOnPlaybooksIsRight reads the examples of docs/playbooks.md as one
// project: roles by their first line, what isn't at the top of a playbook in a
// play of its own.
func TestPageOnPlaybooksIsRight(t *testing.T) {
	files := map[string]string{"app.conf.tmpl": "${peers[0]} ${var.token}\n"}
	top, inside := "", ""
	for _, e := range examples(t, "docs/playbooks.md") {
		name, _, _ := strings.Cut(strings.TrimPrefix(e, "# "), "\n")
		switch {
		case strings.HasSuffix(name, "/role.hcl"):
			files[name] = e
			files[filepath.Join(filepath.Dir(name), "templates/web.conf.tmpl")] = "listen ${var.port}\n"
		case strings.Contains(e, "\nplay \"") || strings.HasPrefix(e, "play \"") || strings.HasPrefix(e, "variable \""):
			top += e
		default:
			inside += e
		}
	}
	load(t, "docs/playbooks.md", files, top+"play \"example\" {\n  hosts = [\"web\"]\n"+inside+"}\n")
}

// TestPageOnInventoriesIsRight reads each example of docs/inventory.md, the
// files of its sources aside.
func TestPageOnInventoriesIsRight(t *testing.T) {
	for _, e := range examples(t, "docs/inventory.md") {
		file := filepath.Join(t.TempDir(), "hosts.hcl")
		if err := os.WriteFile(file, []byte(e), 0o600); err != nil {
			t.Fatal(err)
		}
		_, diags := inventory.Load(t.Context(), file, inventory.Options{Static: true, Sources: map[string]inventory.Source{"ec2": ec2source.Source{}}})
		for _, d := range diags {
			t.Errorf("an example of docs/inventory.md: %s\n%s", d.Error(), e)
		}
	}
}

// TestGuideNamesOnlyKindsThatExist holds the table of Ansible's modules to the
// registry.
func TestGuideNamesOnlyKindsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/from-ansible.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| Ansible's module | in muster |")
	if !found {
		t.Fatal("docs/from-ansible.md has no table of modules")
	}
	r := all.Registry()
	kind := regexp.MustCompile(`\[([a-z_]+)\]\(kinds\.md#([a-z_]+)\)`)
	named := map[string]bool{}
	for _, m := range kind.FindAllStringSubmatch(table, -1) {
		if m[1] != m[2] || r.Kind(m[1]) == nil {
			t.Errorf("docs/from-ansible.md names the kind %s, and there is none", m[0])
		}
		named[m[1]] = true
	}
	if len(named) < 10 {
		t.Errorf("only %d kinds are named", len(named))
	}
}

func TestLinksBetweenDocsLeadSomewhere(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal("no docs", err)
	}
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(file), m[1], err)
			}
		}
	}
}

// TestGuideNamesOnlyFunctionsThatExist evaluates the examples of the table of filters, and looks
// for the functions that it names besides.
func TestGuideNamesOnlyFunctionsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/from-ansible.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| filter | in muster | gives | |\n|---|---|---|---|\n")
	if !found {
		t.Fatal("docs/from-ansible.md has no table of filters")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	ctx := &hcl.EvalContext{Functions: funcs.Map(append(funcs.Pure(), funcs.Files(funcs.Project{})...))}
	known := funcs.Names()
	call := regexp.MustCompile(`([a-z][a-z0-9]+)\(`)
	value := func(text string) string {
		text = strings.ReplaceAll(strings.Trim(text, "`"), `\|`, "|")
		e, diags := hclsyntax.ParseExpression([]byte(text), "from-ansible.md", hcl.InitialPos)
		if diags.HasErrors() {
			t.Errorf("%s: %v", text, diags)
			return ""
		}
		v, diags := e.Value(ctx)
		if diags.HasErrors() {
			t.Errorf("%s: %v", text, diags)
			return ""
		}
		out, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		return string(out)
	}
	examples := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00"), "|")
		if len(cells) != 4 {
			t.Fatalf("%q has %d cells", line, len(cells))
		}
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", `\|`)
		}
		if cells[1] != "" {
			examples++
			if got, want := value(cells[1]), value(cells[2]); got != want {
				t.Errorf("%s gives %s, not %s", cells[1], got, want)
			}
		}
		for _, m := range call.FindAllStringSubmatch(cells[3], -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no function %s", cells[0], m[1])
			}
		}
		for _, m := range regexp.MustCompile("`([a-z0-9]+)`").FindAllStringSubmatch(cells[3], -1) {
			if !slices.Contains(known, m[1]) && m[1] != "null" && m[1] != "argv" {
				t.Errorf("%s: there is no function %s", cells[0], m[1])
			}
		}
	}
	if examples < 30 {
		t.Errorf("only %d examples were found", examples)
	}
}
