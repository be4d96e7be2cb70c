package main

import (
	"fmt"
	"os"
	"path/filepath"

	"muster/tests/bench"
)

// validate measures the static checks of 10,000 tasks.
func validate(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("validate takes the program muster")
	}
	muster, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := bench.Playbook(dir, 10_000); err != nil {
		return err
	}
	for name, text := range map[string]string{"muster.hcl": "inventory = \"hosts.hcl\"\n", "hosts.hcl": "group \"app\" {\n  host \"app1\" {}\n  host \"app2\" {}\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	u, err := rounds(5, func() (usage, error) { return run(dir, []int{0}, muster, "validate", "site.hcl") })
	if err != nil {
		return err
	}
	fmt.Printf("muster validate of 10,000 tasks: %.2f s (at most 1), %.2f s of all processors\n", u.wall.Seconds(), u.processors.Seconds())
	return within("muster validate of 10,000 tasks, most memory", u.peak>>20, 200, "MB")
}
