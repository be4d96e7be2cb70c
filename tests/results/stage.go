// Package results tells what the stages of make test have run, from what they
// recorded, so that no test is skipped in one stage and forgotten in all others.
package results

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"muster/tests/promises"
)

// Test is a test or subtest, by its package's folder and its name.
type Test = promises.Test

// Stage is what one stage came to. Benchmarks aren't run in one; of a fuzz test
// its seeds are.
type Stage struct {
	Name    string // of its file, without the ending: "here", "kinds-account"
	tests   map[Test]string
	reasons map[Test]string // what a test said last: why it was skipped, where it was
	excused map[Test]string // what can't run on this machine, with all its subtests, and why
	failed  int             // packages
}

// Failed reports whether anything of the stage failed.
func (s *Stage) Failed() bool { return s.failed > 0 }

// Count is how many of its tests, subtests included, ended so: "pass" or "skip".
func (s *Stage) Count(action string) int {
	n := 0
	for _, how := range s.tests {
		if how == action {
			n++
		}
	}
	return n
}

// Skipped returns a line for each test that was skipped, with what it said.
func (s *Stage) Skipped() []string {
	var list []string
	for test, how := range s.tests {
		if how == "skip" {
			list = append(list, fmt.Sprintf("%s: %s", test, s.reasons[test]))
		}
	}
	slices.Sort(list)
	return list
}

// place is where package testing says that a line was printed.
var place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// add notes how a test or a package ended, and why it may have been skipped.
func (s *Stage) add(e event) {
	test := Test{Package: Folder(e.Package), Name: e.Test}
	switch {
	case e.Test == "" && e.Action == "fail":
		s.failed++
	case e.Action == excuse:
		s.excused[test] = e.Output
	case e.Test == "":
	case ends(e.Action):
		s.tests[test] = e.Action
	case e.Action == "output" && place.MatchString(e.Output):
		s.reasons[test] = strings.TrimSpace(place.ReplaceAllString(e.Output, ""))
	}
}

// excuse is the action of a test that can't run here.
const excuse = "excuse"

// Excuse returns a record in place of a stage that can't run: a package's test, with its
// subtests, and why.
func Excuse(pkg, test, why string) ([]byte, error) {
	return json.Marshal(event{Action: excuse, Package: "muster/" + pkg, Test: test, Output: why})
}

// Excused returns a line for each test that can't run here.
func Excused(stages []Stage) []string {
	var list []string
	for _, s := range stages {
		for test, why := range s.excused {
			list = append(list, fmt.Sprintf("not run: %s: %s", test, why))
		}
	}
	slices.Sort(list)
	return list
}

// excused reports whether a test can't run here.
func excused(stages []Stage, test Test) bool {
	return slices.ContainsFunc(stages, func(s Stage) bool {
		for e := range s.excused {
			if test.Package == e.Package && (test.Name == e.Name || strings.HasPrefix(test.Name, e.Name+"/")) {
				return true
			}
		}
		return false
	})
}

// Folder is a package's folder from the top of the tree.
func Folder(path string) string {
	_, folder, ok := strings.Cut(path, "/")
	if !ok {
		return "."
	}
	return folder
}

// Read returns the stages that have a record in the folder: NAME.json.
func Read(folder string) ([]Stage, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no records of stages", folder)
	}
	if err != nil {
		return nil, err
	}
	var list []Stage
	for _, file := range files {
		s, err := read(file)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func read(file string) (Stage, error) {
	s := Stage{Name: strings.TrimSuffix(filepath.Base(file), ".json"), tests: map[Test]string{}, reasons: map[Test]string{}, excused: map[Test]string{}}
	f, err := os.Open(file)
	if err != nil {
		return s, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		e, ok := parse(lines.Text())
		if !ok {
			return s, fmt.Errorf("%s:%d is no event of go test -json", file, n)
		}
		if e.Package != "" {
			s.add(e)
		}
	}
	return s, lines.Err()
}
