// Command gen writes the generated pages of docs/, or muster's manual pages:
//
//	gen ROOT
//	gen man DIR MUSTER YYYY-MM-DD
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"muster/tests/docs"
)

func main() {
	var err error
	if args := os.Args[1:]; len(args) == 4 && args[0] == "man" {
		err = manual(args[1], args[2], args[3])
	} else {
		err = write(args[0])
	}
	if err != nil {
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

// manual writes the manual pages of a muster, whose source is of that day, into dir.
func manual(dir, muster, day string) error {
	pages, err := docs.ManPages(muster, day)
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
