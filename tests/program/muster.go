package program

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Muster builds muster as `make build` does, with the remote for this machine in
// it, and returns where the program is. What `make build` has left in the tree
// isn't used: it may be of another source.
func Muster(t testing.TB) string {
	t.Helper()
	const command = "muster/cmd/muster"
	Sources(t, command, "muster/cmd/muster-remote")
	dir := t.TempDir()
	remote := filepath.Join(dir, "remote")
	golang(t, []string{"CGO_ENABLED=0"}, "build", "-tags=nethttpomithttp2", "-gcflags=muster/...=-l", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", remote, "muster/cmd/muster-remote")
	data, err := os.ReadFile(remote)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		_, err = z.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	embedded := filepath.Join(strings.TrimSpace(string(golang(t, nil, "list", "-f", "{{.Dir}}", command))), "remotes", "linux-"+runtime.GOARCH)
	overlay := map[string]string{}
	for ending, text := range map[string][]byte{
		".sum": fmt.Appendf(nil, "%x %d\n", sha256.Sum256(data), len(data)),
		".gz":  packed.Bytes(),
	} {
		if err := os.WriteFile(remote+ending, text, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[embedded+ending] = remote + ending
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// A folder of its own: it goes into PATH.
	file := filepath.Join(dir, "bin", "muster")
	golang(t, nil, "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", file, command)
	return file
}
