package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A muster that is killed leaves its private folders: a later one removes them, and leaves
// those that may be in use.
func TestPrivateFoldersThatWereLeftAreRemoved(t *testing.T) {
	inUse, err := NewScratch()
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Remove()
	parent := filepath.Dir(inUse.Path())
	left, err := os.MkdirTemp(parent, "muster-plan-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(left)
	if err := os.WriteFile(left+"/known_hosts", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-scratchLasts - time.Minute)
	if err := os.Chtimes(left, long, long); err != nil {
		t.Fatal(err)
	}
	another, err := NewScratch()
	if err != nil {
		t.Fatal(err)
	}
	defer another.Remove()
	if _, err := os.Stat(left); err == nil {
		t.Error("the folder that was left is still there")
	}
	if _, err := os.Stat(inUse.Path()); err != nil {
		t.Error("a folder in use is gone:", err)
	}
}
