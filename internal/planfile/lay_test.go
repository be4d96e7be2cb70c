package planfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/lang"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/planfile"
	"muster/inventory"
	"muster/modules"
	"muster/modules/file"
)

// project is a project with every way of naming a file, relative to W.
var project = map[string]string{
	"W/site/playbooks/web.hcl": `
include "more/base.hcl" {}
variable "image" { type = string }
play "p" {
  hosts = ["all"]
  task "file" "/etc/a" { content = file("../data/a.txt") }
  task "file" "/etc/b" { source = "../../shared/b" }
  task "file" "/etc/large" { source = "../data/large" }
  task "template" "/etc/c" {
    source = "c.tmpl"
    vars   = { image = var.image, names = fileset("../data", "*.txt") }
  }
  task "directory" "/etc/tree" { source = "../data/tree" }
  role "web" {}
}
`,
	"W/site/playbooks/more/base.hcl":      `play "base" { hosts = ["all"] }`,
	"W/site/playbooks/c.tmpl":             "image ${image} of ${join(\", \", names)} on ${host.name}\n",
	"W/site/data/a.txt":                   "a ä\n",
	"W/site/data/z.txt":                   "z\n",
	"W/site/data/large":                   strings.Repeat("0123456789", 1000),
	"W/site/data/tree/sub/run":            "#!/bin/sh\n",
	"W/site/data/tree/plain":              "plain\n",
	"W/site/roles/web/role.hcl":           `task "file" "/etc/r" { source = "r.conf" }`,
	"W/site/roles/web/files/r.conf":       "of the role\n",
	"W/site/inventory/production.hcl":     "host \"web1\" { vars = { x = 1 } }\nhost \"web2\" { address = \"10.0.0.2\" }\n",
	"W/shared/b":                          "shared\n",
	"W/site/data/tree/.kept/with a space": "x",
}

func makeProject(t *testing.T) string {
	t.Helper()
	w := t.TempDir()
	for name, text := range project {
		path := filepath.Join(w, strings.TrimPrefix(name, "W/"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(w, "site/data/tree/sub/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere/at/all", filepath.Join(w, "site/data/tree/link")); err != nil {
		t.Fatal(err)
	}
	return w
}

type nothingKnown struct{}

func (nothingKnown) Outcome(string, string) (eval.Outcome, bool) { return eval.Outcome{}, true }
func (nothingKnown) Facts(eval.FactsRead) (cty.Value, bool)      { return cty.DynamicVal, true }

// loadAll loads a playbook with an inventory, and returns all that its tasks
// come to on every host, with the bytes behind them.
func loadAll(t *testing.T, playbook, root, inventoryPath string) (*eval.Playbook, []string) {
	t.Helper()
	inv, diags := inventory.Load(t.Context(), inventoryPath, inventory.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	fleet := &plays.Fleet{Groups: inv.Groups()}
	for _, h := range inv.Hosts() {
		fleet.Hosts = append(fleet.Hosts, plays.Host{Name: h.Name, Address: h.Address, Vars: h.Vars})
	}
	pb, diags := lang.Load(playbook, plays.Options{
		Kinds: modules.NewRegistry(file.Kinds()...), Root: root, Fleet: fleet, RequireValues: true,
		Vars: []plays.VarSource{{Name: "image", Text: "app:1", Origin: "--var"}},
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var all []string
	for _, play := range pb.Plays {
		for _, h := range play.Hosts {
			all = append(all, evaluated(t, pb.Scope(play, h, nothingKnown{}), play.Steps)...)
		}
	}
	return pb, all
}

func evaluated(t *testing.T, s *eval.Scope, steps []*plays.Step) []string {
	t.Helper()
	var all []string
	for _, step := range steps {
		if step.Block != nil {
			scopes, _, diags := s.Enter(step.Block)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			for _, inner := range scopes {
				all = append(all, evaluated(t, inner, step.Block.Steps)...)
			}
			continue
		}
		instances, _, diags := s.Instances(step.Task)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, i := range instances {
			ev, _, diags := s.Evaluate(i)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			line := fmt.Sprintf("%s %s %q", i.Host, i.ID, fmt.Sprint(ev.Args))
			for _, b := range ev.Bodies {
				r, err := b.Open()
				if err != nil {
					t.Fatal(err)
				}
				var data bytes.Buffer
				if _, err := data.ReadFrom(r); err != nil {
					t.Fatal(err)
				}
				r.Close()
				line += fmt.Sprintf(" %s=%q", b.Sum, data.Bytes())
			}
			all = append(all, line)
		}
	}
	return all
}

func TestAPlanIsLaidAndLoadedAsTheProjectWas(t *testing.T) {
	w := makeProject(t)
	t.Chdir(filepath.Join(w, "site"))
	pb, want := loadAll(t, "playbooks/web.hcl", filepath.Join(w, "site"), "inventory/production.hcl")
	inv, diags := inventory.Load(t.Context(), "inventory/production.hcl", inventory.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	p := sample()
	p.Dir, p.Root = filepath.Join(w, "site"), filepath.Join(w, "site")
	p.Files = planfile.Sources(pb.Sources)
	for _, name := range []string{"../shared/b", "data/large", "data/z.txt", "roles/web/files/r.conf"} {
		p.Files = append(p.Files, planfile.File{Name: name, Path: name})
	}
	tree, err := planfile.Tree("data/tree", "data/tree")
	if err != nil {
		t.Fatal(err)
	}
	p.Files = append(p.Files, tree...)
	if p.Inventory, err = inv.Snapshot(); err != nil {
		t.Fatal(err)
	}
	data := written(t, p)

	// Another day, and nothing of it is left.
	elsewhere := t.TempDir()
	t.Chdir(elsewhere)
	if err := os.RemoveAll(filepath.Join(w, "site")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w, "shared")); err != nil {
		t.Fatal(err)
	}
	l, err := opened(t, data).Lay(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	again, got := loadAll(t, l.Playbook, l.Root, l.Inventory)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(want) != 12 {
		t.Errorf("six tasks on two hosts are %d", len(want))
	}
	sources := map[string][]byte{}
	for name, data := range again.Sources {
		sources[l.Name(name)] = data
	}
	if diff := cmp.Diff(pb.Sources, sources); diff != "" {
		t.Error("the names of sources:", diff)
	}
	if text := l.Text("reading " + l.Place("../shared/x") + " and " + l.Place("data/y")); text != "reading "+w+"/shared/x and data/y" {
		t.Error(text)
	}
}

func TestFilesThatChangedWhilePlanningAreNotSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := sample()
	p.Files = append(p.Files, planfile.File{Name: "f", Path: path, Sum: strings.Repeat("0", 64)})
	if err := planfile.Write(&bytes.Buffer{}, p); err == nil || !strings.Contains(err.Error(), "f was changed while it was planned") {
		t.Error(err)
	}
}

func TestNothingIsLaidOrFoundOutsideTheFolder(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := sample()
	p.Files = append(p.Files,
		planfile.File{Name: "out", Type: planfile.Symlink, Target: outside},
		planfile.File{Name: "up", Type: planfile.Symlink, Target: "../../../../../../../../../../../../../../../.."},
		planfile.File{Name: "in", Type: planfile.Symlink, Target: "playbooks/web.hcl"},
		planfile.File{Name: "../../../../../../../../../etc/shadow", Data: []byte("laid")})
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := opened(t, written(t, p)).Lay(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(in, "files/etc/shadow")); string(got) != "laid" {
		t.Errorf("a file above the root is at %q", got)
	}
	for name, there := range map[string]bool{"out": false, "up": false, "up" + outside: false, "in": true, "../../../../../../../../..": true} {
		at := l.Place(name)
		_, err := os.Stat(at)
		if there != (err == nil) || !strings.HasPrefix(at, in+"/") {
			t.Errorf("%s is at %s: %v", name, at, err)
		}
	}
	if _, err := opened(t, written(t, p)).Lay(in); err == nil {
		t.Error("a plan was laid over another")
	}
}

func TestAFolderWithLinksInItsPathHidesNoName(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	l, err := sample().Lay(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Name(l.Playbook); got != "playbooks/web.hcl" {
		t.Error(got)
	}
	if got := l.Name("/else/where"); got != "/else/where" {
		t.Error(got)
	}
}
