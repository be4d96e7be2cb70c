package promises

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// CheckCommand returns why a command of the tree at root wouldn't run a test, or
// nil. A script, its stages and a target of make are only looked for: what they run
// is seen in the records of make test.
func CheckCommand(root, command string, t Test) error {
	words := strings.Fields(command)
	for len(words) > 0 && assignment.MatchString(words[0]) {
		words = words[1:]
	}
	switch {
	case len(words) > 2 && words[0] == "go" && words[1] == "test":
		return checkGoTest(words[2:], t)
	case len(words) > 0 && script.MatchString(words[0]):
		return checkScript(root, words)
	case len(words) == 2 && words[0] == "make":
		text, err := os.ReadFile(filepath.Join(root, "Makefile"))
		if err == nil && !strings.Contains("\n"+string(text), "\n"+words[1]+":") {
			err = fmt.Errorf("the Makefile has no target %s", words[1])
		}
		return err
	}
	return fmt.Errorf("`%s` is no command that is known: go test ./FOLDER -run NAME, tests/NAME.sh or make TARGET", command)
}

var (
	assignment = regexp.MustCompile(`^[A-Z_]+=\S*$`)
	script     = regexp.MustCompile(`^tests/[a-z]+\.sh$`)
	stages     = regexp.MustCompile(`(?m)^stages=\(([a-z ]+)\)$`)
)

// checkScript looks whether a script exists and knows the stages that are named.
func checkScript(root string, words []string) error {
	text, err := os.ReadFile(filepath.Join(root, words[0]))
	if err != nil {
		return fmt.Errorf("there is no %s", words[0])
	}
	known := ""
	if m := stages.FindSubmatch(text); m != nil {
		known = string(m[1])
	}
	for _, w := range words[1:] {
		if !slices.Contains(strings.Fields(known), w) {
			return fmt.Errorf("%s has no stage %s", words[0], w)
		}
	}
	return nil
}

// checkGoTest looks whether the arguments of go test choose the test.
func checkGoTest(args []string, t Test) error {
	if t.Package == "" {
		return fmt.Errorf("go test doesn't run the stage %s", t.Name)
	}
	found := false
	for i, a := range args {
		pattern, isRun := strings.CutPrefix(a, "-run=")
		if a == "-run" && i+1 < len(args) {
			pattern, isRun = args[i+1], true
		}
		if isRun {
			if err := matches(strings.Trim(pattern, `'"`), t.Name); err != nil {
				return err
			}
		}
		below, deep := strings.CutSuffix(a, "/...")
		if a == "./"+t.Package || deep && (below == "." || strings.HasPrefix("./"+t.Package+"/", below+"/")) {
			found = true
		}
	}
	if !found {
		return fmt.Errorf("the command doesn't test ./%s", t.Package)
	}
	return nil
}

// matches holds a test's name against the pattern of -run, part by part.
func matches(pattern, name string) error {
	parts := strings.Split(name, "/")
	for i, p := range strings.Split(pattern, "/") {
		re, err := regexp.Compile(p)
		if err != nil {
			return fmt.Errorf("-run %s: %w", pattern, err)
		}
		if i < len(parts) && !re.MatchString(parts[i]) {
			return fmt.Errorf("-run %s doesn't choose %s", pattern, name)
		}
	}
	return nil
}
