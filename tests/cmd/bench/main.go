// Command bench measures what takes no lab, with muster as it was built, and
// prints each number beside its bound. It exits with 1 where a bound on bytes or
// memory isn't kept: time is only printed.
package main

import (
	"errors"
	"fmt"
	"os"
)

// errOver is a bound that isn't kept. It has been printed.
var errOver = errors.New("a bound isn't kept")

func main() {
	measures := map[string]func(args []string) error{"validate": validate, "memory": memory, "contact": contact}
	if len(os.Args) < 2 || measures[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench validate MUSTER | memory MUSTER FLEET | contact PACKED…")
		os.Exit(2)
	}
	if err := measures[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// within prints a measured amount beside its bound.
func within(what string, have, limit int64, unit string) error {
	fmt.Printf("%s: %d %s (at most %d)\n", what, have, unit, limit)
	if have > limit {
		return fmt.Errorf("%s: %w", what, errOver)
	}
	return nil
}
