package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Outcome is what became of a mutation.
type Outcome string

const (
	// Killed: a test failed, as it has to.
	Killed Outcome = "killed"
	// Survived: the tests pass with the code broken.
	Survived Outcome = "survived"
	// Invalid: nothing was learned, since the mutation doesn't apply or compile, or
	// since its tests don't run here, or fail with the code as it is.
	Invalid Outcome = "invalid"
)

// Result is the outcome of one mutation, and what there is to say of it: the tests
// that failed, or why it is invalid.
type Result struct {
	Outcome Outcome
	Detail  string
}

// runner tries mutations of the module at root.
type runner struct {
	root string
	tmp  string
	// names are the tests that mutations have to fail, by package: they are run together
	// to find out whether they pass with the code as it is.
	names map[string][]string
	// passed and failed are those that do and don't, by package, as go test -v names them.
	passed, failed map[string][]string
}

func newRunner(root, tmp string, list []Mutation) *runner {
	r := &runner{root: root, tmp: tmp, names: map[string][]string{}, passed: map[string][]string{}, failed: map[string][]string{}}
	for _, m := range list {
		if of := r.names[m.Test[0]]; !slices.Contains(of, m.Test[2]) {
			r.names[m.Test[0]] = append(of, m.Test[2])
		}
	}
	return r
}

// try applies a mutation to an overlay, so that the tree isn't touched, and runs its test.
func (r *runner) try(m Mutation) Result {
	text, err := m.Apply(r.root)
	if err != nil {
		return Result{Invalid, err.Error()}
	}
	if err := r.passes(m.Test); err != nil {
		return Result{Invalid, err.Error()}
	}
	mutated := filepath.Join(r.tmp, "mutated.go")
	overlay := filepath.Join(r.tmp, "overlay.json")
	file, err := filepath.Abs(filepath.Join(r.root, m.File))
	if err == nil {
		err = os.WriteFile(mutated, []byte(text), 0o600)
	}
	if err == nil {
		var data []byte
		data, err = json.Marshal(map[string]any{"Replace": map[string]string{file: mutated}})
		err = errors.Join(err, os.WriteFile(overlay, data, 0o600))
	}
	if err != nil {
		return Result{Invalid, err.Error()}
	}
	out, err := r.test(m.Test, "-overlay="+overlay)
	switch {
	case err == nil:
		return Result{Outcome: Survived}
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return Result{Invalid, "doesn't compile: " + last(out, 400)}
	}
	if failed := failing(out); len(failed) > 0 {
		return Result{Killed, strings.Join(failed, ", ")}
	}
	if bytes.Contains(out, []byte("panic: ")) {
		return Result{Killed, "a panic, or no end"}
	}
	return Result{Invalid, last(out, 400)}
}

// passes tells why a test proves nothing: it fails with the code as it is, or isn't run.
func (r *runner) passes(test []string) error {
	of, names := test[0], test[2]
	if _, known := r.passed[of]; !known {
		out, err := r.test([]string{of, "-run", strings.Join(r.names[of], "|")}, "-v")
		r.passed[of], r.failed[of] = []string{}, failing(out)
		if err != nil && len(r.failed[of]) == 0 {
			return fmt.Errorf("its test fails without it: %s", last(out, 400))
		}
		for _, m := range passLine.FindAllSubmatch(out, -1) {
			r.passed[of] = append(r.passed[of], string(m[1]))
		}
	}
	if i := slices.IndexFunc(r.failed[of], func(name string) bool { return selects(names, name) }); i >= 0 {
		return fmt.Errorf("its test fails without it: %s", r.failed[of][i])
	}
	if !slices.ContainsFunc(r.passed[of], func(name string) bool { return selects(names, name) }) {
		return errors.New("its test isn't run here: there is none of that name, or it is skipped")
	}
	return nil
}

// selects reports whether go test -run NAMES runs a test, or a case in one.
func selects(names, test string) bool {
	parts := strings.Split(test, "/")
	return slices.ContainsFunc(strings.Split(names, "|"), func(pattern string) bool {
		patterns := strings.Split(pattern, "/")
		if len(parts) < len(patterns) {
			return false
		}
		for i, p := range patterns {
			if ok, err := regexp.MatchString(p, parts[i]); err != nil || !ok {
				return false
			}
		}
		return true
	})
}

// test runs a package's tests. GOFLAGS gives the flag to what a test builds, too.
func (r *runner) test(test []string, flag string) ([]byte, error) {
	args := []string{"test", "-count=1", "-vet=off", "-timeout=4m"}
	env := os.Environ()
	if strings.HasPrefix(flag, "-overlay=") {
		env = append(env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" "+flag))
	} else {
		args = append(args, flag)
	}
	args = append(append(args, test[1:]...), test[0])
	cmd := exec.Command("go", args...)
	cmd.Dir = r.root
	cmd.Env = env
	return cmd.CombinedOutput()
}

var (
	failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	passLine = regexp.MustCompile(`(?m)^\s*--- PASS: (\S+)`)
)

// failing lists the tests that failed, and of the cases in one the first.
func failing(out []byte) []string {
	var list []string
	for _, m := range failLine.FindAllSubmatch(out, -1) {
		name := string(m[1])
		test, _, isCase := strings.Cut(name, "/")
		i := slices.IndexFunc(list, func(s string) bool { return s == test || strings.HasPrefix(s, test+"/") })
		switch {
		case i < 0:
			list = append(list, name)
		case isCase && !strings.Contains(list[i], "/"):
			list[i] = name
		}
	}
	slices.Sort(list)
	return list
}

// last is the end of what a program printed, in one line.
func last(out []byte, n int) string {
	return strings.Join(strings.Fields(string(out[max(0, len(out)-n):])), " ")
}
