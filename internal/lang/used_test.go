package lang

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/lang/eval"
	"muster/internal/lang/files"
)

// usedSite uses local files in every way that there is.
const usedSite = `
-- site.hcl --
variable "token" {
  type      = string
  default   = "t"
  sensitive = true
}
include "more/other.hcl" {}
locals {
  motd = file("texts/motd")
}
play "p" {
  hosts = ["app"]
  role "web" {}
  task "file" "/a" { source = "big.bin" }
  task "file" "/b" { content = "${local.motd} ${filesha256("sums/one")} ${filebase64("sums/two")}" }
  task "file" "/c" { content = templatefile("inner.tmpl", { x = 1 }) }
  task "file" "/d" { content = fileexists("here") ? "here" : fileexists("nowhere") ? "nowhere" : "no" }
  task "file" "each" {
    for_each = fileset("conf.d", "**/*.conf")
    path     = "/etc/${each.key}"
    source   = "conf.d/${each.key}"
  }
  task "file" "/e" { content = "${length(fileset("empty", "*"))}" }
  task "directory" "/f" { source = "tree" }
  task "directory" "/never" {
    source = "unused"
    when   = host.facts.os.id == "plan9"
  }
  task "file" "/g" {
    source    = "key.pem"
    sensitive = true
  }
  task "file" "/abs" { source = "$ABS/outside.txt" }
  task "template" "/t" { source = "$ABS/outside.tmpl" }
  task "directory" "/abs-tree" { source = "$ABS/tree" }
}
-- more/other.hcl --
variable "second" { default = "x" }
play "other" {
  hosts = ["lb"]
  task "template" "/t" { source = "own.tmpl" }
}
-- more/own.tmpl --
own ${file("beside.txt")}
-- more/beside.txt --
beside
-- texts/motd --
hello
-- sums/one --
1
-- sums/two --
2
-- inner.tmpl --
inner ${x} ${file("texts/inner")}
-- texts/inner --
deep
-- here --
-- conf.d/a.conf --
a
-- conf.d/sub/b.conf --
b
-- conf.d/c.txt --
not matched
-- empty/sub/x --
-- big.bin --
$BIG
-- tree/x --
x
-- tree/sub/y --
y
-- unused/z --
z
-- key.pem --
pem
-- not-used.txt --
-- roles/web/role.hcl --
variable "input" { default = 1 }
task "file" "/r" { source = "r.txt" }
task "template" "/s" { source = "s.tmpl" }
task "directory" "/u" { source = "tree" }
-- roles/web/files/r.txt --
r
-- roles/web/templates/s.tmpl --
s ${host.name}
-- roles/web/files/tree/t --
t
`

// usedProject writes usedSite and returns it together with the folder outside
// of it that it names by an absolute path.
func usedProject(t *testing.T) (dir, site, abs string) {
	t.Helper()
	abs, _ = project(t, "-- outside.txt --\noutside\n-- outside.tmpl --\noutside ${host.name}\n-- tree/deep/file --\nd\n")
	text := strings.ReplaceAll(strings.ReplaceAll(usedSite, "$ABS", abs), "$BIG", strings.Repeat("b", 5000))
	dir, site = project(t, text)
	return dir, site, abs
}

// shown evaluates everything, and says what came of it.
func shown(t *testing.T, p *eval.Playbook, r eval.Results) string {
	t.Helper()
	var b strings.Builder
	for _, play := range p.Plays {
		for _, h := range play.Hosts {
			show(t, &b, "", p.Scope(play, h, r), play.Steps, "")
		}
	}
	return b.String()
}

func TestFilesLaidElsewhereGiveTheSame(t *testing.T) {
	dir, site, abs := usedProject(t)
	r := &fakeResults{FactsOf: map[string]rawJSON{"app1": rawJSON(`{"os":{"id":"debian"}}`), "app2": rawJSON(`{"os":{"id":"debian"}}`)}}
	p := must(t, site, testOptions(dir))
	want := shown(t, p, r)
	if strings.Contains(want, "error") || strings.Contains(want, "waits") || !strings.Contains(want, "body:5001:") {
		t.Fatalf("the playbook isn't what it is to be:\n%s", want)
	}

	laid := t.TempDir()
	lay := func(name string, data []byte) {
		at := filepath.Join(laid, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range p.Sources {
		lay(name, data)
	}
	for _, f := range p.Files() {
		if f.Tree {
			if err := os.CopyFS(filepath.Join(laid, f.Name), os.DirFS(f.Path)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		lay(f.Name, data)
	}
	for _, gone := range []string{dir, abs} {
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}

	place := func(name string) string { return filepath.Join(laid, name) }
	o := testOptions(place(dir))
	o.Place = place
	again := must(t, place(site), o)
	if got := strings.ReplaceAll(shown(t, again, r), laid, ""); got != want {
		t.Errorf("want:\n%s\ngot:\n%s", want, got)
	}
	for _, f := range again.Files() {
		if !strings.HasPrefix(f.Path, laid+"/") {
			t.Errorf("%s was read from %s", f.Name, f.Path)
		}
	}
}

func TestFilesNamesEverythingThatIsUsed(t *testing.T) {
	dir, site, abs := usedProject(t)
	p := must(t, site, testOptions(dir))
	shown(t, p, &fakeResults{Planning: true})
	files := map[string]files.Used{}
	var names []string
	for _, f := range p.Files() {
		files[f.Name] = f
		names = append(names, f.Name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %q", names)
	}
	for _, name := range []string{"texts/motd", "texts/inner", "sums/one", "sums/two", "inner.tmpl", "here", "more/own.tmpl", "more/beside.txt", "roles/web/templates/s.tmpl"} {
		if f, ok := files[filepath.Join(dir, name)]; !ok || f.Tree || f.Sum != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for _, name := range []string{"big.bin", "conf.d/a.conf", "conf.d/sub/b.conf", "key.pem", "roles/web/files/r.txt", abs + "/outside.txt"} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if f := files[name]; len(f.Sum) != 64 || f.Tree || f.Sensitive != strings.HasSuffix(name, ".pem") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for _, name := range []string{"tree", "unused", "roles/web/files/tree"} {
		if f := files[filepath.Join(dir, name)]; !f.Tree {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for _, name := range []string{"not-used.txt", "nowhere", "conf.d/c.txt", "conf.d", "empty"} {
		if f, ok := files[filepath.Join(dir, name)]; ok {
			t.Errorf("%s isn't used: %+v", name, f)
		}
	}
	for _, name := range []string{"site.hcl", "more/other.hcl", "roles/web/role.hcl"} {
		if p.Sources[filepath.Join(dir, name)] == nil {
			t.Errorf("%s is no source", name)
		}
	}
}

func TestDeclaredNamesNoRolesInputs(t *testing.T) {
	dir, site, _ := usedProject(t)
	var names []string
	for _, v := range must(t, site, testOptions(dir)).Declared() {
		names = append(names, v.Name)
	}
	if got := strings.Join(names, " "); got != "token second" {
		t.Errorf("declared: %s", got)
	}
}

func TestEmbeddedRolesFilesAreNotAmongThoseUsed(t *testing.T) {
	roles, _ := project(t, "-- web/role.hcl --\ntask \"file\" \"/r\" { source = \"r.txt\" }\n-- web/files/r.txt --\nr\n")
	dir, site := project(t, "-- site.hcl --\nplay \"p\" {\n  hosts = [\"app\"]\n  role \"web\" {}\n}\n")
	o := testOptions(dir)
	o.EmbeddedRoles = os.DirFS(roles)
	p := must(t, site, o)
	shown(t, p, &fakeResults{})
	if files := p.Files(); len(files) > 0 {
		t.Errorf("%+v", files)
	}
}
