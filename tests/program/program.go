// Package program builds this module's commands for tests that run them.
//
// go test runs a test again where the test itself, or what it imports, has
// changed. A program that a test builds is neither: the old result would stand
// for the new source. But go test also keeps which files and folders of the
// module a test has opened, and runs it again where one of them has changed. So
// what goes into the program is opened here.
package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
)

// Build builds a command, named by its import path, and returns where the
// program is: in a folder of the test's own. With names packages that end up in
// the program in another way than by import, such as one that it builds itself.
func Build(t testing.TB, command string, with ...string) string {
	t.Helper()
	Sources(t, append(with, command)...)
	file := filepath.Join(t.TempDir(), path.Base(command))
	golang(t, nil, "build", "-o", file, command)
	return file
}

// Static is Build of a program that can be run on any host.
func Static(t testing.TB, command string) string {
	t.Helper()
	Sources(t, command)
	file := filepath.Join(t.TempDir(), path.Base(command))
	golang(t, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-ldflags=-s -w", "-o", file, command)
	return file
}

// Sources makes the test run again where a source of the packages has changed,
// or of what they import from this module. Packages are named as for go list,
// by import path.
func Sources(t testing.TB, packages ...string) {
	t.Helper()
	for _, name := range []string{"CGO_ENABLED", "GOARCH", "GOFLAGS", "GOOS"} {
		os.Getenv(name) // go test keeps which were looked at, too
	}
	list := golang(t, nil, append([]string{"list", "-deps", "-json=Dir,Module,EmbedFiles", "--"}, packages...)...)
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("listing the sources of %v: %v", packages, err)
		}
		if p.Module != nil && p.Module.Main { // go.sum speaks for other modules
			if err := p.open(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// listed is a package as go list shows it.
type listed struct {
	Dir    string
	Module *struct {
		Main  bool
		GoMod string
	}
	EmbedFiles []string // from Dir
}

// open opens what the package is built of. A folder stands for its files: their
// names, sizes and times.
func (p listed) open() error {
	folders := map[string]bool{p.Dir: true}
	for _, f := range p.EmbedFiles {
		for dir := filepath.Dir(f); dir != "."; dir = filepath.Dir(dir) {
			folders[filepath.Join(p.Dir, dir)] = true
		}
	}
	for dir := range folders {
		if _, err := os.ReadDir(dir); err != nil {
			return err
		}
	}
	for _, file := range []string{p.Module.GoMod, filepath.Join(filepath.Dir(p.Module.GoMod), "go.sum")} {
		if _, err := os.Stat(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// golang runs the command go, with more in its environment, and returns what it
// prints.
func golang(t testing.TB, env []string, args ...string) []byte {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, errs.Bytes())
	}
	return out
}

// BuildOf builds a command of another module, whose version the module in dir pins,
// and returns where the program is: in a folder of the test's own. It can be run on
// any host.
func BuildOf(t testing.TB, dir, command string) string {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "program")
	golang(t, []string{"CGO_ENABLED=0"}, "-C", dir, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, command)
	return file
}
