package program

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module is a module whose test runs a command that is built of two packages and
// an embedded file, with a copy of this package.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	own, err := os.ReadFile("program.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod":                "module probe\n\ngo 1.25\n",
		"program/program.go":    string(own),
		"words/words.go":        "package words\n\nconst Word = \"one\"\n",
		"embedded/e.go":         "package embedded\n\nimport \"embed\"\n\n//go:embed all:files\nvar FS embed.FS\n",
		"embedded/files/deep/a": "a",
		"say/main.go":           "package main\n\nimport (\n\t\"probe/embedded\"\n\t\"probe/words\"\n)\n\nfunc main() {\n\tlist, _ := embedded.FS.ReadDir(\"files/deep\")\n\tprintln(words.Word, len(list))\n}\n",
		"use/use_test.go": `package use

import (
	"os/exec"
	"probe/program"
	"testing"
)

func TestSays(t *testing.T) {
	out, err := exec.Command(program.Build(t, "probe/say")).CombinedOutput()
	t.Logf("it says %s, %v", out, err)
}
`,
	} {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAChangedSourceRunsTheTestAgain: a test that builds a program is kept by go
// test while nothing changes, and runs again where a source of the program does.
func TestAChangedSourceRunsTheTestAgain(t *testing.T) {
	dir := module(t)
	run := func() string {
		cmd := exec.Command("go", "test", "-v", "./use")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	want := func(what, says string, cached bool) {
		t.Helper()
		if out := run(); !strings.Contains(out, "it says "+says+"\n") || strings.Contains(out, "(cached)") != cached {
			t.Fatalf("%s: want %q, kept: %v\n%s", what, says, cached, out)
		}
	}
	want("at first", "one 1", false)
	want("unchanged", "one 1", true)
	write(t, filepath.Join(dir, "words/words.go"), "package words\n\nconst Word = \"three\"\n")
	want("a changed package", "three 1", false)
	want("unchanged", "three 1", true)
	write(t, filepath.Join(dir, "words/init.go"), "package words\n\nfunc init() { print(\"new: \") }\n")
	want("a new file", "new: three 1", false)
	write(t, filepath.Join(dir, "embedded/files/deep/b"), "b")
	want("a new embedded file", "new: three 2", false)
	want("unchanged", "new: three 2", true)
}

// TestTestsThatRunGoOpenTheSources: a test file that runs the command go, here or
// in another package, has its sources opened.
func TestTestsThatRunGoOpenTheSources(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && !strings.HasPrefix(d.Name(), "..")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == "../../tests/program" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		runs, opens := false, false
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			in, ok := fn.X.(*ast.Ident)
			switch {
			case ok && in.Name == "program":
				opens = true
			case ok && in.Name == "exec":
				for _, a := range call.Args {
					lit, ok := a.(*ast.BasicLit)
					runs = runs || ok && lit.Value == `"go"`
				}
			}
			return true
		})
		if runs && !opens {
			t.Errorf("%s runs go without go test knowing of what: use package program", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
