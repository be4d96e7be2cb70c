// Package promises holds docs/promises.md against the tests of the tree: each
// promise names tests that exist, and a command that runs them.
package promises

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is where the promises stand, from the top of the tree.
const Page = "docs/promises.md"

// Promise is a row of the page.
type Promise struct {
	Line    int    // of the page, from 1
	Text    string // what users can rely on
	Tests   []Test // what holds it; all of them must pass
	Command string // what runs those tests, from the top of the tree
}

// Test is a test of a package, or a stage of make test that runs no Go tests.
type Test struct {
	Package string // its folder from the top of the tree; empty for a stage
	Name    string // TestX or TestX/case, as go test prints it; a stage's name
}

func (t Test) String() string {
	if t.Package == "" {
		return "stage " + t.Name
	}
	return t.Package + " " + t.Name
}

// Problem is what is wrong with a row of the page.
type Problem struct {
	Line int
	Text string
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", Page, p.Line, p.Text) }

// Read reads the page of the tree at root. Rows that can't be read are problems;
// the error is of the file.
func Read(root string) ([]Promise, []Problem, error) {
	text, err := os.ReadFile(filepath.Join(root, Page))
	if err != nil {
		return nil, nil, err
	}
	var list []Promise
	var problems []Problem
	inTable := false
	for i, line := range strings.Split(string(bytes.TrimRight(text, "\n")), "\n") {
		cells, ok := row(line)
		switch {
		case !ok:
			inTable = false
			continue
		case !inTable: // the row of a table's titles
			inTable = true
			continue
		case separator.MatchString(line):
			continue
		}
		p, err := promise(cells)
		p.Line = i + 1
		if err != nil {
			problems = append(problems, Problem{i + 1, err.Error()})
			continue
		}
		list = append(list, p)
	}
	return list, problems, nil
}

var (
	separator = regexp.MustCompile(`^\|[-:| ]+\|$`)
	quoted    = regexp.MustCompile("`([^`]*)`")
)

// row returns the cells of a line of a table. A bar in a cell is written \|.
func row(line string) (cells []string, ok bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || len(line) < 2 || !strings.HasSuffix(line, "|") {
		return nil, false
	}
	const bar = "\x00"
	line = strings.ReplaceAll(line[1:len(line)-1], `\|`, bar)
	for _, c := range strings.Split(line, "|") {
		cells = append(cells, strings.TrimSpace(strings.ReplaceAll(c, bar, "|")))
	}
	return cells, true
}

// promise reads a row: the sentence, the tests and the command, the latter two
// in backquotes.
func promise(cells []string) (Promise, error) {
	if len(cells) != 3 {
		return Promise{}, fmt.Errorf("a row has three cells (promise, tests, command), this one has %d", len(cells))
	}
	p := Promise{Text: cells[0]}
	if p.Text == "" {
		return p, fmt.Errorf("the promise is empty")
	}
	for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
		in, name, ok := strings.Cut(m[1], " ")
		if !ok || name == "" || strings.Contains(name, " ") {
			return p, fmt.Errorf("`%s` is no test: write `FOLDER TestName`, `FOLDER TestName/case` or `stage NAME`", m[1])
		}
		if in == "stage" {
			in = ""
		}
		p.Tests = append(p.Tests, Test{Package: strings.TrimPrefix(in, "./"), Name: name})
	}
	if len(p.Tests) == 0 {
		return p, fmt.Errorf("no test is named: write `FOLDER TestName` in backquotes")
	}
	command := quoted.FindAllStringSubmatch(cells[2], -1)
	if len(command) != 1 || command[0][1] == "" {
		return p, fmt.Errorf("one command is wanted, in backquotes")
	}
	p.Command = command[0][1]
	return p, nil
}
