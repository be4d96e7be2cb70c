package remote

import (
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/wire"
)

// What the kernel refuses a user is told with whose it is.
func TestWhatAUserIsRefusedIsExplained(t *testing.T) {
	c := serving(t, spawnWorker)
	dir := private(t)
	p := c.plan(doing("line", "l", other, map[string]any{"path": filepath.Join(dir, "file"), "line": "x"}))
	if want := "permission denied: nobody may not get into " + dir + ", which belongs to root (mode 0700): let root do it"; p.Status != wire.Failed || !strings.Contains(p.Error, want) {
		t.Errorf("it is planned as %+v", p)
	}
}
