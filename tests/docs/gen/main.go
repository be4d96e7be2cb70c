// Command gen writes the generated pages of docs/.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"muster/tests/docs"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write builds muster, whose help is part of the pages, and writes them below root.
func write(root string) error {
	dir, err := os.MkdirTemp("", "muster-docs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	muster := filepath.Join(dir, "muster")
	cmd := exec.Command("go", "build", "-o", muster, "./cmd/muster")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building muster: %w", err)
	}
	return docs.Write(root, muster)
}
