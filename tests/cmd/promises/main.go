// Command promises holds docs/promises.md against the tests of the tree that it
// is started in.
package main

import (
	"fmt"
	"os"

	"muster/tests/promises"
)

func main() {
	list, problems, err := promises.Read(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "promises:", err)
		os.Exit(1)
	}
	problems = append(problems, promises.Check(".", list)...)
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d promises: each names tests that exist, and a command for them\n", len(list))
}
