// Command canary looks for planted values on the host that it is run on: in what its standard
// input says, a line of JSON. It looks at processes until its standard input ends, then at files and
// at the journal, and prints what it has found, a line of JSON each.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"muster/tests/canary/scan"
)

// request is what is looked for, and where.
type request struct {
	Values []scan.Value
	Roots  []string
	Skip   []string // paths below them that aren't looked at
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "canary:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	dec := json.NewDecoder(in)
	var r request
	if err := dec.Decode(&r); err != nil {
		return fmt.Errorf("reading what is looked for: %w", err)
	}
	s := scan.New(r.Values...)
	stop := s.Watch()
	fmt.Fprintln(os.Stderr, "looking")
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	hits := stop()
	for _, root := range r.Roots {
		hits = append(hits, s.Tree(root, func(path string) bool { return slices.Contains(r.Skip, path) })...)
	}
	// What it has in its own files is packed.
	if journal, err := exec.Command("journalctl", "--all", "--quiet", "--output", "export").Output(); err == nil {
		hits = append(hits, s.Bytes("the journal", journal)...)
	}
	enc := json.NewEncoder(out)
	for _, h := range hits {
		if err := enc.Encode(h); err != nil {
			return err
		}
	}
	return nil
}
