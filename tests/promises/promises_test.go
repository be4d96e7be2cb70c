package promises

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func TestEveryPromiseNamesTestsThatExist(t *testing.T) {
	list, problems, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Errorf("%s has no promises", Page)
	}
	for _, p := range append(problems, Check(root, list)...) {
		t.Error(p)
	}
}

// tree lays a small tree with one package, and a page of the rows.
func tree(t *testing.T, rows ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/a_test.go": `package a
import "testing"
func TestMain(m *testing.M) {}
func TestOne(t *testing.T) {
	for _, c := range []struct{ name string }{{"two words"}, {"bar|bar"}, {"x/y"}} {
		t.Run(c.name, func(t *testing.T) {})
	}
}
func FuzzTwo(f *testing.F) {}
func Testify(t *testing.T) {}
func (x) TestThree(t *testing.T) {}
func TestHelps(t *testing.T, what string) {}
`,
		"a/testdata/deep/case.txtar": "",
		"tests/run.sh":               "stages=(kinds account)\nstage lint make lint\n\tkind account db2 account\n",
		"Makefile":                   "test:\n\t@tests/run.sh\n",
		Page:                         "# Promises\n\n| Promise | Test | Command |\n|---|:--|---|\n" + strings.Join(rows, "\n") + "\n\nThe end.\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func problemsOf(t *testing.T, rows ...string) string {
	t.Helper()
	dir := tree(t, rows...)
	list, problems, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, p := range append(problems, Check(dir, list)...) {
		text.WriteString(p.String() + "\n")
	}
	return text.String()
}

func TestRowsThatHold(t *testing.T) {
	for _, row := range []string{
		"| It works. | `a TestOne` | `go test ./a` |",
		"| It works. | `a TestOne/two_words`, `a FuzzTwo` | `go test -race ./...` |",
		"| It works. | `a TestOne/bar\\|bar` | `go test ./a -run 'One/bar'` |",
		"| It works. | `a TestOne/x/y` | `go test -run=TestOne/x/y ./a/...` |",
		"| It works. | `a TestOne/case` | `A_B=1 go test ./a -run One` |",
		"| It works. | `stage lint` | `make test` |",
		"| It works. | `stage account` | `tests/run.sh account` |",
	} {
		if problems := problemsOf(t, row); problems != "" {
			t.Errorf("%s\n%s", row, problems)
		}
	}
}

func TestRowsThatDoNot(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		{"| It works. | `a TestTwo` | `go test ./a` |", "there is no test TestTwo in a"},
		{"| It works. | `a Testify` | `go test ./a` |", "there is no test Testify"},
		{"| It works. | `a TestMain` | `go test ./a` |", "there is no test TestMain"},
		{"| It works. | `a TestThree` | `go test ./a` |", "there is no test TestThree"},
		{"| It works. | `a TestHelps` | `go test ./a` |", "there is no test TestHelps"},
		{"| It works. | `b TestOne` | `go test ./b` |", "there is no package b"},
		{"| It works. | `a TestOne/two` | `go test ./a` |", "nothing in a is called two"},
		{"| It works. | `a TestOne/x/z` | `go test ./a` |", "nothing in a is called x/z"},
		{"| It works. | `a TestOne` `a TestTwo` | `go test ./a` |", "there is no test TestTwo"},
		{"| It works. | `stage lin` | `make test` |", "no script in tests/ has a stage lin"},
		{"| It works. | `stage lint` | `go test ./...` |", "doesn't run the stage"},
		{"| It works. | `a TestOne` | `go test ./b` |", "doesn't test ./a"},
		{"| It works. | `a TestOne` | `go test ./a -run Two` |", "-run Two doesn't choose TestOne"},
		{"| It works. | `a TestOne/x/y` | `go test ./a -run 'One/z'` |", "doesn't choose TestOne/x/y"},
		{"| It works. | `a TestOne` | `make tests` |", "the Makefile has no target tests"},
		{"| It works. | `a TestOne` | `tests/real.sh` |", "there is no tests/real.sh"},
		{"| It works. | `a TestOne` | `tests/run.sh kinds all` |", "tests/run.sh has no stage all"},
		{"| It works. | `a TestOne` | `sh -c true` |", "no command that is known"},
		{"| It works. | `a TestOne` | go test ./a |", "one command is wanted"},
		{"| It works. | a TestOne | `go test ./a` |", "no test is named"},
		{"| It works. | `TestOne` | `go test ./a` |", "`TestOne` is no test"},
		{"| | `a TestOne` | `go test ./a` |", "the promise is empty"},
		{"| It works. | `a TestOne` |", "this one has 2"},
		{"| It works. | `a TestOne` | `go test ./a` |\n| It works. | `a TestOne` | `go test ./a` |", ":6: this is promised in line 5, too"},
	} {
		if problems := problemsOf(t, c.row); !strings.Contains(problems, c.want) {
			t.Errorf("%s\nis wanted to say %q, and says\n%s", c.row, c.want, problems)
		}
	}
}
