package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// module is a small module with a list of mutations, one for each way that trying one
// can end.
const module = `
-- go.mod --
module example

go 1.21
-- lock.go --
package example

func Lock() string { return "exclusive" }

func Port() int { return 22 }

func Hang(n int) int {
	for n > 10 {
	}
	return n
}
-- lock_test.go --
package example

import "testing"

func TestLock(t *testing.T) {
	t.Run("is exclusive", func(t *testing.T) {
		if Lock() != "exclusive" {
			t.Error(Lock())
		}
	})
}

func TestNothing(t *testing.T) {
	Port()
}

func TestSkipped(t *testing.T) {
	t.Skip("elsewhere")
}

func TestBroken(t *testing.T) {
	t.Error("fails as it is")
}
-- tests/mutations/a/killed.txtar --
Two runs never
have a host.

file: lock.go
test: . -run ^TestLock$
##old
"exclusive"
##new
"shared"
-- tests/mutations/a/lived.txtar --
The port is | 22.

file: lock.go
test: . -run ^TestNothing$
##old
return 22
##new
return 23
-- tests/mutations/b/gone.txtar --
It applies.

file: lock.go
test: . -run ^TestLock$
##old
return 80
##new
return 81
-- tests/mutations/b/uncompiled.txtar --
It compiles.

file: lock.go
test: . -run ^TestLock$
##old
return 22
##new
return "22"
-- tests/mutations/b/unfound.txtar --
Its test is there.

file: lock.go
test: . -run ^TestNoSuch$
##old
return 22
##new
return 23
-- tests/mutations/b/skipped.txtar --
Its test is run here.

file: lock.go
test: . -run ^TestSkipped$
##old
return 22
##new
return 23
-- tests/mutations/b/unsound.txtar --
Its test passes with the code as it is.

file: lock.go
test: . -run ^TestBroken$
##old
return 22
##new
return 23
-- docs/page --
`

// lay writes the module into a folder. Its mutations are archives in an archive, so
// their own sections are marked otherwise.
func lay(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range txtar.Parse([]byte(module)).Files {
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`(?m)^##(old|new)$`).ReplaceAll(f.Data, []byte("-- $1 --"))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestEachMutationHasItsOutcome(t *testing.T) {
	t.Setenv("GOFLAGS", "")
	root := lay(t)
	before, err := os.ReadFile(filepath.Join(root, "lock.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	good, err := mutate(root, "", &out)
	if err != nil || good {
		t.Errorf("all were killed: %t, %v", good, err)
	}
	for _, want := range []string{
		`(?m)^killed   a/killed .*TestLock/is_exclusive$`,
		`(?m)^survived a/lived `,
		`(?m)^invalid  b/gone .* no longer applies: its old text stands 0 times in lock.go$`,
		`(?m)^invalid  b/uncompiled .* doesn't compile: `,
		`(?m)^invalid  b/unfound .* isn't run here`,
		`(?m)^invalid  b/skipped .* isn't run here`,
		`(?m)^invalid  b/unsound .* fails without it`,
		`(?m)^mutations: 7, killed: 1, survived: 1, invalid: 5$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("it doesn't say %s:\n%s", want, &out)
		}
	}
	if after, _ := os.ReadFile(filepath.Join(root, "lock.go")); !bytes.Equal(before, after) {
		t.Error("the tree was touched")
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/mutations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| a/killed | Two runs never have a host. | `lock.go` | killed by TestLock/is_exclusive |\n",
		"| a/lived | The port is \\| 22. | `lock.go` | survived |\n",
		"\nmutations: 7, killed: 1, survived: 1, invalid: 5\n",
	} {
		if !strings.Contains(string(page), row) {
			t.Errorf("the page lacks %q:\n%s", row, page)
		}
	}

	out.Reset()
	if good, err = mutate(root, "^a/killed$", &out); !good || err != nil {
		t.Errorf("that one alone isn't good: %v\n%s", err, &out)
	}
	again, err := os.ReadFile(filepath.Join(root, "docs/mutations.md"))
	if err != nil || !bytes.Equal(page, again) {
		t.Errorf("trying one alone makes the page another: %v\n%s", err, again)
	}
	if _, err := mutate(root, "^nosuch$", &out); err == nil {
		t.Error("a name that no mutation has is no error")
	}
}

// The kept list has to follow the code: where it doesn't, nobody knows what would be
// noticed.
func TestTheKeptListAppliesToTheCode(t *testing.T) {
	const root = "../../.."
	list, err := Read(filepath.Join(root, "tests/mutations"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if _, err := m.Apply(root); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	results, err := known(filepath.Join(root, "docs/mutations.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/mutations.md"))
	if err != nil {
		t.Fatal(err)
	}
	if page(list, results) != string(text) {
		t.Error("docs/mutations.md isn't of this list: make mutate ONLY=… with the names that are new")
	}
	for _, m := range list {
		if r := results[m.Name]; r.Outcome != Killed {
			t.Errorf("%s: the last result is %q: a mutation is kept once a test kills it", m.Name, r.Outcome)
		}
	}
}
