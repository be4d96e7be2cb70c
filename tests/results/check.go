package results

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/tests/promises"
)

// Here is the stage of the tests that need no real host: go test ./... runs it.
const Here = "here"

// Check returns what is wrong with a whole run's stages: tests that were skipped
// and ran in no other stage, and promises of which a test didn't pass where their
// command runs it. What make test-long holds isn't looked for.
func Check(stages []Stage, list []promises.Promise) []string {
	problems := forgotten(stages)
	for _, p := range list {
		if Longer(p) {
			continue
		}
		for _, t := range p.Tests {
			if t.Package == "" {
				continue // a stage without tests: it would have failed as a whole
			}
			if err := held(stages, p.Command, t); err != nil {
				problems = append(problems, promises.Problem{Line: p.Line, Text: err.Error()}.String())
			}
		}
	}
	return problems
}

// Longer reports whether a promise is held by what make test has no time for.
func Longer(p promises.Promise) bool { return p.Command == "make test-long" }

// forgotten names the tests that were skipped in a stage and ran in none.
func forgotten(stages []Stage) []string {
	skipped := map[string]bool{}
	for _, s := range stages {
		for test, how := range s.tests {
			if how == "skip" && !ran(stages, test) && !excused(stages, test) {
				skipped[fmt.Sprintf("%s was skipped, and runs in no stage (%s: %s)", test, s.Name, s.reasons[test])] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(skipped))
}

func ran(stages []Stage, test Test) bool {
	return slices.ContainsFunc(stages, func(s Stage) bool { return s.tests[test] == "pass" || s.tests[test] == "fail" })
}

// held returns why a promise's test isn't held by its command, or nil.
func held(stages []Stage, command string, test Test) error {
	var elsewhere []string
	for _, s := range stages {
		switch {
		case s.tests[test] != "pass":
		case runs(command, s.Name):
			return nil
		default:
			elsewhere = append(elsewhere, s.Name)
		}
	}
	if excused(stages, test) {
		return nil
	}
	if len(elsewhere) > 0 {
		return fmt.Errorf("`%s` doesn't run %s: it passed in the stage %s", command, test, strings.Join(elsewhere, ", "))
	}
	return fmt.Errorf("%s passed in no stage", test)
}

// runs reports whether a command of the page runs a stage. The stages of a
// script's argument are called as it is, or begin so: "kinds" has "kinds-account".
func runs(command, stage string) bool {
	words := strings.Fields(command)
	given := strings.Contains(words[0], "=") // a variable, which may have it run more
	for len(words) > 1 && strings.Contains(words[0], "=") {
		words = words[1:]
	}
	switch {
	case words[0] == "make":
		return true
	case words[0] == "go":
		return given || stage == Here
	case words[0] != "tests/real.sh":
		return false
	case len(words) == 1:
		return stage != Here
	}
	return slices.ContainsFunc(words[1:], func(w string) bool { return stage == w || strings.HasPrefix(stage, w+"-") })
}
