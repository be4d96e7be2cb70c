// Command mutate breaks the code in each way of a kept list, one at a time, and looks
// whether the tests notice. The tree isn't touched: go test sees the broken file
// through an overlay.
//
//	mutate [-only REGEXP | -page]
//
// With -page it tries none, and leaves the page of the list as it is, with the results that
// it has.
//
// It is started in the root of the module, reads tests/mutations, and leaves
// docs/mutations.md. It exits 1 where a mutation survives, or can't be tried.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

func main() {
	only := flag.String("only", "", "try the mutations whose names match")
	paged := flag.Bool("page", false, "try none: write the page of the list anew")
	flag.Parse()
	good, err := true, error(nil)
	if *paged {
		err = note(".", nil)
	} else {
		good, err = mutate(".", *only, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// mutate tries the mutations of the module at root whose names match, says what
// becomes of each, and writes the page. It reports whether all were killed.
func mutate(root, only string, out io.Writer) (bool, error) {
	match, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	list, err := Read(filepath.Join(root, "tests/mutations"))
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	chosen := slices.DeleteFunc(slices.Clone(list), func(m Mutation) bool { return !match.MatchString(m.Name) })
	r := newRunner(root, tmp, chosen)
	count := map[Outcome]int{}
	n := 0
	for _, m := range chosen {
		start := time.Now()
		result := r.try(m)
		if err := note(root, map[string]Result{m.Name: result}); err != nil {
			return false, err
		}
		n++
		count[result.Outcome]++
		fmt.Fprintf(out, "%-8s %s (%.0f s) %s\n", result.Outcome, m.Name, time.Since(start).Seconds(), result.Detail)
	}
	if n == 0 {
		return false, fmt.Errorf("no mutation's name matches %q", only)
	}
	fmt.Fprintln(out, totals(n, count))
	return count[Killed] == n, nil
}

// note writes results into the page at once, beside those that it has: a whole run takes
// long, and may be cut off.
func note(root string, now map[string]Result) error {
	list, err := Read(filepath.Join(root, "tests/mutations"))
	if err != nil {
		return err
	}
	file := filepath.Join(root, "docs/mutations.md")
	results, err := known(file)
	if err != nil {
		return err
	}
	maps.Copy(results, now)
	return os.WriteFile(file, []byte(page(list, results)), 0o644)
}
