package promises

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Source is the tests of a tree, as its files show them. A package is read when
// it is first asked for.
type Source struct {
	root     string
	packages map[string]*folder
	stages   []string
}

// folder is the tests of one package.
type folder struct {
	functions []string // TestX, FuzzX, ExampleX
	// cases are names that a test may give to its subtests: every text in the
	// package's test files, every file of its testdata without its ending. Which
	// test gives it isn't known.
	cases []string
}

// NewSource is the tests of the tree at root.
func NewSource(root string) *Source {
	return &Source{root: root, packages: map[string]*folder{}}
}

// Has returns why a test isn't in the source, or nil.
func (s *Source) Has(t Test) error {
	if t.Package == "" {
		return s.hasStage(t.Name)
	}
	f, err := s.folder(t.Package)
	if err != nil {
		return err
	}
	function, name, sub := strings.Cut(t.Name, "/")
	if !slices.Contains(f.functions, function) {
		return fmt.Errorf("there is no test %s in %s%s", function, t.Package, s.elsewhere(function))
	}
	if sub && !f.hasCase(name) {
		return fmt.Errorf("nothing in %s is called %s: a case is a text in a test file, or a file of testdata", t.Package, name)
	}
	return nil
}

// elsewhere names another package, of those already read, that has the test.
func (s *Source) elsewhere(function string) string {
	for name, f := range s.packages {
		if slices.Contains(f.functions, function) {
			return ": it is in " + name
		}
	}
	return ""
}

func (f *folder) hasCase(name string) bool {
	return slices.ContainsFunc(f.cases, func(c string) bool {
		rest, ok := strings.CutPrefix(name, c)
		return ok && (rest == "" || rest[0] == '/' && f.hasCase(rest[1:]))
	})
}

func (s *Source) folder(name string) (*folder, error) {
	if f, ok := s.packages[name]; ok {
		return f, nil
	}
	dir := filepath.Join(s.root, filepath.FromSlash(name))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("there is no package %s", name)
	}
	f := &folder{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			if err := f.read(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	err = filepath.WalkDir(filepath.Join(dir, "testdata"), func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			f.cases = append(f.cases, caseName(strings.TrimSuffix(d.Name(), filepath.Ext(path))))
		}
		return nil // a package without testdata has no such cases
	})
	s.packages[name] = f
	return f, err
}

// read adds a test file's functions, and its texts.
func (f *folder) read(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && isTest(fn) {
			f.functions = append(f.functions, fn.Name.Name)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
				f.cases = append(f.cases, caseName(text))
			}
		}
		return true
	})
	return nil
}

// isTest says whether go test runs a function: TestX(*testing.T), FuzzX and its
// seeds, ExampleX. TestMain is none.
func isTest(fn *ast.FuncDecl) bool {
	for prefix, params := range map[string]int{"Test": 1, "Fuzz": 1, "Example": 0} {
		rest, ok := strings.CutPrefix(fn.Name.Name, prefix)
		if ok && fn.Name.Name != "TestMain" && fn.Type.Params.NumFields() == params {
			return rest == "" || !unicode.IsLower([]rune(rest)[0])
		}
	}
	return false
}

// caseName is a subtest's name as package testing prints it.
func caseName(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte('_')
		case !strconv.IsPrint(r):
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var stageLine = regexp.MustCompile(`(?m)^\s*(?:stage|kind) ([a-z][a-z0-9-]*) `)

// hasStage looks for a stage's name in tests/*.sh.
func (s *Source) hasStage(name string) error {
	if s.stages == nil {
		scripts, err := filepath.Glob(filepath.Join(s.root, "tests/*.sh"))
		if err != nil {
			return err
		}
		for _, script := range scripts {
			text, err := os.ReadFile(script)
			if err != nil {
				return err
			}
			for _, m := range stageLine.FindAllStringSubmatch(string(text), -1) {
				s.stages = append(s.stages, m[1])
			}
		}
	}
	if !slices.Contains(s.stages, name) {
		return fmt.Errorf("no script in tests/ has a stage %s", name)
	}
	return nil
}
