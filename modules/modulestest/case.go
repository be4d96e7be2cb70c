package modulestest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/tools/txtar"

	"muster/host"
)

// testCase is one file of cases.
type testCase struct {
	name     string
	sections map[string]string
	files    []txtar.File
	root     string
	brought  *string // the copy in the project that was made; nil: it is as the section "copy" has it
}

func readCase(t testing.TB, file string) *testCase {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return caseOf(t, strings.TrimSuffix(filepath.Base(file), ".txtar"), a)
}

// caseOf returns the case of an archive.
func caseOf(t testing.TB, name string, a *txtar.Archive) *testCase {
	t.Helper()
	c := &testCase{name: name, sections: map[string]string{}, files: a.Files}
	known := map[string]bool{"task": true, "setup": true, "changes": true, "made": true, "diff": true, "hidden": true, "error": true, "failure": true, "meta": true, "check": true, "options": true, "reset": true, "varies": true, "request": true, "output": true, "sends": true, "received": true, "refusal": true, "copy": true, "copied": true}
	for _, f := range a.Files {
		if !known[f.Name] && !companionSection(f.Name) && !strings.HasPrefix(f.Name, "before/") && !strings.HasPrefix(f.Name, "after/") && !strings.HasPrefix(f.Name, "source/") {
			t.Fatalf("%s: there is no section %q", name, f.Name)
		}
		c.sections[f.Name] = string(f.Data)
	}
	if c.sections["task"] == "" {
		t.Fatalf("%s: no task", name)
	}
	return c
}

func (c *testCase) has(section string) bool { _, ok := c.sections[section]; return ok }

func (c *testCase) option(word string) bool {
	for _, w := range strings.Fields(c.sections["options"]) {
		if w == word {
			return true
		}
	}
	return false
}

// user is who plans and makes the tasks: the option "user=NAME"; "" for whoever runs
// the tests.
func (c *testCase) user() string {
	for _, w := range strings.Fields(c.sections["options"]) {
		if name, ok := strings.CutPrefix(w, "user="); ok {
			return name
		}
	}
	return ""
}

// alike is a state of the host with what the section "varies" matches in it left out.
func (c *testCase) alike(state string) string {
	for line := range strings.Lines(c.sections["varies"]) {
		state = regexp.MustCompile(strings.TrimSuffix(line, "\n")).ReplaceAllString(state, "…")
	}
	return state
}

// text is a section with $ROOT filled in.
func (c *testCase) text(section string) string {
	return strings.ReplaceAll(c.sections[section], "$ROOT", c.root)
}

// lay makes a new folder with the state before.
func (c *testCase) lay(t testing.TB, again bool) {
	t.Helper()
	c.brought = nil
	if c.root != "" {
		c.remove(t, c.root)
	} else {
		dir, err := os.MkdirTemp("", "case")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.remove(t, dir) })
		c.root = filepath.Join(dir, "root")
		if c.user() != "" { // who has to come here
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.files {
		name, ok := strings.CutPrefix(f.Name, "before/")
		if !ok {
			continue
		}
		path := filepath.Join(c.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(f.Data), "$ROOT", c.root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if again && c.has("reset") {
		c.shell(t, "reset")
	}
	c.shell(t, "setup")
}

// remove removes a folder. The table of mounts is read in pieces, and may miss one while
// others are mounted elsewhere: so what is left is looked for again.
func (c *testCase) remove(t testing.TB, dir string) {
	t.Helper()
	var err error
	for range 5 {
		c.loosen(dir)
		if err = os.RemoveAll(dir); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// loosen undoes what keeps a folder from being removed: what is mounted in it, and what
// is immutable.
func (c *testCase) loosen(dir string) {
	for {
		at := host.MountedBelow(dir)
		if at == "" || exec.Command("umount", "-l", at).Run() != nil {
			break
		}
	}
	if strings.Contains(c.sections["setup"]+c.sections["reset"], "chattr") {
		_ = exec.Command("chattr", "-R", "-i", "-a", dir).Run()
	}
}

// shell runs a section as a script, which must succeed.
func (c *testCase) shell(t testing.TB, section string) {
	t.Helper()
	if !c.has(section) {
		return
	}
	out, err := c.run(section)
	if err != nil && bytes.Contains(out, []byte("Interrupted system call")) {
		// A script's programs are started under watch, too (package watch), where a signal
		// may end the start of one, which no shell is prepared for.
		out, err = c.run(section)
	}
	if err != nil {
		if section == "check" {
			t.Errorf("%s: %v\n%s", section, err, out)
			return
		}
		t.Fatalf("%s: %v\n%s", section, err, out)
	}
}

// run runs the script of a section.
func (c *testCase) run(section string) ([]byte, error) {
	cmd := exec.Command("sh", "-eu")
	cmd.Stdin = strings.NewReader(c.text(section))
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "ROOT="+c.root)
	return cmd.CombinedOutput()
}

type caseTask struct {
	id, kind string
	args     map[string]any
}

// tasks reads the task section.
func (c *testCase) tasks(t testing.TB) []caseTask {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(c.text("task")), c.name, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var list []caseTask
	for i, b := range f.Body.(*hclsyntax.Body).Blocks {
		ct := caseTask{id: fmt.Sprintf("0/task.%s.t%d", b.Type, i), kind: b.Type, args: map[string]any{}}
		for name, attr := range b.Body.Attributes {
			v, diags := attr.Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			ct.args[name] = plain(v)
		}
		list = append(list, ct)
	}
	return list
}

// plain is a value as it reaches Decode.
func plain(v cty.Value) any {
	switch {
	case v.IsNull():
		return nil
	case !v.IsKnown():
		return nil
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Bool:
		return v.True()
	case v.Type() == cty.Number:
		if i, acc := v.AsBigFloat().Int64(); acc == 0 {
			return i
		}
		f, _ := v.AsBigFloat().Float64()
		return f
	case v.Type().IsTupleType(), v.Type().IsListType():
		list := []any{}
		for _, e := range v.AsValueSlice() {
			list = append(list, plain(e))
		}
		return list
	}
	m := map[string]any{}
	for k, e := range v.AsValueMap() {
		m[k] = plain(e)
	}
	return m
}

// compareEnd holds the end against after/, meta and check.
func (c *testCase) compareEnd(t testing.TB) {
	t.Helper()
	c.compareCopy(t)
	for _, f := range c.files {
		name, ok := strings.CutPrefix(f.Name, "after/")
		if !ok {
			continue
		}
		want := strings.ReplaceAll(string(f.Data), "$ROOT", c.root)
		got, err := os.ReadFile(filepath.Join(c.root, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s holds\n%q\nwant\n%q", name, got, want)
		}
	}
	v := host.NewView(host.New(), nil)
	for _, line := range strings.Split(strings.TrimSpace(c.text("meta")), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 2 {
			t.Fatalf("meta: %q: want PATH TYPE [MODE [OWNER:GROUP]]", line)
		}
		path := f[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.root, path)
		}
		info, err := v.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		typ := string(info.Type)
		if !info.Exists() {
			typ = "absent"
		}
		got := []string{f[0], typ, info.Mode.String(), info.Owner + ":" + info.Group}
		for i := range f {
			if f[i] != "-" && f[i] != got[i] {
				t.Errorf("meta: %s is %s, want %s", f[0], strings.Join(got[1:], " "), strings.Join(f[1:], " "))
				break
			}
		}
	}
	c.shell(t, "check")
}
