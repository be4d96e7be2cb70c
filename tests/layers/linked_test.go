package layers

import (
	"os"
	"path/filepath"
	"testing"

	"muster/tests/program"
)

// What muster may weigh, stripped and without the remotes in it; those are bounded apart,
// at 6 MiB each.
const mostOfMuster = 28 << 20

// A function that looks methods up by name makes the linker keep every exported method of
// every type, and one template of html/template weighed as much as muster itself.
func TestTheLinkerDropsMethodsThatNobodyCalls(t *testing.T) {
	file, byName := program.Linked(t, "muster/cmd/muster")
	for _, name := range byName {
		t.Errorf("%s looks methods up by name: muster then weighs twice as much", name)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	own := info.Size()
	remotes, err := filepath.Glob("../../cmd/muster/remotes/*.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, remote := range remotes {
		info, err := os.Stat(remote)
		if err != nil {
			t.Fatal(err)
		}
		own -= info.Size()
	}
	t.Logf("muster weighs %.1f MiB beside %d remotes", float64(own)/(1<<20), len(remotes))
	if own > mostOfMuster {
		t.Errorf("muster weighs %d bytes beside its remotes, and %d are the most: see docs/design.md for what it should", own, mostOfMuster)
	}
}
