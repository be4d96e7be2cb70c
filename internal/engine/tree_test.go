package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"muster/internal/engine"
)

// The files of a tree are asked for, and sent, many at a time: a tree of small files isn't a
// round trip for each.
func TestTreeOfSmallFilesTakesFewRoundTrips(t *testing.T) {
	f := newFleet(t)
	const files = 500
	if err := os.Mkdir(filepath.Join(f.dir, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range files {
		if err := os.WriteFile(fmt.Sprintf("%s/tree/%04d", f.dir, n), fmt.Appendf(nil, "file %d\n", n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := f.run(`
play "p" {
  hosts = ["all"]
  task "directory" "DIR/copy" { source = "tree" }
}
`, "web1")
	r.Plan(t.Context())
	if s := r.Apply(t.Context()); s.Outcome != engine.OutcomeChanged || !f.exists(fmt.Sprintf("copy/%04d", files-1)) {
		t.Fatalf("%s: %s", s.Outcome, f.failures())
	}
	if n := f.trips["web1"].n; n > files/5 {
		t.Errorf("a tree of %d files took %d round trips", files, n)
	}
}
